package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan/room"
)

// A Room is how the pods of one side fit on its nodes at one share.
type Room struct {
	Side string `json:"side"`
	// Share is the percentage of the moving replicas that stands in the target.
	Share int32 `json:"share"`
	// Without names a zone that is thought away; "" if none is.
	Without string `json:"without,omitempty"`
	// Grown is true where every autoscaler asks for its most.
	Grown bool `json:"grown,omitempty"`
	room.Fit
}

// RoomFacts is what rooms are worked out from.
type RoomFacts struct {
	Source RoomSide
	// Target has no objects if it was not looked at.
	Target RoomSide
	Estate Estate
	// InEstate tells which namespaces move.
	InEstate func(namespace string) bool
	// Shares are those at which capacity rests on its way, in percent. All at home and
	// all in the target are looked at besides.
	Shares []int32
}

// A RoomSide is one cluster.
type RoomSide struct {
	Name    string
	Objects Objects
}

// Rooms packs both sides at every share, and with each zone lost where it counts: the
// target at the last share, where all depends on it, and both at the widest of Shares.
// A side never runs more pods than at the fuller end of a step, because it grows within
// its goal: what maxTotal adds is both sides together, and Costs has it. A side without
// nodes is unknown, and has no rooms.
func Rooms(f RoomFacts) []Room {
	shares := append([]int32{0}, f.Shares...)
	shares = append(shares, 100)
	slices.Sort(shares)
	shares = slices.Compact(shares)
	var out []Room
	for _, side := range []v1.Side{v1.Source, v1.Target} {
		at := f.on(side)
		if len(at.Objects.Nodes) == 0 {
			continue
		}
		zones := room.Zones(at.Objects.Nodes)
		full := map[v1.Side]int32{v1.Source: 0, v1.Target: 100}[side]
		for _, share := range shares {
			if share == 100-full {
				continue // nothing of the moving replicas is there
			}
			out = append(out, Room{Side: at.Name, Share: share})
			if len(zones) < 2 || share != full && share != half(f.Shares) {
				continue
			}
			for _, zone := range zones {
				out = append(out, Room{Side: at.Name, Share: share, Without: zone})
			}
		}
		if side == v1.Target && len(f.most()) > 0 {
			out = append(out, Room{Side: at.Name, Share: 100, Grown: true})
		}
	}
	var group sync.WaitGroup
	for i := range out {
		group.Go(func() { out[i].Fit = f.pack(out[i]) })
	}
	group.Wait()
	return out
}

// pack fills one room.
func (f RoomFacts) pack(r Room) room.Fit {
	side, most := v1.Source, map[string]int32(nil)
	if r.Side == f.Target.Name {
		side = v1.Target
	}
	if r.Grown {
		most = f.most()
	}
	nodes := f.on(side).Objects.Nodes
	if r.Without != "" {
		nodes = room.Without(nodes, r.Without)
	}
	return room.Pack(nodes, f.pods(side, r.Share, most))
}

// half is the share nearest to 50/50, at which both sides carry the most together.
func half(shares []int32) int32 {
	if len(shares) == 0 {
		return 50
	}
	return slices.MinFunc(shares, func(a, b int32) int { return cmp.Compare(max(a-50, 50-a), max(b-50, 50-b)) })
}

func (f RoomFacts) on(side v1.Side) RoomSide {
	if side == v1.Source {
		return f.Source
	}
	return f.Target
}

// most is the largest count that an autoscaler may ask for, by workload.
func (f RoomFacts) most() map[string]int32 {
	out := map[string]int32{}
	for _, h := range f.Source.Objects.Autoscalers {
		ref := h.Spec.ScaleTargetRef
		out[ref.Kind+"/"+h.Namespace+"/"+ref.Name] = h.Spec.MaxReplicas
	}
	return out
}

// pods are those of a side when share percent of the moving replicas stand in the
// target: its own, and its part of the estate.
func (f RoomFacts) pods(side v1.Side, share int32, most map[string]int32) []room.Pods {
	out := Resident(f.on(side).Objects, f.InEstate)
	for _, app := range f.Estate.Apps {
		for _, w := range app.Workloads {
			wanted := max(w.Replicas, most[w.ID()])
			count := Scale{Source: wanted}
			if Moving(w) {
				count = Split(wanted, share)
			}
			n := count.Source
			if side == v1.Target {
				n = count.Target
			}
			if n > 0 {
				out = append(out, room.Pods{
					Name: w.Kind + " " + w.Namespace + "/" + w.Name, Spec: &w.Pod.Spec, Count: n, Namespace: w.Namespace, Labels: w.Pod.Labels,
				})
			}
		}
	}
	return out
}

// Coming are the pods that the target runs when percent of the moving replicas stand
// there.
func (f RoomFacts) Coming(percent int32) []room.Pods { return f.pods(v1.Target, percent, nil) }

// Resident are the pods that a cluster runs for itself, outside the estate: those that
// were read, where they stand, or else what its workloads ask for; and one of each
// DaemonSet for every node that takes it.
func Resident(o Objects, inEstate func(string) bool) []room.Pods {
	var out []room.Pods
	for _, d := range o.DaemonSets {
		out = append(out, room.Pods{
			Name: "DaemonSet " + d.Namespace + "/" + d.Name, Spec: &d.Spec.Template.Spec, Daemon: true, Namespace: d.Namespace, Labels: d.Spec.Template.Labels,
		})
	}
	if len(o.Pods) > 0 {
		return append(out, standing(o.Pods, inEstate)...)
	}
	for _, s := range o.shapes() {
		if s.replicas > 0 && !inEstate(s.meta.Namespace) {
			out = append(out, room.Pods{
				Name: s.kind + " " + s.meta.Namespace + "/" + s.meta.Name, Spec: &s.pod.Spec, Count: s.replicas, Namespace: s.meta.Namespace, Labels: s.pod.Labels,
			})
		}
	}
	return out
}

// standing are the pods outside the estate that stand on a node, those of DaemonSets
// aside: pods of one owner on one node are one shape.
func standing(pods []*corev1.Pod, inEstate func(string) bool) []room.Pods {
	type place struct{ owner, node string }
	known := map[place]int{}
	var out []room.Pods
	for _, p := range pods {
		if inEstate(p.Namespace) || p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		at := place{"Pod " + p.Namespace + "/" + p.Name, p.Spec.NodeName}
		if owner := metav1.GetControllerOf(p); owner != nil {
			if owner.Kind == "DaemonSet" {
				continue
			}
			at.owner = owner.Kind + " " + p.Namespace + "/" + owner.Name
		}
		if i, ok := known[at]; ok {
			out[i].Count++
			continue
		}
		known[at] = len(out)
		out = append(out, room.Pods{Name: at.owner, Spec: &p.Spec, Count: 1, Namespace: p.Namespace, Labels: p.Labels, Node: at.node})
	}
	return out
}

// A Cost is what a bound of both sides' capacity together costs at the peak, above what
// is wanted, and how many rounds of starting and stopping it takes.
type Cost struct {
	MaxTotalPercent int32  `json:"maxTotalPercent"`
	Pods            int32  `json:"pods"`
	CPU             string `json:"cpu"`
	Memory          string `json:"memory"`
	Rounds          int32  `json:"rounds"`
}

// Costs compares the bound that is set with the tightest and the widest that may be.
func Costs(e Estate, maxTotalPercent int32) []Cost {
	percents := []int32{100, cmp.Or(maxTotalPercent, 125), 200}
	slices.Sort(percents)
	var out []Cost
	for _, percent := range slices.Compact(percents) {
		c, need := Cost{MaxTotalPercent: percent}, room.Need{}
		for _, w := range e.Workloads(Moving) {
			if w.Replicas == 0 {
				continue
			}
			extra := min(Bound(w.Replicas, percent)-w.Replicas, w.Replicas)
			c.Pods += extra
			need = need.Plus(room.NeedOf(&w.Pod.Spec).Times(extra))
			c.Rounds = max(c.Rounds, (w.Replicas+extra-1)/extra)
		}
		c.CPU = resource.NewMilliQuantity(need.CPU, resource.DecimalSI).String()
		c.Memory = resource.NewQuantity(need.Memory, resource.BinarySI).String()
		out = append(out, c)
	}
	return out
}

// Growth says how far a cluster's nodes may grow, as far as its objects tell: rooms
// count the nodes that stand now. Sentences, for people.
func Growth(side RoomSide) []string {
	var out []string
	for _, d := range side.Objects.Deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			if strings.Contains(c.Image, "cluster-autoscaler") {
				out = append(out, growthByArgs(side.Name, d.Namespace+"/"+d.Name, slices.Concat(c.Command, c.Args)))
			}
		}
	}
	for _, u := range side.Objects.Others {
		if u.GetKind() == "NodePool" && u.GroupVersionKind().Group == "karpenter.sh" {
			out = append(out, growthByPool(side.Name, u))
		}
	}
	if len(out) == 0 && len(side.Objects.Nodes) > 0 {
		out = append(out, fmt.Sprintf("%s: unknown whether nodes are added by themselves: neither cluster-autoscaler nor a NodePool was seen, and the provider was not asked", side.Name))
	}
	return out
}

func growthByArgs(side, name string, args []string) string {
	var pools []string
	for i, a := range args {
		value, found := strings.CutPrefix(a, "--nodes=")
		if !found && a == "--nodes" && i+1 < len(args) {
			value, found = args[i+1], true
		}
		if parts := strings.SplitN(value, ":", 3); found && len(parts) == 3 {
			pools = append(pools, fmt.Sprintf("%s to %s nodes", parts[2], parts[1]))
		}
	}
	if len(pools) == 0 {
		return fmt.Sprintf("%s: unknown how far pools grow: %s finds its node groups by itself, and their maximum sizes stand with the provider", side, name)
	}
	return fmt.Sprintf("%s: %s may grow %s", side, name, strings.Join(pools, ", "))
}

func growthByPool(side string, u *unstructured.Unstructured) string {
	limits, found, err := unstructured.NestedMap(u.Object, "spec", "limits")
	if !found || err != nil || len(limits) == 0 {
		return fmt.Sprintf("%s: NodePool %s may grow without limits of its own; the provider's quota was not asked", side, u.GetName())
	}
	var said []string
	for name, value := range limits {
		said = append(said, fmt.Sprintf("%v of %s", value, name))
	}
	slices.Sort(said)
	return fmt.Sprintf("%s: NodePool %s may grow to %s", side, u.GetName(), strings.Join(said, ", "))
}
