package ingress

import (
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRoutes(t *testing.T) {
	exact, prefix, specific := netv1.PathTypeExact, netv1.PathTypePrefix, netv1.PathTypeImplementationSpecific
	to := func(service string) netv1.IngressBackend {
		return netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: service, Port: netv1.ServiceBackendPort{Name: "http"}}}
	}
	rule := func(host string, paths ...netv1.HTTPIngressPath) netv1.IngressRule {
		return netv1.IngressRule{Host: host, IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: paths}}}
	}
	made := func(name string, age time.Duration, spec netv1.IngressSpec) *netv1.Ingress {
		created := metav1.NewTime(time.Unix(1_700_000_000, 0).Add(-age))
		return &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: created}, Spec: spec}
	}
	other := to("everything-else")
	byDefault := to("of-this-host")
	ingresses := []*netv1.Ingress{
		made("web", time.Hour, netv1.IngressSpec{Rules: []netv1.IngressRule{
			rule("web.test",
				netv1.HTTPIngressPath{Path: "/", PathType: &prefix, Backend: to("root")},
				netv1.HTTPIngressPath{Path: "/foo", PathType: &prefix, Backend: to("foo")},
				netv1.HTTPIngressPath{Path: "/foo/bar", PathType: &exact, Backend: to("foo-bar")},
				netv1.HTTPIngressPath{Path: "/foo/bar", PathType: &prefix, Backend: to("foo-bar-below")},
				netv1.HTTPIngressPath{Path: "/any/", PathType: &specific, Backend: to("any")}),
			rule("*.web.test", netv1.HTTPIngressPath{Path: "/", PathType: &prefix, Backend: to("wild")}),
			rule("API.web.test", netv1.HTTPIngressPath{Path: "/v1", PathType: &prefix, Backend: to("api")}),
		}}),
		made("late", time.Minute, netv1.IngressSpec{Rules: []netv1.IngressRule{
			rule("web.test", netv1.HTTPIngressPath{Path: "/foo", PathType: &prefix, Backend: to("late")}),
		}}),
		made("defaulted", time.Minute, netv1.IngressSpec{DefaultBackend: &byDefault, Rules: []netv1.IngressRule{
			rule("some.test", netv1.HTTPIngressPath{Path: "/only", PathType: &exact, Backend: to("only")}),
		}}),
		made("everything", time.Minute, netv1.IngressSpec{DefaultBackend: &other}),
	}
	d := newDirectory(time.Now, func(*endpoint) {})
	table := routes(ingresses, d.backend)
	tests := []struct{ name, host, path, wantHost, want string }{
		{"prefix", "web.test", "/foo/x", "web.test", "foo"},
		{"prefix is of path elements", "web.test", "/foobar", "web.test", "root"},
		{"exact before prefix", "web.test", "/foo/bar", "web.test", "foo-bar"},
		{"exact matches nothing below", "web.test", "/foo/bar/x", "web.test", "foo-bar-below"},
		{"trailing slash of a prefix does not count", "web.test", "/any", "web.test", "any"},
		{"older Ingress holds", "web.test", "/foo", "web.test", "foo"},
		{"host in any case, with a port and a final dot", "WEB.test.:8443", "/", "web.test", "root"},
		{"wildcard covers one label", "x.web.test", "/", "*.web.test", "wild"},
		{"wildcard does not cover two", "x.y.web.test", "/", otherHosts, "everything-else"},
		{"very host before wildcard", "api.web.test", "/v1/x", "api.web.test", "api"},
		{"wildcard where the very host has no such path", "api.web.test", "/v2", "*.web.test", "wild"},
		{"default backend of an Ingress with hosts", "some.test", "/other", "some.test", "of-this-host"},
		{"path beside that default backend", "some.test", "/only", "some.test", "only"},
		{"default backend of everything", "unknown.test", "/", otherHosts, "everything-else"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			host, b := table.match(test.host, test.path)
			if b == nil || b.key.service != "shop/"+test.want || host != test.wantHost {
				t.Errorf("%s%s leads to %+v under %q, want shop/%s under %q", test.host, test.path, b, host, test.want, test.wantHost)
			}
		})
	}
}

func TestProtocolOfAPort(t *testing.T) {
	tests := []struct {
		name string
		app  *string
		want protocol
	}{
		{"http", nil, http1},
		{"grpc", nil, h2c},
		{"grpc-web", nil, h2c},
		{"web", new("kubernetes.io/h2c"), h2c},
		{"https-admin", nil, https},
		{"grpc", new("http"), http1},
		{"grpcish", nil, http1},
	}
	for _, test := range tests {
		if got := protocolOf(test.name, test.app); got != test.want {
			t.Errorf("port %s with appProtocol %v: %s, want %s", test.name, test.app, got, test.want)
		}
	}
}
