package wan

// EachPair calls f with every pair of hosts of different attachments, and what holds
// between them, computed for this pair alone: without classes.
func (n *Network) EachPair(f func(from, to Host, o Outcome)) {
	m := n.matrix()
	w := &walker{p: m.p}
	for _, x := range m.hosts {
		for _, y := range m.hosts {
			if x.Attachment == y.Attachment {
				continue
			}
			there, back := w.between(x, y), nothing
			if there.arrives != no {
				back = w.between(y, x)
			}
			f(x.Host, y.Host, outcomeOf(there, back))
		}
	}
}
