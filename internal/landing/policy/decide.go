package policy

import (
	"strings"
)

// An Answer says whether the guardrails let a call pass. That they do gives nobody
// a permission: policies in the account must allow the call as well.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	Allowed
	Denied
)

func (a Answer) String() string { return [...]string{"Unknown", "Allowed", "Denied"}[a] }

// MarshalText writes the answer's name.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// A Reason says why an answer is what it is.
type Reason string

// The reasons.
const (
	// ExplicitDeny: a statement denies the call.
	ExplicitDeny Reason = "ExplicitDeny"
	// NotAllowed: at one level, no statement allows the call.
	NotAllowed Reason = "NotAllowed"
	// EveryLevelAllows: a statement allows the call at every level, and none denies
	// it.
	EveryLevelAllows Reason = "EveryLevelAllows"
	// ManagementAccount: no guardrail concerns the management account.
	ManagementAccount Reason = "ManagementAccount"
	// ServiceLinkedRole: no guardrail concerns service-linked roles.
	ServiceLinkedRole Reason = "ServiceLinkedRole"
	// OutsideOrganization: neither the principal's account nor the resource's is in
	// the organization.
	OutsideOrganization Reason = "OutsideOrganization"
	// FactsMissing: the answer depends on what is not known.
	FactsMissing Reason = "FactsMissing"
)

// A Decision is the answer about one call.
type Decision struct {
	Answer Answer `json:"answer"`
	Reason Reason `json:"reason"`
	// Statement decides: the one that denies, or the one that allows at the account.
	// It is nil where no single one does.
	Statement *Statement `json:"statement,omitempty"`
	// Level is the node where the statement is attached, or where nothing allows the
	// call: the root, the path of a unit, or the account.
	Level string `json:"level,omitempty"`
	// Missing are the facts that a certain answer would need.
	Missing []Missing `json:"missing,omitempty"`
}

// Decide answers whether the guardrails let a call pass.
func (s *State) Decide(r *Request) Decision {
	var x call
	x.start(s, r)
	v := x.decide()
	d := v.decision()
	if v.answer == Unknown {
		d.Missing = s.missingFor(r)
	}
	return d
}

// missingFor answers again, and takes notes.
func (s *State) missingFor(r *Request) []Missing {
	var x call
	x.start(s, r)
	x.missing = &missing{}
	x.decide()
	return x.missing.facts
}

// A verdict is a decision without its missing facts.
type verdict struct {
	answer    Answer
	reason    Reason
	statement *Statement
	level     string
}

func (v verdict) decision() Decision {
	return Decision{Answer: v.answer, Reason: v.reason, Statement: v.statement, Level: v.level}
}

func (x *call) decide() verdict {
	if !x.isClear() {
		return verdict{answer: Unknown, reason: FactsMissing}
	}
	if isServiceLinked(x.arn[0]) {
		return verdict{answer: Allowed, reason: ServiceLinkedRole}
	}
	services, owners := x.chains()
	certain := true
	if services != nil {
		if e, denied := x.deny(&services.denies); denied == yes {
			return verdict{Denied, ExplicitDeny, e.statement, services.levels[e.level].name}
		} else if denied == unknown {
			certain = false
		}
	}
	if owners != nil {
		if e, denied := x.deny(&owners.ownerDenies); denied == yes {
			return verdict{Denied, ExplicitDeny, e.statement, owners.levels[e.level].name}
		} else if denied == unknown {
			certain = false
		}
	}
	if x.ownerless && x.mayBeDeniedByOwner() {
		certain = false
	}
	if services == nil {
		return x.unlimited(certain)
	}
	allowed := verdict{answer: Allowed, reason: EveryLevelAllows}
	for i := range services.levels {
		l := &services.levels[i]
		statement, passes := x.allow(l)
		switch passes {
		case no:
			return verdict{answer: Denied, reason: NotAllowed, level: l.name}
		case unknown:
			certain = false
		}
		allowed.statement, allowed.level = statement, l.name
	}
	if !certain {
		return verdict{answer: Unknown, reason: FactsMissing}
	}
	return allowed
}

// chains are the service control policies that concern the principal, and the resource
// control policies that concern the resource; nil where none do.
func (x *call) chains() (services, owners *chain) {
	if x.principal != nil && !x.principal.management {
		services = x.principal.chain
	}
	if x.owner != nil && !x.owner.management && x.underResourceControl() {
		owners = x.owner.chain
	}
	return services, owners
}

// unlimited is the verdict where no service control policy concerns the principal.
func (x *call) unlimited(certain bool) verdict {
	switch {
	case !certain:
		return verdict{answer: Unknown, reason: FactsMissing}
	case x.principal != nil:
		return verdict{answer: Allowed, reason: ManagementAccount}
	case x.owner != nil || x.ownerless:
		return verdict{answer: Allowed, reason: EveryLevelAllows}
	}
	return verdict{answer: Allowed, reason: OutsideOrganization}
}

// isClear reports whether the request names accounts and an action that can be
// spoken of.
func (x *call) isClear() bool {
	clear := x.isPlaced("Account", x.request.Account, x.principal, x.principalID[0])
	if x.request.ResourceAccount != "" && !x.isPlaced("ResourceAccount", x.request.ResourceAccount, x.owner, x.ownerID[0]) {
		clear = false
	}
	if id := accountOf(x.arn[0]); id != "" && x.principalID[0] != "" && id != x.principalID[0] {
		x.miss("Principal", "it is of account "+id+", and the call of "+x.request.Account)
		clear = false
	}
	if service, name, ok := strings.Cut(x.action, ":"); !ok || service == "" || name == "" {
		x.miss("Action", "it has the form service:Name, for example s3:GetObject")
		clear = false
	}
	return clear
}

// isPlaced reports whether it is known where an account stands: in the organization,
// or outside.
func (x *call) isPlaced(field, name string, m *member, id string) bool {
	switch doubts := x.state.doubts; {
	case m != nil:
		return true
	case id == "":
		x.miss(field, "the organization has no account "+name)
		return false
	case len(doubts) > 0:
		x.miss(field, "whether the organization has it: "+strings.Join(doubts, "; "))
		return false
	}
	return true
}

// isServiceLinked reports whether a principal is a service-linked role, which
// guardrails do not concern ("Tasks and entities not restricted by SCPs",
// "Resources and entities not restricted by RCPs").
func isServiceLinked(principal string) bool {
	_, role, ok := strings.Cut(principal, ":role/")
	return ok && strings.HasPrefix(role, "aws-service-role/")
}

// underResourceControl reports whether resource control policies concern the call:
// they do for some services, never for kms:RetireGrant or keys that the vendor
// manages.
func (x *call) underResourceControl() bool {
	if x.service == "kms" && (x.action == "kms:retiregrant" || strings.Contains(x.resource, ":alias/aws/")) {
		return false
	}
	return x.state.catalog.UnderResourceControl(x.service)
}

// mayBeDeniedByOwner reports whether a resource control policy of some account could
// deny a call about a resource of which nobody said whose it is.
func (x *call) mayBeDeniedByOwner() bool {
	if !x.underResourceControl() {
		return false
	}
	for _, m := range x.state.members {
		if m.management {
			continue
		}
		if _, denied := x.deny(&m.chain.ownerDenies); denied != no {
			x.miss("ResourceAccount", "the ARN names no account, and the owner's policies may deny the call")
			return true
		}
	}
	return false
}

// deny returns the first statement that denies the call, and whether one does.
func (x *call) deny(t *table) (entry, truth) {
	found := no
	entries := t.find(x.service)
	for i := range entries {
		if applies := entries[i].statement.applies(x); applies == yes {
			return entries[i], yes
		} else if applies == unknown {
			found = unknown
		}
	}
	return entry{}, found
}

// allow returns the first statement of a level that allows the call, and whether
// one does.
func (x *call) allow(l *level) (*Statement, truth) {
	if l.full {
		return fullAccessStatement, yes
	}
	found := no
	mark := x.mark()
	entries := l.allows.find(x.service)
	for i := range entries {
		statement := entries[i].statement
		if applies := statement.applies(x); applies == yes {
			x.reset(mark) // what other statements would have needed does not matter
			return statement, yes
		} else if applies == unknown {
			found = unknown
		}
	}
	return nil, found
}

// applies reports whether the statement is about a call.
func (s *Statement) applies(x *call) truth {
	if s.broken {
		x.miss(s.Policy, "it has errors")
		return unknown
	}
	if !s.actions.match(x.action) {
		return no
	}
	mark := x.mark()
	holds := s.matchResource(x)
	for i := 0; i < len(s.conditions) && holds != no; i++ {
		holds = min(holds, s.conditions[i].test(x))
	}
	if holds != unknown {
		x.reset(mark)
	}
	return holds
}

// mark returns how many facts were missing so far, for reset.
func (x *call) mark() int {
	if x.missing == nil {
		return 0
	}
	return len(x.missing.facts)
}

func (x *call) reset(mark int) {
	if x.missing != nil {
		x.missing.facts = x.missing.facts[:mark]
	}
}
