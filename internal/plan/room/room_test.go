package room

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func node(name, zone, cpu, memory string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{ZoneLabel: zone, corev1.LabelOSStable: "linux", "pool": "web"}},
		Spec:       corev1.NodeSpec{Taints: taints},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourcePods: resource.MustParse("110")}},
	}
}

func pod(cpu, memory string) *corev1.PodSpec {
	return &corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}}}}
}

func many(name string, spec *corev1.PodSpec, count int32) Pods {
	return Pods{Name: name, Spec: spec, Count: count, Namespace: "shop", Labels: map[string]string{"app": name}}
}

func TestPack(t *testing.T) {
	small := []*corev1.Node{node("a", "z1", "4", "8Gi"), node("b", "z2", "4", "8Gi")}
	selecting := pod("1", "1Gi")
	selecting.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux", ZoneLabel: "z2"}
	port := pod("100m", "100Mi")
	port.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}}
	tests := []struct {
		name             string
		nodes            []*corev1.Node
		pods             []Pods
		placed, unplaced int32
	}{
		{"room enough", small, []Pods{many("web", pod("1", "1Gi"), 8)}, 8, 0},
		{"sums would fit, sizes do not", small, []Pods{many("big", pod("1", "10Gi"), 1)}, 0, 1},
		{"the large go first", small, []Pods{many("small", pod("100m", "1Gi"), 8), many("big", pod("1", "8Gi"), 1)}, 9, 0},
		{"only where the selector leads", small, []Pods{many("z2", selecting, 5)}, 4, 1},
		{"a node's port is there once", small, []Pods{many("port", port, 3)}, 2, 1},
		{"a taint", []*corev1.Node{node("a", "", "4", "8Gi", corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoSchedule})}, []Pods{many("web", pod("1", "1Gi"), 1)}, 0, 1},
		{"a node that does not say what it has", []*corev1.Node{{}}, []Pods{many("web", pod("100", "1Ti"), 5)}, 5, 0},
		{"no node", nil, []Pods{many("web", pod("1", "1Gi"), 2)}, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fit := Pack(tt.nodes, tt.pods)
			if fit.Placed != tt.placed || fit.Unplaced != tt.unplaced {
				t.Errorf("placed %d, unplaced %d; want %d and %d: %+v", fit.Placed, fit.Unplaced, tt.placed, tt.unplaced, fit)
			}
		})
	}
	if zones := Zones(small); len(zones) != 2 || len(Without(small, "z1")) != 1 {
		t.Errorf("zones %v", zones)
	}
	if fit := Pack(small, []Pods{many("web", pod("1", "1Gi"), 6)}); len(fit.Pools) != 2 || fit.Pools[0].CPUPercent != 100 || fit.Pools[1].MemoryPercent != 25 {
		t.Errorf("pools %+v, want one full and one with a quarter of its memory requested", fit.Pools)
	}
}

// Property: every pod is placed or counted as unplaced, and no node is overfull.
func TestPackKeepsNodesWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []*corev1.Node
		for i := range rapid.IntRange(0, 6).Draw(t, "nodes") {
			nodes = append(nodes, node(fmt.Sprint(i), "z", fmt.Sprintf("%dm", rapid.IntRange(100, 8000).Draw(t, "cpu")), "4Gi"))
		}
		var pods []Pods
		var all int32
		for i := range rapid.IntRange(0, 5).Draw(t, "shapes") {
			n := rapid.Int32Range(0, 20).Draw(t, "count")
			pods = append(pods, many(fmt.Sprint(i), pod(fmt.Sprintf("%dm", rapid.IntRange(0, 3000).Draw(t, "need")), "64Mi"), n))
			all += n
		}
		fit := Pack(nodes, pods)
		if fit.Placed+fit.Unplaced != all {
			t.Fatalf("%d placed, %d unplaced of %d", fit.Placed, fit.Unplaced, all)
		}
		for _, p := range fit.Pools {
			if p.CPUPercent > 100 || p.MemoryPercent > 100 {
				t.Fatalf("overfull: %+v", p)
			}
		}
	})
}
