package wan

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Difference is what a change of a core network changes.
type Difference struct {
	Network string
	// Moves are attachments that land elsewhere, come, or go.
	Moves []Move
	// Changes are pairs of hosts with another outcome.
	Changes []Change
	// Pairs is how many pairs of hosts of different attachments were compared, and
	// Turned how many have another outcome. Classes is how many kinds of hosts had to
	// be told apart.
	Pairs, Turned, Classes int
}

// A Move is an attachment that lands elsewhere than before. From or To is nil if it
// is not there before or after.
type Move struct {
	Attachment string
	From, To   *Landing
}

// A Change is what turns between every host of one side and every one of the other.
// Sides land where they do after the change, or before it if they go.
type Change struct {
	From, To      Side
	Before, After Outcome
	// wholeFrom and wholeTo hold when all hosts of the place are in it.
	wholeFrom, wholeTo bool
}

// Compare returns what changes from one state of a core network to another. It is
// computed by classes, like Flows. Hosts that are there in one of the states only
// count as reaching nothing in the other.
func Compare(before, after *Network) *Difference {
	c := &comparison{before: before.matrix(), after: after.matrix(), index: map[hostKey]int{}}
	c.before.fill()
	c.after.fill()
	c.join()
	d := &Difference{Network: after.Name, Moves: moves(before, after)}
	c.compare(d)
	return d
}

// CompareAll compares core networks by name. One that is there in one of the states
// only is compared with one to which nothing is attached.
func CompareAll(before, after []*Network) []*Difference {
	var out []*Difference
	named := func(all []*Network, name string) *Network {
		for _, n := range all {
			if n.Name == name {
				return n
			}
		}
		p := &Policy{}
		p.index()
		return &Network{Name: name, Policy: p}
	}
	var names []string
	for _, n := range slices.Concat(before, after) {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		out = append(out, Compare(named(before, name), named(after, name)))
	}
	return out
}

// Sentences tells the difference, one change a sentence: moves first, then what
// reaches more than before, then the rest.
func (d *Difference) Sentences() []string {
	var out []string
	for _, m := range d.Moves {
		out = append(out, m.String())
	}
	for _, c := range d.Changes {
		out = append(out, c.String())
	}
	return out
}

func moves(before, after *Network) []Move {
	var out []Move
	for _, a := range before.Attachments {
		b := after.byName[a.Name]
		switch {
		case b == nil:
			out = append(out, Move{Attachment: a.Name, From: &a.Landing})
		case !a.Landing.lands(b.Landing):
			out = append(out, Move{Attachment: a.Name, From: &a.Landing, To: &b.Landing})
		}
	}
	for _, a := range after.Attachments {
		if before.byName[a.Name] == nil {
			out = append(out, Move{Attachment: a.Name, To: &a.Landing})
		}
	}
	slices.SortFunc(out, func(a, b Move) int { return strings.Compare(a.Attachment, b.Attachment) })
	return out
}

func (m Move) String() string {
	switch {
	case m.From == nil:
		return fmt.Sprintf("after this, %s is attached and lands in %s", m.Attachment, placeOf(*m.To))
	case m.To == nil:
		return fmt.Sprintf("after this, %s is not attached any more; today it lands in %s", m.Attachment, placeOf(*m.From))
	}
	return fmt.Sprintf("after this, %s lands in %s; today in %s", m.Attachment, placeOf(*m.To), placeOf(*m.From))
}

func placeOf(l Landing) string {
	switch {
	case len(l.Missing) > 0:
		return "an unknown place (" + list(l.Missing) + ")"
	case l.Segment == "" && l.Group == "":
		return "no segment (" + l.Why + ")"
	}
	return l.String()
}

type hostKey struct {
	name   string
	prefix netip.Prefix
}

// A joined host is the same host in both states; one of them may be nil.
type joined struct {
	before, after *host
	order         int
}

func (j joined) host() Host {
	if j.after != nil {
		return j.after.Host
	}
	return j.before.Host
}

func (j joined) attachment() *Attachment { return j.host().Attachment }

// A comparison joins the hosts of two states, and the classes that they have.
type comparison struct {
	before, after *matrix
	index         map[hostKey]int
	hosts         []joined
	classes       [][]joined
	places        []int // of each class
	sizes         map[int]int
}

func (c *comparison) join() {
	for _, h := range c.after.hosts {
		c.index[hostKey{h.Attachment.Name, h.Prefix}] = len(c.hosts)
		c.hosts = append(c.hosts, joined{after: h})
	}
	for _, h := range c.before.hosts {
		if i, ok := c.index[hostKey{h.Attachment.Name, h.Prefix}]; ok {
			c.hosts[i].before = h
		} else {
			c.hosts = append(c.hosts, joined{before: h})
		}
	}
	slices.SortStableFunc(c.hosts, func(a, b joined) int { return compareHosts(a.host(), b.host()) })
	for i := range c.hosts {
		c.hosts[i].order = i
	}
	type key struct{ src, dst, src2, dst2, place int }
	var places places
	index := map[key]int{}
	c.sizes = map[int]int{}
	for _, j := range c.hosts {
		k := key{-1, -1, -1, -1, places.number(j.attachment())}
		if j.before != nil {
			k.src, k.dst = j.before.src, j.before.dst
		}
		if j.after != nil {
			k.src2, k.dst2 = j.after.src, j.after.dst
		}
		i, ok := index[k]
		if !ok {
			i = len(c.classes)
			index[k] = i
			c.classes, c.places = append(c.classes, nil), append(c.places, k.place)
		}
		c.classes[i] = append(c.classes[i], j)
		c.sizes[k.place]++
	}
}

// absent is the journey of hosts that are not there.
var absent = &journey{why: "it is not attached"}

// perhaps is between, for hosts that may not be there.
func (m *matrix) perhaps(from, to *host) (there, back *journey) {
	if from == nil || to == nil {
		return absent, nothing
	}
	return m.between(from, to)
}

// compare looks at each pair of classes once.
func (c *comparison) compare(d *Difference) {
	d.Classes = len(c.classes)
	own := c.own()
	ids := map[string]int{}
	id := func(key []byte) int {
		n, ok := ids[string(key)]
		if !ok {
			n = len(ids)
			ids[string(key)] = n
		}
		return n
	}
	var keys [2][]byte
	blocks := rectangles(len(c.classes), len(c.classes), func(i, j int) (block, bool) {
		from, to := c.classes[i], c.classes[j]
		pairs := len(from)*len(to) - own[[2]int{i, j}]
		if pairs == 0 {
			return block{}, false
		}
		d.Pairs += pairs
		there, back := c.before.perhaps(from[0].before, to[0].before)
		keys[0] = appendKey(keys[0][:0], there, back)
		there, back = c.after.perhaps(from[0].after, to[0].after)
		keys[1] = appendKey(keys[1][:0], there, back)
		if bytes.Equal(keys[0], keys[1]) {
			return block{}, false
		}
		d.Turned += pairs
		return block{from: c.places[i], to: c.places[j], before: id(keys[0]), after: id(keys[1])}, true
	})
	for _, b := range blocks {
		from, to := c.gather(b.rows), c.gather(b.columns)
		x, y := c.example(from, to)
		change := Change{From: joinedSide(from), To: joinedSide(to)}
		change.Before = outcomeOf(c.before.perhaps(x.before, y.before))
		change.After = outcomeOf(c.after.perhaps(x.after, y.after))
		change.wholeFrom = len(change.From.Hosts) == c.sizes[b.from]
		change.wholeTo = len(change.To.Hosts) == c.sizes[b.to]
		d.Changes = append(d.Changes, change)
	}
	slices.SortStableFunc(d.Changes, func(a, b Change) int {
		if r := a.rank() - b.rank(); r != 0 {
			return r
		}
		return strings.Compare(a.String(), b.String())
	})
}

// own counts, for pairs of classes, the pairs of hosts of one and the same attachment.
func (c *comparison) own() map[[2]int]int {
	hosts := map[string]map[int]int{} // by attachment: hosts in each class
	for i, class := range c.classes {
		for _, j := range class {
			name := j.attachment().Name
			if hosts[name] == nil {
				hosts[name] = map[int]int{}
			}
			hosts[name][i]++
		}
	}
	out := map[[2]int]int{}
	for _, in := range hosts {
		for i, n := range in {
			for j, m := range in {
				out[[2]int{i, j}] += n * m
			}
		}
	}
	return out
}

// gather returns the hosts of several classes, by attachment and prefix.
func (c *comparison) gather(classes []int) []joined {
	var out []joined
	for _, i := range classes {
		out = append(out, c.classes[i]...)
	}
	slices.SortFunc(out, func(a, b joined) int { return a.order - b.order })
	return out
}

// example returns the first pair of two sides that are of different attachments.
func (c *comparison) example(from, to []joined) (x, y joined) {
	for _, x := range from {
		for _, y := range to {
			if x.attachment().Name != y.attachment().Name {
				return x, y
			}
		}
	}
	return from[0], to[0]
}

func joinedSide(hosts []joined) Side {
	s := Side{Hosts: make([]Host, len(hosts))}
	for i, j := range hosts {
		s.Hosts[i] = j.host()
	}
	s.Landing = s.Hosts[0].Attachment.Landing
	return s
}

// rank orders changes by how much they matter: what is reached past inspection, what
// is reached, what is not known, what ends.
func (c *Change) rank() int {
	switch {
	case c.After.Verdict == Yes && len(c.After.Through) == 0:
		return 0
	case c.After.Verdict == Yes:
		return 1
	case c.After.Verdict == OneWay:
		return 2
	case c.After.Verdict == Unknown:
		return 3
	}
	return 4
}
