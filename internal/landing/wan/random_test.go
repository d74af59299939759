package wan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

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
