package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bench"
	"crossfade.dev/internal/plan"
)

// The estate whose capacity is planned.
const (
	roomApps  = 1600
	roomPods  = 20_000
	roomNodes = 1000
)

// roomRows measure how fast capacity is planned.
func roomRows() []bench.Row {
	return []bench.Row{{Part: "plan", Name: "plan-capacity", Measure: measureRooms}}
}

// measureRooms plans both sides at every share and with each zone lost.
func measureRooms(_ context.Context, s *bench.Sheet) error {
	f := plan.RoomFacts{
		Source: plan.RoomSide{Name: "source", Objects: plan.Objects{Nodes: nodesToPlan()}}, Target: plan.RoomSide{Name: "target", Objects: plan.Objects{Nodes: nodesToPlan()}},
		Estate: estateToPlan(rand.New(rand.NewPCG(1, 1))), InEstate: func(string) bool { return true }, Shares: []int32{50},
	}
	began := time.Now()
	rooms := plan.Rooms(f)
	took := time.Since(began)
	for _, r := range rooms {
		if r.Without == "" && r.Unplaced > 0 {
			return fmt.Errorf("%d pods find no place at %d/%d: the estate is to fit", r.Unplaced, r.Share, 100-r.Share)
		}
	}
	s.Record("plan-capacity-seconds", took.Seconds(), "s")
	s.Record("plan-capacity-rooms", float64(len(rooms)), "count")
	s.Record("plan-capacity-pods", roomPods, "count")
	return nil
}

// nodesToPlan are nodes of 16 CPU and 64 GiB in three pools and three zones; one pool
// keeps others away.
func nodesToPlan() []*corev1.Node {
	var out []*corev1.Node
	for i := range roomNodes {
		pool := []string{"general", "memory", "batch"}[i%10/4]
		n := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i), Labels: map[string]string{
				"pool": pool, corev1.LabelTopologyZone: string(rune('a' + i%3)), corev1.LabelHostname: fmt.Sprint("n", i), corev1.LabelOSStable: "linux",
			}},
			Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
			}},
		}
		if pool == "batch" {
			n.Spec.Taints = []corev1.Taint{{Key: "batch", Effect: corev1.TaintEffectNoSchedule}}
		}
		out = append(out, n)
	}
	return out
}

// estateToPlan has apps of every kind of placement: anywhere, spread over zones, one on
// a node, in one pool, and on nodes that keep others away.
func estateToPlan(r *rand.Rand) plan.Estate {
	var e plan.Estate
	left := roomPods
	for i := range roomApps {
		n := int32(left)
		if i < roomApps-1 {
			n = int32(1 + r.IntN(2*left/(roomApps-i)-1))
		}
		left -= int(n)
		name := fmt.Sprint("app-", i)
		pod := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}}}
		pod.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(50+r.Int64N(900), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity((64+r.Int64N(3000))<<20, resource.BinarySI),
		}}}}
		placeToPlan(&pod.Spec, i, &metav1.LabelSelector{MatchLabels: pod.Labels})
		e.Apps = append(e.Apps, plan.App{Namespace: name, Name: name, Workloads: []plan.Workload{
			{Kind: "Deployment", Namespace: name, Name: name, Replicas: n, Decide: v1.DecideMove, Pod: pod},
		}})
	}
	return e
}

func placeToPlan(spec *corev1.PodSpec, i int, same *metav1.LabelSelector) {
	switch i % 10 {
	case 0, 1, 2, 3:
		spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: same}}
	case 4:
		spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelHostname, LabelSelector: same}}}}
	case 5:
		spec.NodeSelector = map[string]string{"pool": "memory"}
	case 6:
		spec.Tolerations = []corev1.Toleration{{Key: "batch", Operator: corev1.TolerationOpExists}}
	}
}
