package wan

import (
	"cmp"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Verdict says whether one side reaches the other.
type Verdict string

const (
	// Yes: packets arrive, and so do the answers.
	Yes Verdict = "Yes"
	// OneWay: packets arrive, and answers do not.
	OneWay Verdict = "OneWay"
	// No: packets do not arrive.
	No Verdict = "No"
	// Unknown: something would have to be known, and Why says what.
	Unknown Verdict = "Unknown"
)

// A Host is one prefix of one attachment. The attachment is nil for addresses that
// nobody advertises, and the prefix is not valid if it is not known which prefixes an
// attachment advertises.
type Host struct {
	Attachment *Attachment
	Prefix     netip.Prefix
}

// A Side is one side of a flow: hosts that land in the same place, ordered by
// attachment and prefix.
type Side struct {
	Landing Landing
	Hosts   []Host
}

// Attachments returns the names of the side's attachments.
func (s Side) Attachments() []string {
	return s.names(func(a *Attachment) string { return a.Name })
}

// Accounts returns the owners of the side's attachments, as the documents name them.
// Attachments without an owner are left out.
func (s Side) Accounts() []string {
	return s.names(func(a *Attachment) string { return a.Account })
}

func (s Side) names(of func(*Attachment) string) []string {
	var out []string
	for _, h := range s.Hosts {
		if h.Attachment != nil && of(h.Attachment) != "" {
			out = append(out, of(h.Attachment))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// An Outcome is what holds between two sides.
type Outcome struct {
	Verdict Verdict `json:"verdict"`
	// Through are the network function groups that inspect packets on the way there,
	// in order, and Back those that inspect the answers.
	Through []string `json:"through,omitempty"`
	Back    []string `json:"back,omitempty"`
	// Why says why packets or answers do not arrive, or what would have to be known,
	// for the first pair of the two sides.
	Why string `json:"why,omitempty"`
}

// A Flow says what holds between every host of one side and every one of the other,
// except between hosts of one attachment.
type Flow struct {
	From, To Side
	Outcome
	// Path and PathBack are the ways of the first pair, as far as packets get.
	Path, PathBack []Hop
}

// Reach returns who of from reaches what of to. Each is an address range, or the name
// of a segment, an attachment, an account or a group, with its kind before it where
// the name alone is not clear ("segment:dev"); "*" is everything. Flows are ordered
// by their sides.
//
// The error says which side names nothing.
func (n *Network) Reach(from, to string) ([]Flow, error) {
	m := n.matrix()
	sources, err := m.find(from, false)
	if err != nil {
		return nil, fmt.Errorf("from %s: %w", from, err)
	}
	targets, err := m.find(to, true)
	if err != nil {
		return nil, fmt.Errorf("to %s: %w", to, err)
	}
	return m.flows(sources, targets), nil
}

// Flows returns who reaches whom, for all that is attached. It is computed by
// classes: hosts that nothing in the policy tells apart are looked at once.
func (n *Network) Flows() []Flow {
	m := n.matrix()
	m.fill()
	return m.flows(m.hosts, m.hosts)
}

// A host is a Host with its classes: as a source of packets, and as a target.
type host struct {
	Host
	entry    *entry
	src, dst int
	order    int // among the hosts of its network
}

// A matrix is every journey between two classes, computed when it is asked for.
type matrix struct {
	p            *plane
	walker       walker
	hosts        []*host // by attachment and prefix
	sources      []*host // one for each class
	targets      []*host
	sourceIDs    map[string]int
	targetIDs    map[string]int
	journeys     [][]*journey   // by source class and target class
	outcomeIndex map[string]int // outcomes by key
	key          []byte
}

func (n *Network) matrix() *matrix {
	m := &matrix{p: n.plan(), sourceIDs: map[string]int{}, targetIDs: map[string]int{}, outcomeIndex: map[string]int{}}
	m.walker.p = m.p
	c := newClassifier(m.p)
	for _, a := range n.Attachments {
		if !a.PrefixesKnown {
			m.add(c, &host{Host: Host{Attachment: a}})
		}
		for _, prefix := range a.Prefixes {
			m.add(c, &host{Host: Host{a, prefix}, entry: m.p.entries[prefix]})
		}
	}
	slices.SortStableFunc(m.hosts, func(a, b *host) int { return compareHosts(a.Host, b.Host) })
	for i, h := range m.hosts {
		h.order = i
	}
	return m
}

// add gives a host its classes.
func (m *matrix) add(c *classifier, h *host) {
	m.hosts = append(m.hosts, h)
	m.class(c, h)
}

func (m *matrix) class(c *classifier, h *host) {
	key := c.source(h)
	id, ok := m.sourceIDs[key]
	if !ok {
		id = len(m.sources)
		m.sourceIDs[key], m.sources = id, append(m.sources, h)
	}
	h.src = id
	key = c.target(h)
	if id, ok = m.targetIDs[key]; !ok {
		id = len(m.targets)
		m.targetIDs[key], m.targets = id, append(m.targets, h)
	}
	h.dst = id
}

// journey returns what happens to packets of a source class to a target class.
func (m *matrix) journey(src, dst int) *journey {
	for len(m.journeys) <= src {
		m.journeys = append(m.journeys, nil)
	}
	if missing := len(m.targets) - len(m.journeys[src]); missing > 0 {
		m.journeys[src] = append(m.journeys[src], make([]*journey, missing)...)
	}
	j := m.journeys[src][dst]
	if j == nil {
		j = m.walker.between(m.sources[src], m.targets[dst])
		m.journeys[src][dst] = j
	}
	return j
}

// fill computes every journey, on every processor.
func (m *matrix) fill() {
	m.journeys = make([][]*journey, len(m.sources))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(m.sources)) {
		wait.Go(func() {
			w := &walker{p: m.p}
			for {
				src := int(next.Add(1)) - 1
				if src >= len(m.sources) {
					return
				}
				row := make([]*journey, len(m.targets))
				for dst := range row {
					row[dst] = w.between(m.sources[src], m.targets[dst])
				}
				m.journeys[src] = row
			}
		})
	}
	wait.Wait()
}

// between follows packets between two hosts.
func (w *walker) between(from, to *host) *journey {
	if from.Attachment == nil {
		return &journey{arrives: maybe, why: "where packets from outside enter"}
	}
	if j := standing(from.Attachment); j != nil {
		return j
	}
	if to.Attachment != nil {
		if j := standing(to.Attachment); j != nil {
			return j
		}
	}
	if to.entry == nil {
		return &journey{arrives: maybe, why: "the prefixes of " + to.Attachment.Name}
	}
	j := w.travel(from.Attachment, to.entry, to.Attachment)
	return &j
}

// standing returns the journey of everything from or to an attachment that is not in
// a segment, or nil.
func standing(a *Attachment) *journey {
	switch {
	case len(a.Landing.Missing) > 0:
		return &journey{arrives: maybe, why: "where " + a.Name + " lands: " + list(a.Landing.Missing)}
	case a.Landing.Group != "":
		return &journey{arrives: maybe, why: "whether the own addresses of " + a.Name + ", an attachment of group " + a.Landing.Group + ", are routed: the vendor does not say"}
	case a.Landing.Segment == "":
		return &journey{arrives: no, why: a.Name + " lands nowhere: " + a.Landing.Why}
	}
	return nil
}

// nothing is the journey of answers to what does not arrive.
var nothing = &journey{}

// between returns the two journeys between two hosts' classes.
func (m *matrix) between(from, to *host) (there, back *journey) {
	there = m.journey(from.src, to.dst)
	switch {
	case there.arrives == no:
		return there, nothing
	case to.Attachment == nil:
		return there, m.answer(there, from)
	}
	return there, m.journey(to.src, from.dst)
}

// outcome returns a number for what holds between two hosts' classes, which is the
// same for the same key.
func (m *matrix) outcome(from, to *host) int {
	there, back := m.between(from, to)
	m.key = appendKey(m.key[:0], there, back)
	id, ok := m.outcomeIndex[string(m.key)]
	if !ok {
		id = len(m.outcomeIndex)
		m.outcomeIndex[string(m.key)] = id
	}
	return id
}

// verdictOf is what two journeys mean together.
func verdictOf(there, back *journey) Verdict {
	switch {
	case there.arrives == no:
		return No
	case there.arrives == maybe || back.arrives == maybe:
		return Unknown
	case back.arrives == no:
		return OneWay
	}
	return Yes
}

func outcomeOf(there, back *journey) Outcome {
	o := Outcome{Verdict: verdictOf(there, back)}
	switch {
	case there.arrives != yes:
		o.Why = there.why
	case back.arrives != yes:
		o.Why = "answers: " + back.why
	}
	if o.Verdict == Yes || o.Verdict == OneWay {
		o.Through = groupsOf(there.hops)
	}
	if o.Verdict == Yes {
		o.Back = groupsOf(back.hops)
	}
	return o
}

// appendKey writes what outcomes have to have in common to be the same but for
// reasons.
func appendKey(key []byte, there, back *journey) []byte {
	v := verdictOf(there, back)
	key = append(key, v...)
	if v == Yes || v == OneWay {
		key = appendGroups(append(key, '>'), there.hops)
	}
	if v == Yes {
		key = appendGroups(append(key, '<'), back.hops)
	}
	return key
}

func appendGroups(key []byte, hops []Hop) []byte {
	last := ""
	for _, h := range hops {
		if h.Kind == HopGroup && h.Name != last {
			key, last = append(append(key, h.Name...), ','), h.Name
		}
	}
	return key
}

// answer is the journey of answers from outside: they enter where packets left.
func (m *matrix) answer(there *journey, from *host) *journey {
	if there.arrives != yes {
		return &journey{arrives: maybe, why: there.why}
	}
	if from.entry == nil {
		return &journey{arrives: maybe, why: "the prefixes of " + from.Attachment.Name}
	}
	t := &m.p.sites[there.end.number]
	w := &m.walker
	w.start(from.entry, from.Attachment)
	if t.group >= 0 {
		j := w.group(t.group, there.endEdge, []Hop{{HopGroup, m.p.groups[t.group].name, m.p.regions[there.endEdge]}})
		return &j
	}
	if t.segment < 0 {
		return &journey{arrives: maybe, why: "where " + there.end.Name + " lands"}
	}
	j := w.segment(t.segment, there.endEdge, nil)
	return &j
}

// A bundle is hosts that cannot be told apart.
type bundle struct {
	hosts []*host
	place int // number of the landing
}

// bundles groups hosts by classes and by where they land.
func bundles(hosts []*host, places *places) []bundle {
	type key struct{ src, dst, place int }
	index := map[key]int{}
	var out []bundle
	for _, h := range hosts {
		k := key{h.src, h.dst, places.number(h.Attachment)}
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, bundle{place: k.place})
		}
		out[i].hosts = append(out[i].hosts, h)
	}
	return out
}

// apart reports whether two bundles have hosts of different attachments.
func apart(a, b []*host) bool {
	for _, x := range a {
		for _, y := range b {
			if x.Attachment != y.Attachment {
				return true
			}
		}
	}
	return false
}

// flows returns the flows between hosts.
func (m *matrix) flows(from, to []*host) []Flow {
	var places places
	rows, columns := bundles(from, &places), bundles(to, &places)
	blocks := rectangles(len(rows), len(columns), func(i, j int) (block, bool) {
		if !apart(rows[i].hosts, columns[j].hosts) {
			return block{}, false
		}
		return block{from: rows[i].place, to: columns[j].place, before: m.outcome(rows[i].hosts[0], columns[j].hosts[0])}, true
	})
	out := make([]Flow, len(blocks))
	for k, b := range blocks {
		from, to := gather(rows, b.rows), gather(columns, b.columns)
		f := Flow{From: side(from), To: side(to)}
		x, y := example(from, to)
		there, back := m.between(x, y)
		f.Outcome, f.Path, f.PathBack = outcomeOf(there, back), there.hops, back.hops
		out[k] = f
	}
	slices.SortStableFunc(out, func(a, b Flow) int {
		return strings.Compare(a.From.Landing.String()+"\x00"+a.To.Landing.String(), b.From.Landing.String()+"\x00"+b.To.Landing.String())
	})
	return out
}

// gather returns the hosts of several bundles, by attachment and prefix.
func gather(all []bundle, which []int) []*host {
	var out []*host
	for _, i := range which {
		out = append(out, all[i].hosts...)
	}
	slices.SortFunc(out, func(a, b *host) int { return a.order - b.order })
	return out
}

// example returns the first pair of two sides that are of different attachments.
func example(from, to []*host) (x, y *host) {
	for _, x := range from {
		for _, y := range to {
			if x.Attachment != y.Attachment {
				return x, y
			}
		}
	}
	return from[0], to[0]
}

func side(hosts []*host) Side {
	s := Side{Hosts: make([]Host, len(hosts))}
	for i, h := range hosts {
		s.Hosts[i] = h.Host
	}
	if a := s.Hosts[0].Attachment; a != nil {
		s.Landing = a.Landing
	} else {
		s.Landing.Why = "outside the core network"
	}
	return s
}

func compareHosts(a, b Host) int {
	if a.Attachment == nil || b.Attachment == nil {
		return 0
	}
	return cmp.Or(strings.Compare(a.Attachment.Name, b.Attachment.Name), a.Prefix.Compare(b.Prefix))
}

// A block is a set of rows and columns that have the same in common everywhere.
type block struct {
	from, to      int // places
	before, after int // outcomes
	rows, columns []int
}

// rectangles merges the cells of a table in which what says the same: rows with the
// same columns for the same key are one block. what leaves a cell out by returning
// false.
func rectangles(rows, columns int, what func(i, j int) (block, bool)) []block {
	type key struct{ from, to, before, after int }
	index := map[string]int{}
	var out []block
	text := make([]byte, 0, 1024)
	for i := range rows {
		at := map[key]int{}
		var own []block
		for j := range columns {
			b, ok := what(i, j)
			if !ok {
				continue
			}
			k := key{b.from, b.to, b.before, b.after}
			x, ok := at[k]
			if !ok {
				x = len(own)
				at[k], own = x, append(own, b)
			}
			own[x].columns = append(own[x].columns, j)
		}
		for _, b := range own {
			text = fmt.Appendf(text[:0], "%d %d %d %d", b.from, b.to, b.before, b.after)
			for _, j := range b.columns {
				text = append(text, byte(j), byte(j>>8), byte(j>>16))
			}
			x, ok := index[string(text)]
			if !ok {
				x = len(out)
				index[string(text)], out = x, append(out, b)
			}
			out[x].rows = append(out[x].rows, i)
		}
	}
	return out
}

// places numbers where attachments land.
type places struct{ index map[string]int }

func (p *places) number(a *Attachment) int {
	text := "outside"
	if a != nil {
		text = a.Landing.Segment + "/" + a.Landing.Group
		if len(a.Landing.Missing) > 0 {
			text = "unknown"
		}
	}
	if p.index == nil {
		p.index = map[string]int{}
	}
	n, ok := p.index[text]
	if !ok {
		n = len(p.index)
		p.index[text] = n
	}
	return n
}
