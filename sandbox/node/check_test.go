package node

import (
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestEveryProbeAsksAStandIn(t *testing.T) {
	ip := netip.MustParseAddr("10.88.1.3")
	s, err := startStandIn("shop/p", ip, []int{80, 8443}, 0, newLogbook(time.Now, 10, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	n := &Node{checks: newChecks()}
	c := &container{pod: &pod{node: n, ip: ip}, spec: &corev1.Container{
		Image: "x", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
	}}
	for _, tt := range []struct {
		name  string
		probe corev1.ProbeHandler
		want  bool
	}{
		{"http by name", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http"), Path: "/a?delay=1ms"}}, true},
		{"http with the pod's address", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: "10.88.1.3", Port: intstr.FromInt32(80)}}, true},
		{"http, bad answer", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http"), Path: "/?delay=x"}}, false},
		{"http, too slow", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http"), Path: "/?delay=2s"}}, false},
		{"https", corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8443), Scheme: corev1.URISchemeHTTPS}}, true},
		{"tcp", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}, true},
		{"tcp, closed", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(81)}}, false},
		{"grpc", corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 80}}, true},
		{"grpc, closed", corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 81}}, false},
		{"exec", corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/false"}}}, true}, // a stand-in has no programs
		{"unknown port name", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("none")}}, false},
	} {
		err := n.checks.check(&corev1.Probe{ProbeHandler: tt.probe, TimeoutSeconds: 1}, c)(t.Context())
		if (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
