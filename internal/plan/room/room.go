// Package room tells whether pods fit on nodes. It packs pods of their real sizes, one
// by one, where their selectors, affinities and tolerations let them go: sums of
// free memory say that a pod of 16 GiB fits on ten nodes with 2 GiB free each.
//
// It is pure, and simpler than the scheduler: it knows no affinity between pods, no
// volumes' zones and no pre-emption. What it finds no place for, the scheduler
// rarely does; what it places may still land elsewhere.
package room

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Pods are pods of one shape.
type Pods struct {
	// Name is the workload's, for people.
	Name  string
	Spec  *corev1.PodSpec
	Count int32
}

// A Fit is how pods went onto nodes.
type Fit struct {
	// Placed and Unplaced count pods.
	Placed, Unplaced int32
	// Short are workloads with pods that found no place, most first.
	Short []Short
	// Pools are the node pools by zone, ordered by name.
	Pools []Pool
}

// Short is a workload with pods that fit nowhere.
type Short struct {
	Name string `json:"name"`
	Pods int32  `json:"pods"`
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

// Need is what one pod requests.
type Need struct{ CPU, Memory int64 } // millicores, bytes

// NeedOf is what the scheduler reserves for a pod: the sum of its containers, or the
// largest init container, and the overhead (KEP-753 for sidecars).
func NeedOf(spec *corev1.PodSpec) Need {
	var sum, most Need
	for _, c := range spec.Containers {
		sum = sum.plus(needOf(c))
	}
	for _, c := range spec.InitContainers {
		n := needOf(c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum = sum.plus(n)
			continue
		}
		most = Need{max(most.CPU, n.CPU), max(most.Memory, n.Memory)}
	}
	out := Need{max(sum.CPU, most.CPU), max(sum.Memory, most.Memory)}
	return out.plus(Need{milli(spec.Overhead[corev1.ResourceCPU]), value(spec.Overhead[corev1.ResourceMemory])})
}

func (n Need) plus(m Need) Need { return Need{n.CPU + m.CPU, n.Memory + m.Memory} }

// Times is what so many such pods need.
func (n Need) Times(count int32) Need { return Need{n.CPU * int64(count), n.Memory * int64(count)} }

// Plus is what both need.
func (n Need) Plus(m Need) Need { return n.plus(m) }

func needOf(c corev1.Container) Need {
	request := func(name corev1.ResourceName) resource.Quantity {
		if q, ok := c.Resources.Requests[name]; ok {
			return q
		}
		return c.Resources.Limits[name] // what is not requested is what is limited
	}
	return Need{milli(request(corev1.ResourceCPU)), value(request(corev1.ResourceMemory))}
}

func milli(q resource.Quantity) int64 { return q.MilliValue() }
func value(q resource.Quantity) int64 { return q.Value() }

// a node with what is left on it.
type place struct {
	node        *corev1.Node
	total, left Need
	pods        int64
	used        int32
	ports       map[int32]bool
	pool        *Pool
}

// Pack puts pods on nodes, the largest first, each where it leaves the least room.
func Pack(nodes []*corev1.Node, pods []Pods) Fit {
	places, pools := placesOf(nodes)
	ordered := slices.Clone(pods)
	slices.SortStableFunc(ordered, func(a, b Pods) int {
		x, y := NeedOf(a.Spec), NeedOf(b.Spec)
		return cmp.Or(cmp.Compare(y.Memory, x.Memory), cmp.Compare(y.CPU, x.CPU), strings.Compare(a.Name, b.Name))
	})
	var fit Fit
	for _, p := range ordered {
		placed := packOne(places, p)
		fit.Placed += placed
		if rest := p.Count - placed; rest > 0 {
			fit.Unplaced += rest
			fit.Short = append(fit.Short, Short{p.Name, rest})
		}
	}
	slices.SortStableFunc(fit.Short, func(a, b Short) int { return cmp.Compare(b.Pods, a.Pods) })
	for _, p := range pools {
		fit.Pools = append(fit.Pools, *p)
	}
	slices.SortFunc(fit.Pools, func(a, b Pool) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Zone, b.Zone)) })
	return withUse(fit, places)
}

// packOne places as many pods of one shape as fit.
func packOne(places []*place, p Pods) (placed int32) {
	need := NeedOf(p.Spec)
	ports := hostPorts(p.Spec)
	var open []*place
	for _, at := range places {
		if Schedulable(p.Spec, at.node) {
			open = append(open, at)
		}
	}
	for placed < p.Count {
		var best *place
		for _, at := range open {
			if at.takes(need, ports) && (best == nil || at.left.Memory < best.left.Memory) {
				best = at
			}
		}
		if best == nil {
			break
		}
		best.take(need, ports)
		placed++
	}
	return placed
}

func hostPorts(spec *corev1.PodSpec) []int32 {
	var out []int32
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				out = append(out, p.HostPort)
			}
		}
	}
	return out
}

func (p *place) takes(n Need, ports []int32) bool {
	return p.left.CPU >= n.CPU && p.left.Memory >= n.Memory && int64(p.used) < p.pods &&
		!slices.ContainsFunc(ports, func(port int32) bool { return p.ports[port] })
}

func (p *place) take(n Need, ports []int32) {
	p.left.CPU -= n.CPU
	p.left.Memory -= n.Memory
	p.used++
	p.pool.Pods++
	for _, port := range ports {
		p.ports[port] = true
	}
}

// endless stands for what a node does not say.
const endless = int64(1) << 60

func placesOf(nodes []*corev1.Node) ([]*place, map[[2]string]*Pool) {
	pools := map[[2]string]*Pool{}
	var places []*place
	for _, n := range nodes {
		if n.Spec.Unschedulable {
			continue
		}
		at := [2]string{PoolOf(n), n.Labels[ZoneLabel]}
		if pools[at] == nil {
			pools[at] = &Pool{Name: at[0], Zone: at[1]}
		}
		pools[at].Nodes++
		p := &place{node: n, pool: pools[at], ports: map[int32]bool{}, pods: 110}
		p.total = Need{endless, endless}
		if q, ok := n.Status.Allocatable[corev1.ResourceCPU]; ok {
			p.total.CPU = q.MilliValue()
		}
		if q, ok := n.Status.Allocatable[corev1.ResourceMemory]; ok {
			p.total.Memory = q.Value()
		}
		if q, ok := n.Status.Allocatable[corev1.ResourcePods]; ok {
			p.pods = q.Value()
		}
		p.left = p.total
		places = append(places, p)
	}
	return places, pools
}

func withUse(fit Fit, places []*place) Fit {
	percent := func(total, left int64) int {
		if total >= endless || total == 0 {
			return -1
		}
		return int((total - left) * 100 / total)
	}
	for i := range fit.Pools {
		var total, left Need
		for _, p := range places {
			if p.pool.Name == fit.Pools[i].Name && p.pool.Zone == fit.Pools[i].Zone {
				total = Need{min(endless, total.CPU+p.total.CPU), min(endless, total.Memory+p.total.Memory)}
				left = left.plus(p.left)
			}
		}
		fit.Pools[i].CPUPercent, fit.Pools[i].MemoryPercent = percent(total.CPU, left.CPU), percent(total.Memory, left.Memory)
	}
	return fit
}

// Schedulable tells whether a node is one that a pod may go to: by its selector, its
// required affinity, and the node's taints.
func Schedulable(spec *corev1.PodSpec, n *corev1.Node) bool {
	return Selects(spec, n) && Tolerates(spec, n)
}

// Selects tells whether a node meets a pod's selector and required affinity. A label
// beta.kubernetes.io/os or arch is met by its successor: kubelets set both.
func Selects(spec *corev1.PodSpec, n *corev1.Node) bool {
	if len(spec.NodeSelector) == 0 && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		return true
	}
	have := labels.Set(labelsOf(n))
	for k, v := range spec.NodeSelector {
		if have[k] != v {
			return false
		}
	}
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	terms := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	return slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool { return termMet(t, n, have) })
}

func labelsOf(n *corev1.Node) map[string]string {
	out := map[string]string{}
	for old, now := range map[string]string{
		"beta.kubernetes.io/os": corev1.LabelOSStable, "beta.kubernetes.io/arch": corev1.LabelArchStable,
		"failure-domain.beta.kubernetes.io/zone": ZoneLabel, "beta.kubernetes.io/instance-type": corev1.LabelInstanceTypeStable,
	} {
		if v, ok := n.Labels[now]; ok {
			out[old] = v
		}
	}
	for k, v := range n.Labels {
		out[k] = v
	}
	return out
}

func termMet(t corev1.NodeSelectorTerm, n *corev1.Node, have labels.Set) bool {
	for _, e := range t.MatchExpressions {
		if !expressionMet(e, have) {
			return false
		}
	}
	for _, f := range t.MatchFields {
		if f.Key == metav1.ObjectNameField && slices.Contains(f.Values, n.Name) != (f.Operator == corev1.NodeSelectorOpIn) {
			return false
		}
	}
	return len(t.MatchExpressions)+len(t.MatchFields) > 0
}

func expressionMet(e corev1.NodeSelectorRequirement, have labels.Set) bool {
	op, ok := map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
		corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
	}[e.Operator]
	if !ok {
		return false
	}
	r, err := labels.NewRequirement(e.Key, op, e.Values)
	return err == nil && r.Matches(have)
}

// Tolerates tells whether a pod tolerates the taints that keep pods off a node.
// Taints that a node has only while something is wrong with it do not count.
func Tolerates(spec *corev1.PodSpec, n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectPreferNoSchedule || strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/") {
			continue
		}
		if !slices.ContainsFunc(spec.Tolerations, func(x corev1.Toleration) bool { return tolerates(x, t) }) {
			return false
		}
	}
	return true
}

func tolerates(x corev1.Toleration, t corev1.Taint) bool {
	if x.Effect != "" && x.Effect != t.Effect || x.Key != "" && x.Key != t.Key {
		return false
	}
	return x.Operator == corev1.TolerationOpExists || x.Key != "" && x.Value == t.Value
}
