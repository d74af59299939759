// Package policy says what the guardrails of an organization let happen, before
// any of them exists: whether a call would be allowed in an account and which
// statement decides, and which calls a change of the guardrails would turn.
//
// Answers have three values. What the request does not tell, and the answer
// depends on, makes it Unknown and is named; it is never taken for a yes. So is
// what the vendor's documentation leaves open.
//
// The rules are those of the AWS Organizations and IAM User Guides; comments name
// the page. The package does no I/O, reads no clock, and its values may be used by
// several goroutines once loaded.
package policy

import (
	"fmt"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// A Type is what a policy limits: landing.ServiceControl or
// landing.ResourceControl.
type Type = landing.GuardrailType

// A Policy is one parsed policy document.
type Policy struct {
	// Name is the guardrail's name.
	Name       string
	Type       Type
	Statements []*Statement
	// Size is the number of characters of the document without white space.
	Size int
	// Broken holds when the document has errors. The vendor would refuse it, so
	// what it lets happen is unknown.
	Broken bool
	// text is the document without white space: equal texts, equal policies.
	text string
	at   source.Place
}

// An Effect is what a statement does to the calls that it matches.
type Effect uint8

// The effects.
const (
	Allow Effect = iota + 1
	Deny
)

func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return "no effect"
}

// MarshalText writes the effect as policies do.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// A Statement is one statement of a policy, compiled.
type Statement struct {
	Policy string       `json:"policy"` // name of the policy
	Sid    string       `json:"sid,omitempty"`
	Index  int          `json:"index"` // in the policy, from 0
	Place  source.Place `json:"place"` // where it is written
	Effect Effect       `json:"effect"`

	actions    actionSet
	resources  []resource
	notIn      bool // the resources are those that the statement does not match
	conditions []condition
	// broken holds for the stand-in of a policy that has errors: nothing is known of
	// what it matches.
	broken bool
	// text is the statement without white space: equal texts say the same.
	text string
}

// String names the statement as people find it.
func (s *Statement) String() string {
	switch {
	case s.broken:
		return fmt.Sprintf("%s, which has errors", s.Policy)
	case s.Sid != "":
		return fmt.Sprintf("%s/%s", s.Policy, s.Sid)
	}
	return fmt.Sprintf("%s[%d]", s.Policy, s.Index)
}

// truth has three values; and is the lesser, or the greater.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth { return yes - t }

// fullAccess is the policy FullAWSAccess, which is attached to every root, unit
// and account until somebody detaches it.
var fullAccess = &Policy{Name: "FullAWSAccess", Type: landing.ServiceControl, Statements: []*Statement{fullAccessStatement},
	text: fullAccessText, Size: len(fullAccessText)}

var fullAccessStatement = &Statement{Policy: "FullAWSAccess", Effect: Allow, actions: actionSet{all: true},
	resources: []resource{{text: "*", all: true}}, text: fullAccessText}

const fullAccessText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
