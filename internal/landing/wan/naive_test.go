package wan_test

import (
	"net/netip"
	"slices"
	"strings"
)

// What stands here shares nothing with the package under test: it compiles policies
// to the route tables of each segment and edge, plainly and slowly, as the vendor's
// documentation describes them.

// tables are the compiled routes: for each table or attachment, the next hop of each
// prefix. Tables are called segment@edge, and "" drops.
type tables map[string]map[string]string

func (w *policyJSON) segment(name string) *segmentJSON {
	for i := range w.Segments {
		if w.Segments[i].Name == name {
			return &w.Segments[i]
		}
	}
	return nil
}

// lands is the segment or the group in which an attachment lands.
func (w *policyJSON) lands(a attachmentJSON) (segment, group string) {
	rules := slices.SortedFunc(slices.Values(w.Rules), func(x, y ruleJSON) int { return x.Number - y.Number })
	for _, r := range rules {
		matched := 0
		for _, c := range r.Conditions {
			actual, ok := map[string]string{"region": a.Regions[0], "attachment-type": a.Type, "account": a.Account}[c.Type]
			if strings.HasPrefix(c.Type, "tag-") {
				actual, ok = a.Tags[c.Key]
			}
			switch {
			case c.Type == "tag-exists":
			case c.Operator == "equals":
				ok = ok && actual == c.Value
			case c.Operator == "not-equals":
				ok = ok && actual != c.Value
			case c.Operator == "contains":
				ok = ok && strings.Contains(actual, c.Value)
			case c.Operator == "begins-with":
				ok = ok && strings.HasPrefix(actual, c.Value)
			}
			if ok {
				matched++
			}
		}
		if matched == len(r.Conditions) || r.Logic == "or" && matched > 0 {
			if g, ok := r.Action["add-to-network-function-group"].(string); ok {
				return "", g
			}
			name, _ := r.Action["segment"].(string)
			if r.Action["association-method"] == "tag" {
				name = a.Tags[r.Action["tag-value-of-key"].(string)]
			}
			if s := w.segment(name); s != nil && (s.Edges == nil || slices.Contains(s.Edges, a.Regions[0])) {
				return name, ""
			}
			return "", ""
		}
	}
	return "", ""
}

// dropped says whether the routing policies called so drop a prefix.
func (w *policyJSON) dropped(names []string, direction, prefix string) bool {
	var policies []routingJSON
	for _, p := range w.Routing {
		if slices.Contains(names, p.Name) && p.Direction == direction {
			policies = append(policies, p)
		}
	}
	slices.SortFunc(policies, func(a, b routingJSON) int { return a.Number - b.Number })
	this := netip.MustParsePrefix(prefix)
	for _, p := range policies {
		for _, r := range slices.SortedFunc(slices.Values(p.Rules), func(a, b routingRuleJSON) int { return a.Number - b.Number }) {
			matched := 0
			for _, c := range r.Definition.Match {
				ok := c.Value == prefix
				switch c.Type {
				case "prefix-in-cidr":
					within := netip.MustParsePrefix(c.Value)
					ok = within.Bits() < this.Bits() && within.Contains(this.Addr())
				case "prefix-in-prefix-list":
					ok = slices.Contains(w.lists[c.Value], prefix)
				}
				if ok {
					matched++
				}
			}
			if matched == len(r.Definition.Match) || r.Definition.Logic == "or" && matched > 0 {
				return r.Definition.Action["type"] == "drop"
			}
		}
	}
	return false
}

func (w *policyJSON) with(set any, of, name string) bool {
	switch set := set.(type) {
	case string:
		return true
	case []string:
		return slices.Contains(set, name)
	case map[string]any:
		return !slices.Contains(set["except"].([]string), name) && name != of
	}
	return false
}

// enters says whether a prefix of an attachment gets into the core network at all.
func (w *policyJSON) enters(a attachmentJSON, prefix string) bool {
	var names []string
	for _, r := range w.LabelRules {
		if a.Label == r.Conditions[0].Value && (r.Edges == nil || slices.Contains(r.Edges, a.Regions[0])) {
			names = append(names, r.Action["associate-routing-policies"].([]string)...)
		}
	}
	return !w.dropped(names, "inbound", prefix)
}

// crosses says whether a route of a segment gets from one edge to another.
func (w *policyJSON) crosses(segment, from, to, prefix string) bool {
	for _, a := range w.Actions {
		if a.Pair == nil || a.Segment != segment {
			continue
		}
		if a.Pair.Edge == to && a.Pair.Peer == from && w.dropped(a.Pair.Policies, "inbound", prefix) ||
			a.Pair.Edge == from && a.Pair.Peer == to && w.dropped(a.Pair.Policies, "outbound", prefix) {
			return false
		}
	}
	return true
}

// shares says whether a route of one segment gets into another.
func (w *policyJSON) shares(from, into, prefix string) bool {
	s := w.segment(into)
	if slices.Contains(s.Deny, from) || s.Allow != nil && !slices.Contains(s.Allow, from) {
		return false
	}
	for _, a := range w.Actions {
		if a.Action != "share" {
			continue
		}
		if a.Segment == into && w.with(a.With, into, from) && !w.dropped(a.Policies, "inbound", prefix) ||
			a.Segment == from && w.with(a.With, from, into) && !w.dropped(a.Policies, "outbound", prefix) {
			return true
		}
	}
	return false
}

// inspector is the attachment of a group at an edge: "" if there is none.
func (w *policyJSON) inspector(group, edge string) string {
	for _, a := range w.attachments {
		if _, g := w.lands(a); g == group && a.Regions[0] == edge {
			return a.Name
		}
	}
	return ""
}

// where is the inspecting attachment of a group between two edges.
func (w *policyJSON) where(via *viaJSON, edge, to string, preferLocal bool) string {
	local := w.inspector(via.Groups[0], edge)
	if preferLocal && local != "" {
		return local
	}
	for _, o := range via.Overrides {
		for _, set := range o.Sets {
			if len(set) == 1 && edge == to && set[0] == edge || len(set) == 2 && slices.Contains(set, edge) && slices.Contains(set, to) && edge != to {
				return w.inspector(via.Groups[0], o.Use)
			}
		}
	}
	for _, e := range append([]string{edge, to}, w.edges...) { // some list of the vendor's
		if name := w.inspector(via.Groups[0], e); name != "" {
			return name
		}
	}
	return ""
}

func in(s *segmentJSON, edge string) bool { return s.Edges == nil || slices.Contains(s.Edges, edge) }

// compile returns the route tables.
func (w *policyJSON) compile() tables {
	out := tables{}
	ranks := map[string]int{} // table and prefix: how good the route is that stands there
	set := func(table, prefix, hop string, rank int) {
		if out[table] == nil {
			out[table] = map[string]string{}
		}
		key := table + " " + prefix
		if was, ok := ranks[key]; !ok || rank < was {
			ranks[key], out[table][prefix] = rank, hop
		}
	}
	for i := range w.Segments {
		s := &w.Segments[i]
		for _, edge := range w.edges {
			if !in(s, edge) {
				continue
			}
			table := s.Name + "@" + edge
			out[table] = map[string]string{}
			w.compileStatics(s, edge, set)
			for _, a := range w.attachments {
				of, _ := w.lands(a)
				if of == "" {
					continue
				}
				for _, prefix := range a.Prefixes {
					if w.enters(a, prefix) {
						w.compileRoute(s, edge, a, of, prefix, set)
					}
				}
			}
		}
	}
	for _, g := range w.Groups {
		w.compileGroup(g.Name, out, set)
	}
	return out
}

func (w *policyJSON) compileStatics(s *segmentJSON, edge string, set func(table, prefix, hop string, rank int)) {
	table := s.Name + "@" + edge
	for _, action := range w.Actions {
		if action.Segment != s.Name {
			continue
		}
		if action.Action == "send-to" {
			set(table, "0.0.0.0/0", w.where(action.Via, edge, edge, true), 0)
		}
		if action.Action != "create-route" {
			continue
		}
		for _, prefix := range action.Prefixes {
			if action.Destinations[0] == "blackhole" {
				set(table, prefix, "", 0)
				continue
			}
			for _, a := range w.attachments {
				segment, group := w.lands(a)
				if a.ID != action.Destinations[0] || segment == "" && group == "" {
					continue
				}
				at := a.Regions[0]
				switch {
				case at == edge:
					set(table, prefix, a.Name, 0)
				case !w.crosses(s.Name, at, edge, prefix):
				case in(s, at):
					set(table, prefix, s.Name+"@"+at, 0)
				default:
					set(table, prefix, a.Name, 0)
				}
			}
		}
	}
}

func (w *policyJSON) compileRoute(s *segmentJSON, edge string, a attachmentJSON, of, prefix string, set func(table, prefix, hop string, rank int)) {
	table, at := s.Name+"@"+edge, a.Regions[0]
	knows := w.shares(of, s.Name, prefix)
	if of == s.Name {
		knows = !s.Isolated || a.Type == "transit-gateway-route-table"
	}
	switch {
	case !knows:
	case at == edge:
		set(table, prefix, a.Name, 1)
	case !w.crosses(s.Name, at, edge, prefix):
	case in(s, at):
		set(table, prefix, s.Name+"@"+at, 2)
	default:
		set(table, prefix, of+"@"+at, 2)
	}
	for _, action := range w.Actions {
		if action.Action != "send-via" {
			continue
		}
		sent := func(from, to string) bool {
			return action.Segment == from && (action.To == nil && from == to || action.To != nil && w.with(action.To.Segments, from, to))
		}
		if !sent(s.Name, of) && !sent(of, s.Name) {
			continue
		}
		if action.Mode == "dual-hop" {
			set(table, prefix, w.inspector(action.Via.Groups[0], edge), 3)
		} else {
			set(table, prefix, w.where(action.Via, edge, at, false), 3)
		}
	}
}

func (w *policyJSON) compileGroup(group string, out tables, set func(table, prefix, hop string, rank int)) {
	for _, edge := range w.edges {
		table := group + "@" + edge
		out[table] = map[string]string{}
		for _, action := range w.Actions {
			if action.Via == nil || action.Via.Groups[0] != group {
				continue
			}
			for _, a := range w.attachments {
				of, _ := w.lands(a)
				served := of == action.Segment || action.Action == "send-via" && action.To != nil && w.with(action.To.Segments, action.Segment, of)
				if of == "" || !served {
					continue
				}
				for _, prefix := range a.Prefixes {
					switch {
					case !w.enters(a, prefix):
					case a.Regions[0] == edge:
						set(table, prefix, a.Name, 1)
					case action.Mode == "dual-hop":
						set(table, prefix, w.inspector(group, a.Regions[0]), 2)
					default:
						set(table, prefix, group+"@"+a.Regions[0], 2)
					}
				}
			}
		}
	}
}
