package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
)

// service and slice make objects; an endpoint is written "10.1.1.0", with "!" for
// one that is not ready and "~" for one that serves while it terminates.
func service(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	s.Spec = corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Ports: ports}
	return s
}

func port(name string, number int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(number + 8000)}
}

func slice(of, name string, ports map[string]int32, endpoints ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: of},
	}}
	for name, number := range ports {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: new(corev1.ProtocolTCP)})
	}
	for _, e := range endpoints {
		host, ip, named := strings.Cut(e, "=")
		if !named {
			host, ip = "", e
		}
		endpoint := discoveryv1.Endpoint{Addresses: []string{strings.Trim(ip, "!~")}}
		if host != "" {
			endpoint.Hostname = &host
		}
		switch ip[len(ip)-1] {
		case '!':
			endpoint.Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}
		case '~':
			endpoint.Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
		}
		s.Endpoints = append(s.Endpoints, endpoint)
	}
	return s
}

func directory(objects ...any) *Directory {
	d := NewDirectory(delay.Range{}, 1, nil)
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.Service:
			d.setService(feed.Change[*corev1.Service]{Name: o.Namespace + "/" + o.Name, Object: o})
		case *discoveryv1.EndpointSlice:
			d.setSliceLater(feed.Change[*discoveryv1.EndpointSlice]{Name: o.Namespace + "/" + o.Name, Object: o})
		}
	}
	return d
}

func TestUsableEndpointsAreThoseOfEverySlice(t *testing.T) {
	http := map[string]int32{"http": 8080}
	for _, tt := range []struct {
		name   string
		slices []any
		want   string
	}{
		{"one slice", []any{slice("web", "a", http, "10.1.1.0", "10.1.1.1")}, "10.1.1.0:8080 10.1.1.1:8080"},
		{"a slice of somebody else's, with another port number", []any{slice("web", "a", http, "10.1.1.0"), slice("web", "b", map[string]int32{"http": 9090}, "10.2.1.0")}, "10.1.1.0:8080 10.2.1.0:9090"},
		{"the same endpoint twice", []any{slice("web", "a", http, "10.1.1.0"), slice("web", "b", http, "10.1.1.0")}, "10.1.1.0:8080"},
		{"unready ones are left out", []any{slice("web", "a", http, "10.1.1.0!", "10.1.1.1", "10.1.1.2~")}, "10.1.1.1:8080"},
		{"terminating ones if there is no other", []any{slice("web", "a", http, "10.1.1.0!", "10.1.1.2~")}, "10.1.1.2:8080"},
		{"no such port", []any{slice("web", "a", map[string]int32{"grpc": 1}, "10.1.1.0")}, ErrNoEndpoint.Error()},
		{"other services", []any{slice("api", "a", http, "10.1.1.0")}, ErrNoEndpoint.Error()},
		{"none", nil, ErrNoEndpoint.Error()},
	} {
		d := directory(append(tt.slices, service("web", "10.101.0.5", port("http", 80)))...)
		target, ok := d.Find("web", "shop")
		if !ok {
			t.Fatal("the service is not found")
		}
		found, err := d.usable(target, 80)
		got := strings.Trim(fmt.Sprint(found), "[]")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestPick(t *testing.T) {
	d := directory(service("web", "10.101.0.5", port("http", 80)), slice("web", "a", map[string]int32{"http": 8080}, "10.1.1.0", "10.1.1.1"))
	target, _ := d.Find("web", "shop")
	seen := map[netip.AddrPort]int{}
	for range 400 {
		e, err := d.Pick(target, 80)
		if err != nil {
			t.Fatal(err)
		}
		seen[e]++
	}
	for e, n := range seen {
		if len(seen) != 2 || n < 120 {
			t.Errorf("%v was chosen %d of 400 times", e, n)
		}
	}
	if _, err := d.Pick(target, 81); !errors.Is(err, ErrNoPort) {
		t.Errorf("another port: %v, want ErrNoPort", err)
	}
}

func TestNamesAreFoundBySearchPath(t *testing.T) {
	d := directory(service("web", "10.101.0.5"), service("pods", corev1.ClusterIPNone), slice("pods", "a", nil, "db-0=10.1.1.0"))
	for name, want := range map[string]string{
		"web":                              "web",
		"WEB.shop":                         "web",
		"web.shop.svc":                     "web",
		"web.shop.svc.cluster.local":       "web",
		"web.shop.svc.cluster.local.":      "web",
		"db-0.pods":                        "pods db-0",
		"db-0.pods.shop.svc.cluster.local": "pods db-0",
		"db-1.pods":                        "",
		"web.":                             "",
		"web.other":                        "",
		"web.example.com":                  "",
	} {
		target, ok := d.Find(name, "shop")
		got := ""
		if ok {
			got = strings.TrimSpace(target.Service.Name + " " + target.Host)
		}
		if got != want {
			t.Errorf("Find(%q) = %q, want %q", name, got, want)
		}
	}
	if _, ok := d.Find("web", "other"); ok {
		t.Error("another namespace finds it by its short name")
	}
}

func TestTargetPorts(t *testing.T) {
	a, b := service("a", "10.101.0.5", port("x", 1), corev1.ServicePort{Port: 2, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("named")}), service("b", "10.101.0.6", port("x", 3))
	a.Spec.Selector, b.Spec.Selector = map[string]string{"app": "web"}, map[string]string{"app": "api"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Labels: map[string]string{"app": "web", "v": "1"}}}
	if got := directory(a, b).TargetPorts(pod); !slices.Equal(got, []int{8001}) {
		t.Errorf("ports %v, want [8001]", got)
	}
}

func TestEndpointsChangeAfterADelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDirectory(delay.Range{Min: time.Second, Max: 3 * time.Second}, 1, nil)
		ports := map[string]int32{"": 80}
		set := func(first bool, endpoints ...string) {
			d.setSliceLater(feed.Change[*discoveryv1.EndpointSlice]{Name: "shop/a", Object: slice("web", "a", ports, endpoints...), First: first})
		}
		count := func() int {
			d.mu.RLock()
			defer d.mu.RUnlock()
			return len(Usable(d.slices["shop/web"], ""))
		}
		set(true, "10.1.1.0")
		if count() != 1 {
			t.Error("what was there at the start is not in use at once")
		}
		for n := 2; n <= 9; n++ { // each may overtake those before it, but never be overtaken
			set(false, "10.1.1.0", fmt.Sprintf("10.1.1.%d", n))
		}
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if count() != 1 {
			t.Error("a change is in use before its delay is over")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		d.mu.RLock()
		defer d.mu.RUnlock()
		if got := Usable(d.slices["shop/web"], ""); len(got) != 2 || got[1].Addr().String() != "10.1.1.9" {
			t.Errorf("in use at last: %v, want the last change", got)
		}
	})
}

func TestDNS(t *testing.T) {
	external := service("ext", "")
	external.Spec.ExternalName = "db.example.com"
	empty := service("empty", corev1.ClusterIPNone, port("http", 80))
	d := directory(
		service("web", "10.101.0.5", port("http", 80)), external, empty,
		service("pods", corev1.ClusterIPNone, port("redis", 6379)),
		slice("pods", "a", map[string]int32{"redis": 6380}, "db-0=10.1.1.0", "10.1.1.9!"),
		slice("pods", "b", map[string]int32{"redis": 6380}, "10.2.1.4"),
	)
	const domain = ".shop.svc.cluster.local."
	for _, tt := range []struct {
		name  string
		kind  uint16
		rcode int
		want  []string
	}{
		{"web" + domain, dns.TypeA, dns.RcodeSuccess, []string{"A 10.101.0.5"}},
		{"WEB" + domain, dns.TypeA, dns.RcodeSuccess, []string{"A 10.101.0.5"}},
		{"web" + domain, dns.TypeAAAA, dns.RcodeSuccess, nil},
		{"pods" + domain, dns.TypeA, dns.RcodeSuccess, []string{"A 10.1.1.0", "A 10.2.1.4"}},
		{"db-0.pods" + domain, dns.TypeA, dns.RcodeSuccess, []string{"A 10.1.1.0"}},
		{"10-2-1-4.pods" + domain, dns.TypeA, dns.RcodeSuccess, []string{"A 10.2.1.4"}},
		{"db-1.pods" + domain, dns.TypeA, dns.RcodeNameError, nil},
		{"empty" + domain, dns.TypeA, dns.RcodeNameError, nil},
		{"ext" + domain, dns.TypeA, dns.RcodeSuccess, []string{"CNAME db.example.com."}},
		{"_http._tcp.web" + domain, dns.TypeSRV, dns.RcodeSuccess, []string{"SRV 0 100 80 web" + domain}},
		{"_redis._tcp.pods" + domain, dns.TypeSRV, dns.RcodeSuccess, []string{"SRV 0 100 6380 10-2-1-4.pods" + domain, "SRV 0 100 6380 db-0.pods" + domain}},
		{"_nope._tcp.web" + domain, dns.TypeSRV, dns.RcodeNameError, nil},
		{"no" + domain, dns.TypeA, dns.RcodeNameError, nil},
		{"shop.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, nil},
		{"none.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, nil},
		{"example.com.", dns.TypeA, dns.RcodeRefused, nil},
	} {
		query := new(dns.Msg).SetQuestion(tt.name, tt.kind)
		m := d.Answer(query)
		var got []string
		for _, rr := range m.Answer {
			got = append(got, strings.ReplaceAll(strings.SplitN(rr.String(), "IN\t", 2)[1], "\t", " "))
		}
		slices.Sort(got)
		if m.Rcode != tt.rcode || !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %s %q, want %s %q", tt.name, dns.TypeToString[tt.kind], dns.RcodeToString[m.Rcode], got, dns.RcodeToString[tt.rcode], tt.want)
		}
		if m.Rcode != dns.RcodeRefused && len(m.Answer) == 0 && len(m.Ns) == 0 {
			t.Errorf("%s: a negative answer without SOA cannot be cached (RFC 2308)", tt.name)
		}
	}
}

func TestDNSIsServedByUDPAndTCP(t *testing.T) {
	d := directory(service("web", "10.101.0.5"))
	if err := d.ListenDNS(t.Context(), netip.MustParseAddr("10.188.0.10")); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		reply, _, err := (&dns.Client{Net: network}).Exchange(new(dns.Msg).SetQuestion("web.shop.svc.cluster.local.", dns.TypeA), "127.188.0.10:10053")
		if err != nil || len(reply.Answer) != 1 {
			t.Errorf("%s: %v, %v", network, reply, err)
		}
	}
}

func TestProxyLeadsToWhatACallerMeans(t *testing.T) {
	pod, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.88.3.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = http.Serve(pod, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }))
	}()
	defer func() { _ = pod.Close() }()
	socks, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.88.3.9:1080")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socks.Close() }()
	external := service("ext", "")
	external.Spec.ExternalName = "www.demo.test"
	p := &Proxy{
		Directory: directory(
			service("web", "10.188.3.5", port("", 80)), service("pods", corev1.ClusterIPNone), service("empty", "10.188.3.6", port("", 80)), external,
			slice("web", "a", map[string]int32{"": 8080}, "10.88.3.1"), slice("pods", "b", nil, "10.88.3.1"),
		),
		Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			if name == "www.demo.test" {
				return []netip.Addr{netip.MustParseAddr("10.88.3.1")}, nil
			}
			return nil, errUnknownName
		},
	}
	go p.Serve(socks)
	through := func(namespace, target string) (string, error) {
		proxy := &url.URL{Scheme: "socks5h", User: url.UserPassword(namespace, "10.88.3.7"), Host: "127.88.3.9:1080"}
		c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}, Timeout: 5 * time.Second}
		response, err := get(t.Context(), c, target)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	for _, target := range []string{"http://web/", "http://web.shop.svc.cluster.local/", "http://10.188.3.5/", "http://pods:8080/", "http://10.88.3.1:8080/", "http://www.demo.test:8080/", "http://ext:8080/"} {
		from, err := through("shop", target)
		if err != nil || !strings.HasPrefix(from, "127.88.3.7:") {
			t.Errorf("%s: caller is %q, %v; want the pod's own address", target, from, err)
		}
	}
	for target, want := range map[string]string{
		"http://web:81/":         "host unreachable",
		"http://empty/":          "connection refused",
		"http://10.88.3.1:8081/": "connection refused",
		"http://nowhere/":        "host unreachable",
		"http://192.0.2.1/":      "not allowed",
	} {
		if _, err := through("shop", target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", target, err, want)
		}
	}
	if _, err := through("other", "http://web/"); err == nil {
		t.Error("a short name led to another namespace")
	}
}

func get(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}
