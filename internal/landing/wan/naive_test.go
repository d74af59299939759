package wan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
)

// What stands here shares nothing with the package under test: it writes random
// policies, and compiles them to the route tables of each segment and edge, plainly
// and slowly, as the vendor's documentation describes them.

type policyJSON struct {
	Version       string           `json:"version"`
	Configuration map[string]any   `json:"core-network-configuration"`
	Segments      []segmentJSON    `json:"segments"`
	Groups        []groupJSON      `json:"network-function-groups,omitempty"`
	Actions       []actionJSON     `json:"segment-actions,omitempty"`
	Rules         []ruleJSON       `json:"attachment-policies,omitempty"`
	LabelRules    []labelRuleJSON  `json:"attachment-routing-policy-rules,omitempty"`
	Routing       []routingJSON    `json:"routing-policies,omitempty"`
	edges         []string         // as in the configuration
	attachments   []attachmentJSON // what is attached
	lists         map[string][]string
}

type segmentJSON struct {
	Name     string   `json:"name"`
	Edges    []string `json:"edge-locations,omitempty"`
	Isolated bool     `json:"isolate-attachments"`
	Accept   bool     `json:"require-attachment-acceptance"`
	Deny     []string `json:"deny-filter,omitempty"`
	Allow    []string `json:"allow-filter,omitempty"`
}

type groupJSON struct {
	Name string `json:"name"`
}

type actionJSON struct {
	Action       string        `json:"action"`
	Segment      string        `json:"segment"`
	Mode         string        `json:"mode,omitempty"`
	With         any           `json:"share-with,omitempty"` // "*", a list, or except
	Policies     []string      `json:"routing-policy-names,omitempty"`
	Prefixes     []string      `json:"destination-cidr-blocks,omitempty"`
	Destinations []string      `json:"destinations,omitempty"`
	To           *sentToJSON   `json:"when-sent-to,omitempty"`
	Via          *viaJSON      `json:"via,omitempty"`
	Pair         *edgePairJSON `json:"edge-location-association,omitempty"`
}

type sentToJSON struct {
	Segments any `json:"segments"`
}

type viaJSON struct {
	Groups    []string       `json:"network-function-groups"`
	Overrides []overrideJSON `json:"with-edge-overrides,omitempty"`
}

type overrideJSON struct {
	Sets [][]string `json:"edge-sets"`
	Use  string     `json:"use-edge-location"`
}

type edgePairJSON struct {
	Edge     string   `json:"edge-location"`
	Peer     string   `json:"peer-edge-location"`
	Policies []string `json:"routing-policy-names"`
}

type conditionJSON struct {
	Type     string `json:"type"`
	Operator string `json:"operator,omitempty"`
	Key      string `json:"key,omitempty"`
	Value    string `json:"value,omitempty"`
}

type ruleJSON struct {
	Number     int             `json:"rule-number"`
	Logic      string          `json:"condition-logic"`
	Conditions []conditionJSON `json:"conditions"`
	Action     map[string]any  `json:"action"`
}

type labelRuleJSON struct {
	Number     int             `json:"rule-number"`
	Edges      []string        `json:"edge-locations,omitempty"`
	Conditions []conditionJSON `json:"conditions"`
	Action     map[string]any  `json:"action"`
}

type routingJSON struct {
	Name      string            `json:"routing-policy-name"`
	Direction string            `json:"routing-policy-direction"`
	Number    int               `json:"routing-policy-number"`
	Rules     []routingRuleJSON `json:"routing-policy-rules"`
}

type routingRuleJSON struct {
	Number     int                   `json:"rule-number"`
	Definition routingDefinitionJSON `json:"rule-definition"`
}

type routingDefinitionJSON struct {
	Match  []conditionJSON `json:"match-conditions"`
	Logic  string          `json:"condition-logic"`
	Action map[string]any  `json:"action"`
}

type attachmentJSON struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`
	Type     string            `json:"type"`
	Account  string            `json:"account"`
	Regions  []string          `json:"regions"`
	Tags     map[string]string `json:"tags"`
	Prefixes []string          `json:"prefixes"`
	Transit  string            `json:"transit"`
	Label    string            `json:"routingPolicyLabel,omitempty"`
	Path     []int             `json:"path,omitempty"`
	MED      *int              `json:"med,omitempty"`
}

// document writes the core network as the package under test reads it. JSON is YAML.
func (w *policyJSON) document() string {
	lists := []map[string]any{}
	for alias, prefixes := range w.lists {
		lists = append(lists, map[string]any{"alias": alias, "prefixes": prefixes})
	}
	out, err := json.Marshal(map[string]any{"apiVersion": "landing.crossfade.dev/v1alpha1", "kind": "CoreNetwork", "metadata": map[string]string{"name": "core"},
		"spec": map[string]any{"policy": w, "attachments": w.attachments, "prefixLists": lists}})
	if err != nil {
		panic(err)
	}
	return string(out)
}

// random writes a random core network of which everything is known.
func random(r *rand.Rand) *policyJSON {
	w := &policyJSON{Version: "2025.11", edges: []string{"eu-west-1", "us-east-1", "ap-south-1"}[:1+r.IntN(3)], lists: map[string][]string{"listed": {"10.1.0.0/16", "10.3.0.0/16"}}}
	locations := []map[string]string{}
	for _, e := range w.edges {
		locations = append(locations, map[string]string{"location": e})
	}
	w.Configuration = map[string]any{"asn-ranges": []string{"64512-64555"}, "edge-locations": locations}
	names := []string{"dev", "prod", "shared", "hybrid"}[:2+r.IntN(3)]
	for _, name := range names {
		s := segmentJSON{Name: name, Isolated: r.IntN(5) < 2, Accept: false}
		if r.IntN(6) == 0 {
			s.Edges = []string{w.edges[r.IntN(len(w.edges))]}
		}
		other := names[r.IntN(len(names))]
		switch r.IntN(8) {
		case 0:
			s.Deny = []string{other}
		case 1:
			s.Allow = []string{other}
		}
		w.Segments = append(w.Segments, s)
	}
	for _, name := range []string{"inspect", "egress"}[:r.IntN(3)] {
		w.Groups = append(w.Groups, groupJSON{name})
	}
	w.randomRouting(r)
	w.randomAttachments(r, names)
	w.randomRules(r, names)
	w.randomShares(r, names)
	w.randomInsertions(r, names)
	return w
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func (w *policyJSON) randomRouting(r *rand.Rand) {
	values := []string{"10.1.0.0/16", "10.2.0.0/16", "10.0.0.0/8", "10.0.0.0/14", "172.16.0.0/12", "0.0.0.0/0", "10.3.7.0/24"}
	for i := range r.IntN(4) {
		p := routingJSON{Name: fmt.Sprintf("policy%d", i), Direction: pick(r, []string{"inbound", "outbound"}), Number: 100 - i}
		for j := range 1 + r.IntN(3) {
			rule := routingRuleJSON{Number: 10 - j}
			rule.Definition.Logic = pick(r, []string{"and", "or", "or"})
			rule.Definition.Action = map[string]any{"type": pick(r, []string{"drop", "drop", "allow"})}
			for range 1 + r.IntN(2) {
				c := conditionJSON{Type: pick(r, []string{"prefix-equals", "prefix-in-cidr", "prefix-in-cidr", "prefix-in-prefix-list"}), Value: pick(r, values)}
				if c.Type == "prefix-in-prefix-list" {
					c.Value = "listed"
				}
				rule.Definition.Match = append(rule.Definition.Match, c)
			}
			p.Rules = append(p.Rules, rule)
		}
		w.Routing = append(w.Routing, p)
	}
	for i, p := range w.Routing {
		if r.IntN(2) == 0 {
			rule := labelRuleJSON{Number: 50 - i, Conditions: []conditionJSON{{Type: "routing-policy-label", Value: "filtered"}}, Action: map[string]any{"associate-routing-policies": []string{p.Name}}}
			if r.IntN(3) == 0 {
				rule.Edges = []string{pick(r, w.edges)}
			}
			w.LabelRules = append(w.LabelRules, rule)
		}
	}
}

func (w *policyJSON) randomAttachments(r *rand.Rand, names []string) {
	add := func(a attachmentJSON) {
		n := len(w.attachments)
		a.Name, a.ID, a.Account = fmt.Sprintf("a%d", n), fmt.Sprintf("attachment-%017x", n), fmt.Sprintf("%012d", 1+n%3)
		zero := 0
		if a.Type != "vpc" {
			a.Path, a.MED = []int{65000 + n}, &zero
		}
		w.attachments = append(w.attachments, a)
	}
	for i := range 4 + r.IntN(5) {
		a := attachmentJSON{Type: pick(r, []string{"vpc", "vpc", "vpc", "vpc", "site-to-site-vpn", "transit-gateway-route-table", "connect", "direct-connect-gateway"}), Regions: []string{pick(r, w.edges)},
			Tags: map[string]string{"segment": pick(r, names)}, Prefixes: []string{fmt.Sprintf("10.%d.0.0/16", i)}, Transit: pick(r, []string{"Ends", "Ends", "Returns"})}
		switch r.IntN(8) {
		case 0:
			a.Prefixes = append(a.Prefixes, fmt.Sprintf("10.%d.7.0/24", r.IntN(9))) // in the range of another one, perhaps
		case 1:
			a.Prefixes = append(a.Prefixes, fmt.Sprintf("100.64.%d.0/24", i))
		}
		if a.Type != "vpc" && r.IntN(3) == 0 {
			a.Prefixes = append(a.Prefixes, pick(r, []string{"10.0.0.0/8", "172.16.0.0/12", "10.0.0.0/12"}))
		}
		if r.IntN(3) == 0 {
			a.Label = "filtered"
		}
		if r.IntN(10) == 0 {
			a.Tags["segment"] = "nowhere"
		}
		taken := func(p string) bool {
			return slices.ContainsFunc(w.attachments, func(other attachmentJSON) bool { return slices.Contains(other.Prefixes, p) })
		}
		a.Prefixes = slices.DeleteFunc(a.Prefixes, taken)
		add(a)
	}
	for _, g := range w.Groups {
		for i, e := range w.edges {
			if r.IntN(5) > 0 || i == 0 {
				add(attachmentJSON{Type: "vpc", Regions: []string{e}, Tags: map[string]string{"group": g.Name}, Prefixes: []string{}, Transit: pick(r, []string{"Returns", "Returns", "Returns", "Ends"})})
			}
		}
	}
}

func (w *policyJSON) randomRules(r *rand.Rand, names []string) {
	for i, g := range w.Groups {
		w.Rules = append(w.Rules, ruleJSON{Number: 1 + i, Logic: "and", Conditions: []conditionJSON{{Type: "tag-value", Operator: "equals", Key: "group", Value: g.Name}},
			Action: map[string]any{"add-to-network-function-group": g.Name}})
	}
	if r.IntN(2) == 0 {
		special := []conditionJSON{
			{Type: "region", Operator: "begins-with", Value: "eu-"}, {Type: "attachment-type", Operator: "equals", Value: "site-to-site-vpn"},
			{Type: "attachment-type", Operator: "not-equals", Value: "vpc"}, {Type: "account", Operator: "equals", Value: "000000000002"},
			{Type: "tag-value", Operator: "contains", Key: "segment", Value: "ro"},
		}
		w.Rules = append(w.Rules, ruleJSON{Number: 20, Logic: pick(r, []string{"and", "and", "or"}), Conditions: []conditionJSON{pick(r, special), pick(r, special)},
			Action: map[string]any{"association-method": "constant", "segment": pick(r, names)}})
	}
	w.Rules = append(w.Rules, ruleJSON{Number: 15, Logic: "and", Conditions: []conditionJSON{{Type: "tag-exists", Key: "untouched"}}, Action: map[string]any{"association-method": "constant", "segment": names[0]}},
		ruleJSON{Number: 30, Logic: "and", Conditions: []conditionJSON{{Type: "tag-exists", Key: "segment"}}, Action: map[string]any{"association-method": "tag", "tag-value-of-key": "segment"}})
	r.Shuffle(len(w.Rules), func(i, j int) { w.Rules[i], w.Rules[j] = w.Rules[j], w.Rules[i] })
}

func (w *policyJSON) randomShares(r *rand.Rand, names []string) {
	for range r.IntN(3) {
		a := actionJSON{Action: "share", Mode: "attachment-route", Segment: pick(r, names)}
		switch r.IntN(4) {
		case 0:
			a.With = "*"
		case 1:
			a.With = map[string]any{"except": []string{pick(r, names)}}
		default:
			a.With = []string{pick(r, names)}
		}
		for _, p := range w.Routing {
			if r.IntN(3) == 0 {
				a.Policies = append(a.Policies, p.Name)
			}
		}
		w.Actions = append(w.Actions, a)
	}
	for range r.IntN(3) {
		a := actionJSON{Action: "create-route", Segment: pick(r, names), Prefixes: []string{pick(r, []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/15", "172.16.0.0/12", "10.3.3.0/24"})}}
		again := slices.ContainsFunc(w.Actions, func(b actionJSON) bool { return b.Segment == a.Segment && slices.Equal(b.Prefixes, a.Prefixes) })
		if again {
			continue
		}
		a.Destinations = []string{"blackhole"}
		if r.IntN(3) > 0 {
			a.Destinations = []string{pick(r, w.attachments).ID}
		}
		w.Actions = append(w.Actions, a)
	}
	for i := range r.IntN(3) {
		if len(w.Routing) == 0 || len(w.edges) < 2 {
			break
		}
		pair := &edgePairJSON{Edge: w.edges[i%len(w.edges)], Peer: w.edges[(i+1)%len(w.edges)], Policies: []string{pick(r, w.Routing).Name}}
		w.Actions = append(w.Actions, actionJSON{Action: "associate-routing-policy", Segment: pick(r, names), Pair: pair})
	}
}

// randomInsertions obeys the vendor's rules: one mode for a group and for a segment,
// one send-via for a pair of segments, one default route for a segment.
func (w *policyJSON) randomInsertions(r *rand.Rand, names []string) {
	dual := r.IntN(2) == 0
	pairs := map[[2]string]bool{}
	for _, g := range w.Groups {
		for range r.IntN(3) {
			a := actionJSON{Action: "send-via", Segment: pick(r, names), Mode: "single-hop", Via: &viaJSON{Groups: []string{g.Name}}}
			egress := g.Name == "egress"
			if egress {
				a.Action, a.Mode = "send-to", ""
				if slices.ContainsFunc(w.Actions, func(b actionJSON) bool {
					return b.Segment == a.Segment && (b.Action == "send-to" || slices.Contains(b.Prefixes, "0.0.0.0/0"))
				}) {
					continue
				}
			} else {
				var to []string
				switch r.IntN(4) {
				case 0:
					a.To, to = &sentToJSON{"*"}, names
				case 1:
					to = []string{a.Segment}
				default:
					to = []string{pick(r, names)}
					a.To = &sentToJSON{to}
				}
				pair := func(s string) [2]string { return [2]string{min(s, a.Segment), max(s, a.Segment)} }
				if slices.ContainsFunc(to, func(s string) bool { return pairs[pair(s)] }) {
					continue
				}
				for _, s := range to {
					pairs[pair(s)] = true
				}
				if dual {
					a.Mode = "dual-hop"
				}
			}
			if a.Mode != "dual-hop" {
				for _, set := range [][]string{{w.edges[0]}, {w.edges[len(w.edges)-1]}, {w.edges[0], w.edges[len(w.edges)-1]}} {
					if r.IntN(2) == 0 && (len(set) == 1 || set[0] != set[1]) {
						a.Via.Overrides = append(a.Via.Overrides, overrideJSON{Sets: [][]string{set}, Use: pick(r, w.edges)})
					}
				}
			}
			w.Actions = append(w.Actions, a)
		}
	}
}

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
