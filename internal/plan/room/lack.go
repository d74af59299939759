package room

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// extend adds nodes like those of the pools until every pod has a place that can have
// one, each time of the pool with the most nodes among those that take the pod.
func (p *packer) extend() {
	kinds := p.kinds()
	for _, s := range p.ordered {
		for s.rest > 0 {
			if !s.free() {
				p.spread(s) // a pod on a new node may allow one more on an old one
			}
			if s.rest == 0 || p.onAdded(s) {
				continue
			}
			if !p.addFor(s, kinds) {
				s.never = p.whyNever(s)
				break
			}
		}
	}
}

// kinds are one node of each pool and zone, those of the largest pools first.
func (p *packer) kinds() []*place {
	first := map[*Pool]*place{}
	for _, at := range p.places[:p.standing] {
		if first[at.pool] == nil {
			first[at.pool] = at
		}
	}
	size := map[string]int{}
	for _, pool := range p.pools {
		size[pool.Name] += pool.Nodes
	}
	return slices.SortedFunc(maps.Values(first), func(a, b *place) int {
		return cmp.Or(cmp.Compare(size[b.pool.Name], size[a.pool.Name]), strings.Compare(a.pool.Name, b.pool.Name), strings.Compare(a.pool.Zone, b.pool.Zone))
	})
}

// onAdded puts pods on nodes that were added before.
func (p *packer) onAdded(s *shape) bool {
	for i := p.standing; i < len(p.places); i++ {
		at := p.places[i]
		if n := at.takes(s); n > 0 && at.admits(s.pods.Spec) && s.allowed(at) {
			if !s.free() {
				n = 1
			}
			p.put(s, i, n)
			return true
		}
	}
	return false
}

// addFor adds a node that takes the pod: of the zones of a pool that do, the one to
// which the fewest were added.
func (p *packer) addFor(s *shape, kinds []*place) bool {
	added := map[*Pool]int{}
	for _, at := range p.places[p.standing:] {
		added[at.pool]++
	}
	var best *place
	for _, like := range kinds {
		if best != nil && (like.pool.Name != best.pool.Name || added[like.pool] >= added[best.pool]) {
			continue
		}
		if at := p.fresh(like); at.admits(s.pods.Spec) && at.takes(s) > 0 && s.allowed(at) {
			best = at
		}
	}
	if best == nil {
		return false
	}
	p.places = append(p.places, best)
	for _, x := range p.shapes {
		for i := range x.rules {
			if r := &x.rules[i]; r.kind == evenly && x.rest > 0 {
				r.reckon(x, best)
			}
		}
	}
	return true
}

// fresh is an empty node like another, with what every node of its kind runs.
func (p *packer) fresh(like *place) *place {
	name := fmt.Sprintf("%s-new-%d", like.pool.Name, len(p.places)-p.standing)
	n := &corev1.Node{ObjectMeta: *like.node.ObjectMeta.DeepCopy(), Spec: like.node.Spec, Status: like.node.Status}
	n.Name = name
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelHostname] = name
	at := &place{node: n, labels: labelsOf(n), total: like.total, left: slices.Clone(like.total), ports: map[int32]bool{}, pool: like.pool}
	p.topology.locate(at)
	for _, s := range p.shapes {
		if !s.pods.Daemon || !at.admits(s.pods.Spec) {
			continue
		}
		for d, need := range s.need {
			at.left[d] -= need
		}
		for _, port := range s.ports {
			at.ports[port] = true
		}
	}
	return at
}

// lacking counts what was added.
func (p *packer) lacking() []Lack {
	var out []Lack
	for _, at := range p.places[p.standing:] {
		i := slices.IndexFunc(out, func(l Lack) bool { return l.Pool == at.pool.Name && l.Zone == at.pool.Zone })
		if i < 0 {
			i, out = len(out), append(out, Lack{Pool: at.pool.Name, Zone: at.pool.Zone})
		}
		out[i].Nodes++
	}
	slices.SortFunc(out, func(a, b Lack) int { return cmp.Or(strings.Compare(a.Pool, b.Pool), strings.Compare(a.Zone, b.Zone)) })
	return out
}

// whyNever says why no node takes a pod, however many there are.
func (p *packer) whyNever(s *shape) string {
	if len(s.open) == 0 {
		return "no node meets its selector, its affinity and its tolerations"
	}
	short := func(d int, amount func(int64) string, what string) string {
		var most int64
		for _, i := range s.open {
			most = max(most, p.places[i].total[d])
		}
		if s.need[d] <= most {
			return ""
		}
		return fmt.Sprintf("it requests %s of %s, and the largest node has %s", amount(s.need[d]), what, amount(most))
	}
	plain := func(n int64) string { return resource.NewQuantity(n, resource.DecimalSI).String() }
	said := []string{short(cpu, cpuText, "CPU"), short(memory, memoryText, "memory")}
	for d, name := range p.names {
		said = append(said, short(common+d, plain, string(name)))
	}
	for _, text := range said {
		if text != "" {
			return text
		}
	}
	if !s.free() {
		return "its rules of spread and affinity leave it no node"
	}
	return "what runs on every node leaves it no room"
}

func cpuText(n int64) string    { return resource.NewMilliQuantity(n, resource.DecimalSI).String() }
func memoryText(n int64) string { return resource.NewQuantity(n, resource.BinarySI).String() }
