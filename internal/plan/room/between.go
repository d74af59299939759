package room

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// topology knows the rules between pods: how evenly they spread, whom they keep away
// from and whom they follow. Rules that the scheduler may break do not count.
type topology struct {
	keys    []string           // node labels that tell domains apart
	ids     []map[string]int32 // of the domains, by key
	tallies []*tally
}

// A rule is one condition on the domain that a pod goes to.
type rule struct {
	kind  ruleKind
	tally *tally
	// skew is by how many pods a domain may be ahead of the emptiest; with fewer domains
	// than least, the emptiest counts as empty (KEP-3022).
	skew, least int32
	// self is 1 if the pod itself is among those that are counted.
	self int32
	// domains are those that it spreads over.
	domains []int32
	// honours is true if nodes whose taints it does not tolerate are none of them.
	honours bool
}

type ruleKind int

const (
	evenly   ruleKind = iota // not ahead of other domains by more than the skew
	apart                    // nothing that is counted is in the domain
	together                 // something that is counted is in the domain
)

// A tally counts pods by domain: those that its selector matches in its namespaces (nil
// means all), or, where it is owned, those of its owner, who keep the others away.
type tally struct {
	key        int
	selector   labels.Selector
	namespaces []string
	owner      *shape
	counts     []int32
	total      int32
}

func (t *tally) add(at *place, n int32) {
	if d := at.domains[t.key]; d >= 0 {
		t.counts[d] += n
		t.total += n
	}
}

// free tells whether no rule between pods concerns the shape.
func (s *shape) free() bool { return len(s.rules) == 0 }

// learn takes up the rules of all shapes.
func (t *topology) learn(p *packer) {
	for _, s := range p.shapes {
		t.rulesOf(s)
	}
	for _, at := range p.places {
		t.locate(at)
	}
	var everywhere []*tally
	within := map[string][]*tally{}
	for _, y := range t.tallies {
		if y.namespaces == nil {
			everywhere = append(everywhere, y)
		}
		for _, ns := range y.namespaces {
			within[ns] = append(within[ns], y)
		}
	}
	for _, s := range p.shapes {
		for _, y := range slices.Concat(within[s.pods.Namespace], everywhere) {
			switch {
			case !y.selector.Matches(labels.Set(s.pods.Labels)):
			case y.owner != nil:
				s.rules = append(s.rules, rule{kind: apart, tally: y})
			default:
				s.adds = append(s.adds, y)
			}
		}
	}
	for _, s := range p.shapes {
		for i := range s.rules {
			s.rules[i].settle(s, p.places)
		}
	}
}

// settle finds what a rule needs to know of the nodes.
func (r *rule) settle(s *shape, places []*place) {
	if slices.Contains(s.adds, r.tally) {
		r.self = 1
	}
	if r.kind == together && r.self == 0 {
		s.late = 1
	}
	if r.kind != evenly {
		return
	}
	for _, at := range places {
		r.reckon(s, at)
	}
}

// reckon counts the domain of a place among those to spread over.
func (r *rule) reckon(s *shape, at *place) {
	d := at.domains[r.tally.key]
	if d < 0 || slices.Contains(r.domains, d) || !selects(s.pods.Spec, at.node, at.labels) || r.honours && !Tolerates(s.pods.Spec, at.node) {
		return
	}
	r.domains = append(r.domains, d)
}

// rulesOf reads what a shape says about other pods.
func (t *topology) rulesOf(s *shape) {
	own := []string{s.pods.Namespace}
	for _, c := range s.pods.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		r := rule{kind: evenly, tally: t.tally(c.TopologyKey, c.LabelSelector, own), skew: c.MaxSkew}
		if c.MinDomains != nil {
			r.least = *c.MinDomains
		}
		r.honours = c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor
		s.rules = append(s.rules, r)
	}
	affinity := s.pods.Spec.Affinity
	if affinity != nil && affinity.PodAntiAffinity != nil {
		for _, term := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			s.rules = append(s.rules, rule{kind: apart, tally: t.tally(term.TopologyKey, term.LabelSelector, namespacesOf(term, own))})
			owned := t.tally(term.TopologyKey, term.LabelSelector, namespacesOf(term, own))
			owned.owner = s
			s.adds = append(s.adds, owned)
		}
	}
	if affinity != nil && affinity.PodAffinity != nil {
		for _, term := range affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			s.rules = append(s.rules, rule{kind: together, tally: t.tally(term.TopologyKey, term.LabelSelector, namespacesOf(term, own))})
		}
	}
}

// namespacesOf are those that a term looks in. One that selects namespaces by their
// labels, which are not known here, looks in all.
func namespacesOf(term corev1.PodAffinityTerm, own []string) []string {
	switch {
	case term.NamespaceSelector != nil:
		return nil
	case len(term.Namespaces) > 0:
		return term.Namespaces
	}
	return own
}

func (t *topology) tally(key string, selector *metav1.LabelSelector, namespaces []string) *tally {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		matches = labels.Nothing() // the API server refuses such selectors
	}
	i := slices.Index(t.keys, key)
	if i < 0 {
		i = len(t.keys)
		t.keys, t.ids = append(t.keys, key), append(t.ids, map[string]int32{})
	}
	y := &tally{key: i, selector: matches, namespaces: namespaces}
	t.tallies = append(t.tallies, y)
	return y
}

// locate finds the domains of a place, and makes room to count in new ones.
func (t *topology) locate(at *place) {
	at.domains = make([]int32, len(t.keys))
	for k, key := range t.keys {
		value, ok := at.labels[key]
		if !ok {
			at.domains[k] = -1
			continue
		}
		id, known := t.ids[k][value]
		if !known {
			id = int32(len(t.ids[k]))
			t.ids[k][value] = id
		}
		at.domains[k] = id
	}
	for _, y := range t.tallies {
		for len(y.counts) < len(t.ids[y.key]) {
			y.counts = append(y.counts, 0)
		}
	}
}

// emptiest is the least count among a rule's domains.
func (r *rule) emptiest() int32 {
	if len(r.domains) == 0 || int32(len(r.domains)) < r.least {
		return 0
	}
	least := r.tally.counts[r.domains[0]]
	for _, d := range r.domains {
		least = min(least, r.tally.counts[d])
	}
	return least
}

// allows tells whether one more pod may go to a place, where emptiest is that of the rule.
func (r *rule) allows(at *place, emptiest int32) bool {
	d := at.domains[r.tally.key]
	switch r.kind {
	case evenly:
		return d >= 0 && r.tally.counts[d]+r.self-emptiest <= r.skew
	case apart:
		return d < 0 || r.tally.counts[d] == 0
	default:
		return d >= 0 && (r.tally.counts[d] > 0 || r.tally.total == 0 && r.self == 1)
	}
}

func (s *shape) allowed(at *place) bool {
	for i := range s.rules {
		if r := &s.rules[i]; !r.allows(at, r.emptiest()) {
			return false
		}
	}
	return true
}

// spread places pods one by one where rules between pods allow it, each in the domain
// that has the fewest of them.
func (p *packer) spread(s *shape) {
	cells := p.cellsOf(s)
	floors := make([]int32, len(s.rules))
	for rewound := true; s.rest > 0; {
		moved := s.levels(floors)
		if moved {
			rewind(cells)
		}
		slices.SortStableFunc(cells, func(a, b *cell) int { return cmp.Compare(a.count(s), b.count(s)) })
		i := slices.IndexFunc(cells, func(c *cell) bool { return c.find(p, s, floors) })
		switch {
		case i >= 0:
			p.put(s, cells[i].places[cells[i].at], 1)
			rewound = false
		case rewound:
			return
		default:
			// What was passed over may have become possible since.
			rewind(cells)
			rewound = true
		}
	}
}

// levels looks up the emptiest domain of every rule, and tells whether any changed.
func (s *shape) levels(floors []int32) (changed bool) {
	for i := range s.rules {
		if r := &s.rules[i]; r.kind == evenly {
			now := r.emptiest()
			changed = changed || now != floors[i]
			floors[i] = now
		}
	}
	return changed
}

// A cell is places in the same domains, as far as these hold many nodes.
type cell struct {
	places []int
	at     int // the places before it were full or not allowed
	sample *place
}

func rewind(cells []*cell) {
	for _, c := range cells {
		c.at = 0
	}
}

// count is how many pods the first rule that spreads counts here.
func (c *cell) count(s *shape) int32 {
	for _, r := range s.rules {
		if d := c.sample.domains[r.tally.key]; r.kind == evenly && d >= 0 {
			return r.tally.counts[d]
		}
	}
	return 0
}

// find moves on to a place that takes a pod, if there is one.
func (c *cell) find(p *packer, s *shape, floors []int32) bool {
	for ; c.at < len(c.places); c.at++ {
		if at := p.places[c.places[c.at]]; at.takes(s) > 0 && s.allowedAt(at, floors) {
			return true
		}
	}
	return false
}

func (s *shape) allowedAt(at *place, floors []int32) bool {
	for i := range s.rules {
		if !s.rules[i].allows(at, floors[i]) {
			return false
		}
	}
	return true
}

// cellsOf groups the places that a shape may go to by the domains that count for it.
// Most shapes count by the same ones, so the groups are kept.
func (p *packer) cellsOf(s *shape) []*cell {
	var by []int
	for _, r := range s.rules {
		// A domain of one node or two is no cell: one would look through all of them.
		if key := r.tally.key; len(p.topology.ids[key])*2 <= len(p.places) && !slices.Contains(by, key) {
			by = append(by, key)
		}
	}
	kept := fmt.Sprint(s.said, by)
	groups, known := p.groups[kept]
	if !known {
		groups = p.group(s.open, by)
		p.groups[kept] = groups
	}
	var cells []*cell
	for _, places := range groups {
		cells = append(cells, &cell{places: places, sample: p.places[places[0]]})
	}
	return cells
}

// group splits places by their domains of some keys.
func (p *packer) group(places, by []int) [][]int {
	known := map[string]int{}
	var out [][]int
	for _, i := range places {
		var domains []int32
		for _, key := range by {
			domains = append(domains, p.places[i].domains[key])
		}
		name := fmt.Sprint(domains)
		at, ok := known[name]
		if !ok {
			at = len(out)
			known[name], out = at, append(out, nil)
		}
		out[at] = append(out[at], i)
	}
	return out
}
