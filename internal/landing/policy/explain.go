package policy

import (
	"fmt"
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// An Explanation is a decision with everything that led to it.
type Explanation struct {
	Decision
	Request *Request `json:"-"`
	// Steps are the statements that are about the action, in the order in which they
	// were asked: denials of service control policies, denials of resource control
	// policies, then what allows, level by level.
	Steps []Step `json:"steps"`
}

// A Step is one statement that was asked.
type Step struct {
	Statement *Statement `json:"statement"`
	Type      Type       `json:"type"`
	Level     string     `json:"level"`
	// Applies says whether the statement is about the call.
	Applies Applies `json:"applies"`
	// Element is what keeps the statement away from the call, or what is not known of
	// it; empty if it applies.
	Element string `json:"element,omitempty"`
}

// Applies says whether a statement is about a call.
type Applies uint8

// What is said of a statement and a call.
const (
	DoesNotApply Applies = iota
	MayApply
	DoesApply
)

func (a Applies) String() string { return [...]string{"does not apply", "may apply", "applies"}[a] }

// MarshalText writes what String says.
func (a Applies) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Explain answers like Decide and says how.
func (s *State) Explain(r *Request) Explanation {
	var x call
	x.start(s, r)
	v := x.decide()
	e := Explanation{Request: r, Decision: v.decision()}
	if v.answer == Unknown {
		e.Missing = s.missingFor(r)
	}
	if isServiceLinked(x.arn[0]) {
		return e
	}
	services, owners := x.chains()
	if services != nil {
		e.ask(&x, services, &services.denies, landing.ServiceControl)
	}
	if owners != nil {
		e.ask(&x, owners, &owners.ownerDenies, landing.ResourceControl)
	}
	if x.ownerless && x.underResourceControl() {
		e.askOwners(&x)
	}
	if services != nil {
		for i := range services.levels {
			l := &services.levels[i]
			if l.full {
				e.Steps = append(e.Steps, Step{Statement: fullAccessStatement, Type: landing.ServiceControl, Level: l.name, Applies: DoesApply})
			}
			e.ask(&x, services, &l.allows, landing.ServiceControl)
		}
	}
	return e
}

// askOwners adds a step for each resource control statement of any account that may
// own the resource.
func (e *Explanation) askOwners(x *call) {
	asked := map[*chain]bool{}
	for _, m := range x.state.members {
		if m.management || asked[m.chain] {
			continue
		}
		asked[m.chain] = true
		var owner Explanation
		owner.ask(x, m.chain, &m.chain.ownerDenies, landing.ResourceControl)
		for _, step := range owner.Steps {
			if step.Applies == DoesApply {
				step.Applies, step.Element = MayApply, "the account of the resource"
			}
			if !slices.Contains(e.Steps, step) {
				e.Steps = append(e.Steps, step)
			}
		}
	}
}

// ask adds a step for each statement of a table that is about the action.
func (e *Explanation) ask(x *call, c *chain, t *table, of Type) {
	for _, at := range t.find(x.service) {
		if !at.statement.broken && !at.statement.actions.match(x.action) {
			continue
		}
		step := Step{Statement: at.statement, Type: of, Level: c.levels[at.level].name}
		step.Applies, step.Element = at.statement.explain(x)
		e.Steps = append(e.Steps, step)
	}
}

// explain says whether a statement about the action applies to the call, and which
// element decides that it does not, or may not.
func (s *Statement) explain(x *call) (Applies, string) {
	if s.broken {
		return MayApply, "its errors"
	}
	element := ""
	holds := s.matchResource(x)
	if holds != yes {
		element = "Resource"
		if s.notIn {
			element = "NotResource"
		}
	}
	for i := range s.conditions {
		if holds == no {
			break
		}
		if c := s.conditions[i].test(x); c < holds {
			holds, element = c, s.conditions[i].label
		}
	}
	return Applies(holds), element
}

// String tells the explanation in sentences, one a line.
func (e Explanation) String() string {
	var out strings.Builder
	out.WriteString(e.Sentence(e.Request))
	for _, step := range e.Steps {
		fmt.Fprintf(&out, "\n  %s %s at %s: %s", step.Statement.Effect, step.Statement, step.Level, step.Applies)
		if step.Element != "" {
			out.WriteString(" (" + step.Element + ")")
		}
	}
	return out.String()
}

// Sentence tells the decision about a request in one sentence.
func (d Decision) Sentence(r *Request) string {
	call := r.Action + " in " + r.Account
	if r.Region != "" {
		call += ", " + r.Region
	}
	switch d.Reason {
	case ExplicitDeny:
		return fmt.Sprintf("%s is denied: %s, attached to %s, denies it (%s)", call, d.Statement, d.Level, d.Statement.Place)
	case NotAllowed:
		return fmt.Sprintf("%s is denied: nothing attached to %s allows it", call, d.Level)
	case ManagementAccount:
		return call + " passes: guardrails do not concern the management account"
	case ServiceLinkedRole:
		return call + " passes: guardrails do not concern service-linked roles"
	case OutsideOrganization:
		return call + " passes: neither account is in the organization"
	case FactsMissing:
		return call + " is unknown: it depends on " + d.needs()
	}
	if d.Statement == nil {
		return call + " passes: no guardrail denies it"
	}
	return fmt.Sprintf("%s passes: every level allows it (at the account by %s) and none denies it", call, d.Statement)
}
