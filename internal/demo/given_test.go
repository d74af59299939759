package demo

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossfade.dev/internal/vantage"
)

func node(runtime string, ranges ...string) corev1.Node {
	return corev1.Node{
		Spec:   corev1.NodeSpec{PodCIDRs: ranges},
		Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: runtime}},
	}
}

func TestClustersWhosePodsShareAddressesAreToldApart(t *testing.T) {
	kind := []corev1.Node{node("containerd://2.1", "10.244.0.0/24"), node("containerd://2.1", "10.244.1.0/24")}
	tests := []struct {
		name    string
		other   []corev1.Node
		overlap bool
	}{
		{"the same range", []corev1.Node{node("containerd://2.1", "10.244.1.0/24")}, true},
		{"a range within the other", []corev1.Node{node("containerd://2.1", "10.244.0.0/16")}, true},
		{"another range", []corev1.Node{node("containerd://2.1", "10.12.0.0/24")}, false},
		{"nodes that do not say", []corev1.Node{node("sandbox://1")}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, overlap := overlapping(kind, test.other); overlap != test.overlap {
				t.Errorf("overlap = %v, want %v", overlap, test.overlap)
			}
		})
	}
}

func TestOnlyASandboxHasTheImagesOfTheBuiltInEstate(t *testing.T) {
	if !(survey{nodes: []corev1.Node{node("sandbox://1")}}).sandbox() {
		t.Error("a sandbox was not known as one")
	}
	if (survey{nodes: []corev1.Node{node("sandbox://1"), node("containerd://2.1")}}).sandbox() {
		t.Error("a cluster with a node that runs containers was taken for a sandbox")
	}
}

func TestPodsThatCannotBeReachedAreSaid(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := int32(netip.MustParseAddrPort(listener.Addr().String()).Port())
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: port}}}}},
		Status:     corev1.PodStatus{PodIP: "127.0.0.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	away := pod
	away.Status.PodIP = "255.255.255.255" // TCP leads nowhere from there
	if err := (survey{pods: []corev1.Pod{away, pod}}).reach(t.Context(), vantage.Translation{}); err != nil {
		t.Errorf("one of two pods answers: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	err = survey{pods: []corev1.Pod{away, pod}}.reach(t.Context(), vantage.Translation{})
	if err == nil || !strings.HasPrefix(err.Error(), "pod shop/web-1 cannot be reached at 127.0.0.1 from here, and so neither by the other cluster over the bridge: ") {
		t.Errorf("error = %v, want one that names the pod and its address", err)
	}
	starting := pod
	starting.Status.Conditions = nil
	if err := (survey{pods: []corev1.Pod{starting}}).reach(t.Context(), vantage.Translation{}); err != nil {
		t.Errorf("nothing can be said of a pod that is not ready: %v", err)
	}
}

func TestGivenClustersAreReachedAsTheySay(t *testing.T) {
	own, err := newRoute(false, nil, nil).parse()
	if err != nil {
		t.Fatal(err)
	}
	given, err := newRoute(true, []string{"10.1.0.0/16=127.1.0.0/16"}, nil).parse()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		at   string
		from vantage.Translation
		want string
	}{
		{"10.2.240.1:80", own, "127.2.240.1:10080"},
		{"10.53.1.1:53", given, "127.53.1.1:10053"},
		{"10.2.0.9:6443", given, "127.2.0.9:6443"},
		{"10.1.240.1:80", given, "127.1.240.1:10080"},
		{"10.2.240.1:80", given, "10.2.240.1:80"},
	}
	for _, test := range tests {
		if got := test.from.AddrPort(netip.MustParseAddrPort(test.at)).String(); got != test.want {
			t.Errorf("%s is reached at %s, want %s", test.at, got, test.want)
		}
	}
}
