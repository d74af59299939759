package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// Limits are what the vendor takes at most, from a day on.
type Limits struct {
	Since  time.Time
	Source string
	// PerNode is how many policies of a type may be attached to one root, unit or
	// account, those that the vendor attaches among them. Those of parents do not
	// count.
	PerNode map[Type]int
	// Size is how many characters a policy may have.
	Size map[Type]int
	// Policies is how many policies of a type an organization may have.
	Policies map[Type]int
	// Units is how many units an organization may have, and Depth how deep they may
	// nest below the root.
	Units, Depth int
}

// limits are ordered by day.
var limits = []Limits{
	{
		Since:    time.Date(2024, time.November, 13, 0, 0, 0, 0, time.UTC), // the day of resource control policies
		Source:   "AWS Organizations User Guide, Quotas and service limits",
		PerNode:  map[Type]int{landing.ServiceControl: 5, landing.ResourceControl: 5},
		Size:     map[Type]int{landing.ServiceControl: 5120, landing.ResourceControl: 5120},
		Policies: map[Type]int{landing.ServiceControl: 10_000, landing.ResourceControl: 1000},
		Units:    2000, Depth: 5,
	},
	{
		Since:    time.Date(2026, time.May, 15, 0, 0, 0, 0, time.UTC),
		Source:   "AWS announcement of 15 May 2026: higher service control policy quotas",
		PerNode:  map[Type]int{landing.ServiceControl: 10, landing.ResourceControl: 5},
		Size:     map[Type]int{landing.ServiceControl: 10_240, landing.ResourceControl: 5120},
		Policies: map[Type]int{landing.ServiceControl: 10_000, landing.ResourceControl: 1000},
		Units:    2000, Depth: 5,
	},
}

// LimitsAt returns the limits of a day, or the oldest that are known.
func LimitsAt(at time.Time) Limits {
	for _, l := range slices.Backward(limits) {
		if !l.Since.After(at) {
			return l
		}
	}
	return limits[0]
}

// CheckLimits returns what the vendor would not take on a day.
func (s *State) CheckLimits(at time.Time) source.Findings {
	l := LimitsAt(at)
	c := limitCheck{limits: l, since: fmt.Sprintf("the limit since %s", l.Since.Format(time.DateOnly))}
	for _, t := range []Type{landing.ServiceControl, landing.ResourceControl} {
		count := 0
		for _, p := range s.Policies {
			if p.Type != t {
				continue
			}
			count++
			if p.Size > l.Size[t] {
				c.add(p.at, p.Size, "at most %d characters without white space", l.Size[t])
			}
		}
		if count > l.Policies[t] {
			c.add(source.Place{}, count, "at most %d policies of type "+string(t), l.Policies[t])
		}
	}
	units := 0
	for path, n := range s.nodes {
		c.node(n)
		if path == "" {
			continue
		}
		units++
		if depth := strings.Count(path, "/") + 1; depth > l.Depth {
			c.add(n.place, depth, "units to nest at most %d deep", l.Depth)
		}
	}
	for _, m := range s.members {
		c.node(m.node)
	}
	if units > l.Units {
		c.add(source.Place{}, units, "at most %d units", l.Units)
	}
	c.found.Sort()
	return c.found
}

type limitCheck struct {
	limits Limits
	since  string
	found  source.Findings
}

func (c *limitCheck) add(at source.Place, value int, want string, limit int) {
	c.found = append(c.found, source.Finding{Place: at, Code: "policy/limit", Severity: source.Error, Value: fmt.Sprint(value),
		Want: "expected " + fmt.Sprintf(want, limit) + ", " + c.since})
}

// node checks how many policies are attached. FullAWSAccess and RCPFullAWSAccess,
// which the vendor attaches, count.
func (c *limitCheck) node(n *node) {
	services := len(n.services)
	if !n.withoutFull {
		services++
	}
	if most := c.limits.PerNode[landing.ServiceControl]; services > most {
		c.add(n.place, services, "at most %d service control policies attached to "+n.name, most)
	}
	if most := c.limits.PerNode[landing.ResourceControl]; len(n.owners)+1 > most {
		c.add(n.place, len(n.owners)+1, "at most %d resource control policies attached to "+n.name, most)
	}
}
