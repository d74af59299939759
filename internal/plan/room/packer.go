package room

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The resources that every node has, as indexes; what else pods request follows.
const (
	cpu = iota
	memory
	slots // how many pods a node takes
	common
)

// endless stands for what a node does not say.
const endless = int64(1) << 60

// usualPods is how many pods a node takes that does not say: the kubelet's default.
const usualPods = 110

// A packer is nodes and pods at work.
type packer struct {
	names []corev1.ResourceName // of the resources beyond the common ones
	// places are the nodes that take pods; those after the first standing ones were
	// added to see how many are lacking.
	places   []*place
	standing int
	pools    map[poolKey]*Pool
	out      map[string]bool // nodes that take no pods
	shapes   []*shape
	ordered  []*shape // the shapes that go anywhere, in the order in which they went
	topology topology
	groups   map[string][][]int // of standing places: see cellsOf
	puts     []put
}

type poolKey struct{ name, zone string }

// A place is a node with what is left on it.
type place struct {
	node        *corev1.Node
	labels      labels.Set
	total, left []int64
	ports       map[int32]bool
	pool        *Pool
	domains     []int32 // by topology key; -1 without its label
}

// A shape is pods of one kind as they are being placed.
type shape struct {
	pods         Pods
	need         []int64
	ports        []int32
	size         float64 // the largest part that one pod takes of all there is
	said         string  // what it says about nodes
	open         []int   // the standing places that its selectors and tolerations allow
	late         int     // 1 if it follows others by affinity
	rules        []rule
	adds         []*tally // what counts its pods
	rest, placed int32
	never        string
}

// put is so many pods of a shape on a place.
type put struct {
	shape *shape
	place int
	pods  int32
}

func newPacker(nodes []*corev1.Node, pods []Pods) *packer {
	p := &packer{pools: map[poolKey]*Pool{}, out: map[string]bool{}, groups: map[string][][]int{}}
	needs := make([]requests, len(pods))
	for i, x := range pods {
		needs[i] = requestsOf(x.Spec)
		for name := range needs[i] {
			if name != corev1.ResourceCPU && name != corev1.ResourceMemory && !slices.Contains(p.names, name) {
				p.names = append(p.names, name)
			}
		}
	}
	slices.Sort(p.names)
	for _, n := range nodes {
		if takesNoPods(n) {
			p.out[n.Name] = true
			continue
		}
		p.places = append(p.places, p.placeOf(n))
	}
	// Nodes that keep others away come last: who may go anywhere leaves them alone.
	slices.SortStableFunc(p.places, func(a, b *place) int { return len(a.node.Spec.Taints) - len(b.node.Spec.Taints) })
	p.standing = len(p.places)
	sum := p.sum()
	for i, x := range pods {
		s := &shape{pods: x, need: p.vector(needs[i]), ports: hostPorts(x.Spec), rest: max(0, x.Count)}
		for d, n := range s.need {
			if sum[d] > 0 {
				s.size = max(s.size, float64(n)/float64(sum[d]))
			}
		}
		p.shapes = append(p.shapes, s)
	}
	p.findOpen()
	p.topology.learn(p)
	return p
}

func takesNoPods(n *corev1.Node) bool {
	return n.Spec.Unschedulable || slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue
	})
}

func (p *packer) placeOf(n *corev1.Node) *place {
	at := poolKey{PoolOf(n), n.Labels[ZoneLabel]}
	if p.pools[at] == nil {
		p.pools[at] = &Pool{Name: at.name, Zone: at.zone}
	}
	p.pools[at].Nodes++
	total := []int64{endless, endless, usualPods}
	for d, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		if q, ok := n.Status.Allocatable[name]; ok {
			total[d] = amount(name, q)
		}
	}
	for _, name := range p.names {
		q, ok := n.Status.Allocatable[name]
		switch {
		case ok:
			total = append(total, amount(name, q))
		case name == corev1.ResourceEphemeralStorage:
			total = append(total, endless)
		default:
			total = append(total, 0) // a device that a node does not offer
		}
	}
	return &place{node: n, labels: labelsOf(n), total: total, left: slices.Clone(total), ports: map[int32]bool{}, pool: p.pools[at]}
}

func (p *packer) vector(r requests) []int64 {
	out := []int64{r[corev1.ResourceCPU], r[corev1.ResourceMemory], 1}
	for _, name := range p.names {
		out = append(out, r[name])
	}
	return out
}

// sum is what all places have together; 0 of what is endless.
func (p *packer) sum() []int64 {
	sum := make([]int64, common+len(p.names))
	for _, at := range p.places {
		for d, n := range at.total {
			if n < endless {
				sum[d] += n
			}
		}
	}
	return sum
}

// findOpen finds where each shape may go. Most shapes say the same about it, so the
// answer is kept by what they say.
func (p *packer) findOpen() {
	known := map[string][]int{}
	for _, s := range p.shapes {
		s.said = saidOfNodes(s.pods.Spec)
		open, ok := known[s.said]
		if !ok {
			for i, at := range p.places {
				if at.admits(s.pods.Spec) {
					open = append(open, i)
				}
			}
			known[s.said] = open
		}
		s.open = open
	}
}

func (at *place) admits(spec *corev1.PodSpec) bool {
	return selects(spec, at.node, at.labels) && Tolerates(spec, at.node)
}

// saidOfNodes is all that a pod says about the nodes it may go to.
func saidOfNodes(spec *corev1.PodSpec) string {
	if len(spec.NodeSelector)+len(spec.Tolerations) == 0 && requiredAffinity(spec) == nil {
		return ""
	}
	said := fmt.Sprintf("%v", spec.NodeSelector) // fmt prints maps ordered by key
	if required := requiredAffinity(spec); required != nil {
		said += required.String()
	}
	for _, t := range spec.Tolerations {
		said += t.String()
	}
	return said
}

// takes is how many pods of a shape a place has room for.
func (at *place) takes(s *shape) int32 {
	for d, need := range s.need {
		if at.left[d] < need {
			return 0
		}
	}
	most := at.left[slots]
	for d, need := range s.need {
		if need > 0 {
			most = min(most, at.left[d]/need)
		}
	}
	for _, port := range s.ports {
		if at.ports[port] {
			return 0
		}
		most = min(most, 1)
	}
	return int32(min(most, int64(s.rest)))
}

func (p *packer) put(s *shape, i int, n int32) {
	at := p.places[i]
	for d, need := range s.need {
		at.left[d] -= need * int64(n)
	}
	for _, port := range s.ports {
		at.ports[port] = true
	}
	at.pool.Pods += n
	s.rest -= n
	s.placed += n
	for _, t := range s.adds {
		t.add(at, n)
	}
	p.puts = append(p.puts, put{s, i, n})
}
