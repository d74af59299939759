// Package room tells whether pods fit on nodes. It packs pods of their real sizes, one
// by one, where their selectors, affinities, tolerations and spreads let them go: sums
// of free memory say that a pod of 16 GiB fits on ten nodes with 2 GiB free each.
//
// It is pure, and simpler than the scheduler: it knows no volumes' zones, no priorities
// and no pre-emption. What it says fits does fit: Pack holds a place for every pod, and
// no rule is broken in it. What it finds no place for may still have one, since it
// tries few orders of the many; the scheduler, which takes pods as they come, rarely
// finds it either.
package room

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Pods are pods of one shape.
type Pods struct {
	// Name is the workload's, for people.
	Name  string
	Spec  *corev1.PodSpec
	Count int32
	// Namespace and Labels are those of the pods: rules between pods select by them.
	Namespace string
	Labels    map[string]string
	// Daemon pods run once on each node that takes them, and Count is not looked at.
	Daemon bool
	// Node is where the pods stand already. If it is none of the nodes, as when its zone
	// is thought away, they go wherever there is room.
	Node string
}

// A Fit is how pods went onto nodes.
type Fit struct {
	// Placed and Unplaced count pods.
	Placed   int32 `json:"placed"`
	Unplaced int32 `json:"unplaced"`
	// Short are workloads with pods that found no place, most first.
	Short []Short `json:"short,omitempty"`
	// Lacking are nodes that would take what found no place, by pool and zone. So many
	// are enough; fewer may be.
	Lacking []Lack `json:"lacking,omitempty"`
	// Pools are the node pools by zone, ordered by name.
	Pools []Pool `json:"pools,omitempty"`
	// Out counts the nodes that take no pods: cordoned, or not ready.
	Out int `json:"out,omitempty"`
}

// Short is a workload with pods that fit nowhere.
type Short struct {
	Name string `json:"name"`
	Pods int32  `json:"pods"`
	// Never says why not even a new node of any pool would take them; empty if one would.
	Never string `json:"never,omitempty"`
}

// A Lack is how many nodes more a pool would need in a zone.
type Lack struct {
	Pool  string `json:"pool"`
	Zone  string `json:"zone,omitempty"`
	Nodes int    `json:"nodes"`
}

// A Pool is the nodes of one pool in one zone.
type Pool struct {
	Name  string `json:"name"`
	Zone  string `json:"zone,omitempty"`
	Nodes int    `json:"nodes"`
	Pods  int32  `json:"pods"`
	// CPUPercent and MemoryPercent are how much of what the pool can allocate is
	// requested; -1 where it does not say how much it has.
	CPUPercent    int `json:"cpuPercent"`
	MemoryPercent int `json:"memoryPercent"`
}

// ZoneLabel is the well-known label of a node's zone.
const ZoneLabel = corev1.LabelTopologyZone

// poolLabels are those by which providers and autoscalers name pools of nodes.
var poolLabels = []string{
	"karpenter.sh/nodepool", "eks.amazonaws.com/nodegroup", "cloud.google.com/gke-nodepool", "kubernetes.azure.com/agentpool", "agentpool",
	"node.kubernetes.io/pool", "pool", corev1.LabelInstanceTypeStable,
}

// PoolOf names the pool of a node.
func PoolOf(n *corev1.Node) string {
	for _, label := range poolLabels {
		if v := n.Labels[label]; v != "" {
			return v
		}
	}
	return "nodes"
}

// Zones lists the zones of nodes.
func Zones(nodes []*corev1.Node) []string {
	var out []string
	for _, n := range nodes {
		if z := n.Labels[ZoneLabel]; z != "" && !slices.Contains(out, z) {
			out = append(out, z)
		}
	}
	slices.Sort(out)
	return out
}

// Without are the nodes that are not in a zone.
func Without(nodes []*corev1.Node, zone string) []*corev1.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *corev1.Node) bool { return n.Labels[ZoneLabel] == zone })
}

// Pack puts pods on nodes: those that stand already, one of each daemon on every node,
// then the others in decreasing size, each on the first node that takes it. Where that
// leaves pods over it tries again, those with the fewest nodes to go to first, and
// tells the better of both.
func Pack(nodes []*corev1.Node, pods []Pods) Fit {
	p := pack(nodes, pods)
	out := p.fit()
	if out.Unplaced == 0 {
		return out
	}
	over := map[*shape]int32{}
	for _, s := range p.shapes {
		over[s] = s.rest
	}
	p.extend()
	out.Lacking = p.lacking()
	for _, s := range p.shapes {
		if over[s] > 0 {
			out.Short = append(out.Short, Short{s.pods.Name, over[s], s.never})
		}
	}
	slices.SortStableFunc(out.Short, func(a, b Short) int {
		return cmp.Or(cmp.Compare(b.Pods, a.Pods), strings.Compare(a.Name, b.Name))
	})
	return out
}

func pack(nodes []*corev1.Node, pods []Pods) *packer {
	p := newPacker(nodes, pods)
	p.run(largestFirst)
	if p.unplaced() > 0 {
		again := newPacker(nodes, pods)
		if again.run(choosiestFirst); again.unplaced() < p.unplaced() {
			p = again
		}
	}
	return p
}

func largestFirst(a, b *shape) int {
	return cmp.Or(cmp.Compare(a.late, b.late), cmp.Compare(b.size, a.size), cmp.Compare(len(a.open), len(b.open)), strings.Compare(a.pods.Name, b.pods.Name))
}

func choosiestFirst(a, b *shape) int {
	return cmp.Or(cmp.Compare(a.late, b.late), cmp.Compare(len(a.open), len(b.open)), largestFirst(a, b))
}

// run places everything in one order.
func (p *packer) run(order func(a, b *shape) int) {
	for _, s := range p.shapes {
		if s.pods.Node != "" {
			p.stand(s)
		}
	}
	for _, s := range p.shapes {
		if s.pods.Daemon {
			p.everywhere(s)
		}
	}
	p.ordered = slices.DeleteFunc(slices.Clone(p.shapes), func(s *shape) bool { return s.pods.Daemon || s.rest == 0 })
	slices.SortStableFunc(p.ordered, order)
	for _, s := range p.ordered {
		if s.free() {
			p.fill(s)
		} else {
			p.spread(s)
		}
	}
}

// stand leaves pods where they are.
func (p *packer) stand(s *shape) {
	if p.out[s.pods.Node] {
		s.rest, s.placed = 0, s.rest
		return
	}
	for i, at := range p.places {
		if at.node.Name == s.pods.Node {
			p.put(s, i, s.rest)
			return
		}
	}
}

// everywhere puts one pod on each node that may have it.
func (p *packer) everywhere(s *shape) {
	s.rest = int32(len(s.open))
	for _, i := range s.open {
		if p.places[i].takes(s) > 0 {
			p.put(s, i, 1)
		}
	}
}

// fill puts as many as fit on one node after the other: nothing but room decides.
func (p *packer) fill(s *shape) {
	for _, i := range s.open {
		if s.rest == 0 {
			return
		}
		if n := min(s.rest, p.places[i].takes(s)); n > 0 {
			p.put(s, i, n)
		}
	}
}

// fit tells what came of it.
func (p *packer) fit() Fit {
	out := Fit{Out: len(p.out), Unplaced: p.unplaced()}
	for _, s := range p.shapes {
		out.Placed += s.placed
	}
	for _, pool := range p.pools {
		out.Pools = append(out.Pools, p.withUse(*pool))
	}
	slices.SortFunc(out.Pools, func(a, b Pool) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Zone, b.Zone)) })
	return out
}

func (p *packer) unplaced() (n int32) {
	for _, s := range p.shapes {
		n += s.rest
	}
	return n
}

// withUse adds how full a pool is.
func (p *packer) withUse(pool Pool) Pool {
	var total, left [2]int64
	for _, at := range p.places {
		if at.pool.Name != pool.Name || at.pool.Zone != pool.Zone {
			continue
		}
		for d := range total {
			total[d], left[d] = min(endless, total[d]+at.total[d]), left[d]+at.left[d]
		}
	}
	percent := func(d int) int {
		if total[d] >= endless || total[d] == 0 {
			return -1
		}
		return int((total[d] - left[d]) * 100 / total[d])
	}
	pool.CPUPercent, pool.MemoryPercent = percent(cpu), percent(memory)
	return pool
}
