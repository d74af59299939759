package policy

import (
	"slices"
	"strings"
)

// An actionSet is the Action or NotAction element of a statement. Names of
// actions have no case (IAM User Guide, "IAM JSON policy elements: Action").
type actionSet struct {
	inverted bool // NotAction
	all      bool // holds "*"
	exact    map[string]bool
	globs    []glob
	// services are the service prefixes of all entries, sorted; nil if an entry
	// concerns services that it does not name.
	services []string
}

func newActionSet(patterns []string, inverted bool) actionSet {
	set := actionSet{inverted: inverted, exact: map[string]bool{}}
	everywhere := inverted
	for _, pattern := range patterns {
		lower := strings.ToLower(pattern)
		service, _, ok := strings.Cut(lower, ":")
		switch {
		case lower == "*":
			set.all = true
		case strings.ContainsAny(lower, "*?"):
			set.globs = append(set.globs, compileGlob(lower))
		default:
			set.exact[lower] = true
		}
		if !ok || strings.ContainsAny(service, "*?") {
			everywhere = true
		}
		set.services = append(set.services, service)
	}
	slices.Sort(set.services)
	set.services = slices.Compact(set.services)
	if everywhere {
		set.services = nil
	}
	return set
}

// match reports whether the statement is about an action, in lower case.
func (s *actionSet) match(action string) bool {
	if s.all || s.exact[action] {
		return !s.inverted
	}
	for i := range s.globs {
		if s.globs[i].match(action) {
			return !s.inverted
		}
	}
	return s.inverted
}
