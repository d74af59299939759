package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "crossfade.dev/api/v1alpha1"
)

// roomNodes are a node of 4 CPU in each zone.
func roomNodes(zones ...string) []*corev1.Node {
	var out []*corev1.Node
	for _, z := range zones {
		out = append(out, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: z + "0", Labels: map[string]string{"pool": "m5", corev1.LabelTopologyZone: z}},
			Status:     corev1.NodeStatus{Allocatable: corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("16Gi"), "pods": resource.MustParse("110")}},
		})
	}
	return out
}

func roomWorkload(name string, replicas int32, decide v1.Decide) App {
	pod := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")}}}}}}
	return App{Namespace: "shop", Name: name, Workloads: []Workload{{Kind: "Deployment", Namespace: "shop", Name: name, Replicas: replicas, Decide: decide, Pod: pod}}}
}

func TestRooms(t *testing.T) {
	f := RoomFacts{
		Source: RoomSide{Name: "east", Objects: Objects{Nodes: roomNodes("a", "b", "c")}},
		Target: RoomSide{Name: "west", Objects: Objects{Nodes: roomNodes("a", "b")}},
		Estate: Estate{Apps: []App{roomWorkload("web", 8, v1.DecideMove), roomWorkload("db", 2, v1.DecideStay)}}, InEstate: func(ns string) bool { return ns == "shop" },
		Shares: []int32{50},
	}
	f.Source.Objects.Autoscalers = []*autoscalingv2.HorizontalPodAutoscaler{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 20, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "web"}},
	}}
	var got []string
	for _, r := range Rooms(f) {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s %v: %d+%d %v", r.Side, r.Share, r.Without, r.Grown, r.Placed, r.Unplaced, r.Lacking)))
	}
	want := []string{
		"east 0  false: 10+0 []", // both workloads, at home
		"east 0 a false: 8+2 [{m5 b 1}]", "east 0 b false: 8+2 [{m5 a 1}]", "east 0 c false: 8+2 [{m5 a 1}]",
		"east 50  false: 6+0 []", // half of web, and what stays
		"east 50 a false: 6+0 []", "east 50 b false: 6+0 []", "east 50 c false: 6+0 []",
		"west 50  false: 4+0 []", "west 50 a false: 4+0 []", "west 50 b false: 4+0 []",
		"west 100  false: 8+0 []", "west 100 a false: 4+4 [{m5 b 1}]", "west 100 b false: 4+4 [{m5 a 1}]",
		"west 100  true: 8+12 [{m5 a 2} {m5 b 1}]", // the autoscaler's most
	}
	if !slices.Equal(got, want) {
		t.Errorf("rooms\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	f.Target = RoomSide{}
	if i := slices.IndexFunc(Rooms(f), func(r Room) bool { return r.Side != "east" }); i >= 0 {
		t.Error("a target that was not looked at has rooms")
	}
}

func TestCosts(t *testing.T) {
	e := Estate{Apps: []App{roomWorkload("web", 8, v1.DecideMove), roomWorkload("one", 1, v1.DecideMove), roomWorkload("db", 5, v1.DecideStay)}}
	want := []Cost{
		{100, 2, "2", "2Gi", 8}, // one more than wanted is always allowed
		{125, 3, "3", "3Gi", 4},
		{200, 9, "9", "9Gi", 1},
	}
	if got := Costs(e, 0); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestResidentsStandWhereTheyWereSeen(t *testing.T) {
	pod := func(ns, name, node, owner string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
		if owner != "" {
			controller := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Name: "x", Controller: &controller}}
		}
		return p
	}
	o := Objects{
		DaemonSets: []*appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "x"}}},
		Pods: []*corev1.Pod{
			pod("kube-system", "d1", "a0", "DaemonSet"), pod("kube-system", "r1", "a0", "ReplicaSet"), pod("kube-system", "r2", "a0", "ReplicaSet"),
			pod("kube-system", "r3", "b0", "ReplicaSet"), pod("shop", "mine", "a0", "ReplicaSet"), pod("kube-system", "waits", "", ""),
		},
	}
	var got []string
	for _, p := range Resident(o, func(ns string) bool { return ns == "shop" }) {
		got = append(got, fmt.Sprintf("%s %s %d %v", p.Name, p.Node, p.Count, p.Daemon))
	}
	want := []string{"DaemonSet kube-system/x  0 true", "ReplicaSet kube-system/x a0 2 false", "ReplicaSet kube-system/x b0 1 false"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestGrowthIsUnknownUnlessItIsSeen(t *testing.T) {
	scaler := func(args ...string) RoomSide {
		return RoomSide{Name: "west", Objects: Objects{Nodes: roomNodes("a"), Deployments: []*appsv1.Deployment{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "ca"},
			Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Image: "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0", Args: args}}}}},
		}}}}
	}
	pool := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": map[string]any{"name": "web"}, "spec": map[string]any{"limits": map[string]any{"cpu": "100"}}}}
	tests := []struct {
		side RoomSide
		want string
	}{
		{RoomSide{Name: "west", Objects: Objects{Nodes: roomNodes("a")}}, "west: unknown whether nodes are added by themselves"},
		{scaler("--node-group-auto-discovery=asg:tag=x"), "west: unknown how far pools grow: kube-system/ca finds its node groups by itself"},
		{scaler("--nodes=1:10:m5", "--nodes", "2:4:gpu"), "west: kube-system/ca may grow m5 to 10 nodes, gpu to 4 nodes"},
		{RoomSide{Name: "west", Objects: Objects{Others: []*unstructured.Unstructured{pool}}}, "west: NodePool web may grow to 100 of cpu"},
	}
	for _, tt := range tests {
		if got := strings.Join(Growth(tt.side), "\n"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
