package ingress

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
)

const patience = 10 * time.Second

// A cluster is an API server that is not there (a fake client set), an ingress
// that runs, and pods that tests start. Its number is drawn, so that tests may run
// beside each other and beside a sandbox.
type cluster struct {
	t      testing.TB
	number int
	client kubernetes.Interface
	real   bool // the API server chooses UIDs and versions
	stop   context.CancelFunc
	ended  chan error
	nextIP int
	edge   *edge
}

// options changes what a test's ingress would do by default: delays of
// milliseconds.
func startCluster(t testing.TB, options ...func(*Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, number: freeCluster(t), client: fake.NewClientset(), ended: make(chan error, 1), nextIP: 10}
	c.start(t.TempDir(), options...)
	return c
}

func (c *cluster) start(dir string, change ...func(*Options)) {
	c.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("INGRESS_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	options := Options{
		Cluster: c.number, Client: c.client, Seed: 1, Dir: dir, Log: log, DrainLimit: patience, Ready: func() {},
		AddressDelay: delay.Range{Min: time.Millisecond, Max: 5 * time.Millisecond}, EndpointDelay: delay.Range{Max: 5 * time.Millisecond},
	}
	for _, f := range change {
		f(&options)
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	edge, err := newEdge(ctx, options)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := edge.follow(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.edge = edge
	go func() { c.ended <- edge.serve(ctx) }()
	c.t.Cleanup(c.end)
	eventually(c.t, "the ingress listens", func() bool {
		conn, err := connectTo(c.at(1, 443))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// end stops the ingress and waits until it has drained.
func (c *cluster) end() {
	c.stop()
	select {
	case err := <-c.ended:
		if err != nil {
			c.t.Errorf("ingress ended with %v", err)
		}
		c.ended <- nil
	case <-time.After(2 * patience):
		c.t.Error("ingress did not end")
	}
}

func connectTo(at string) (net.Conn, error) {
	return new(net.Dialer).DialContext(context.Background(), "tcp", at)
}

func serve(t testing.TB, server *http.Server, listener net.Listener) {
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// freeCluster draws a number above those that other tests of the sandbox use.
func freeCluster(t testing.TB) int {
	t.Helper()
	for range 100 {
		number := 64 + rand.IntN(36)
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address.HostPort(ingressAddress(number), 80))
		if err == nil {
			_ = listener.Close()
			return number
		}
	}
	t.Fatal("no cluster number is free")
	return 0
}

// at is where the address 10.C.240.last is found on this machine.
func (c *cluster) at(last, port int) string {
	return address.HostPort(balancerAddress(c.number, last), port)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", patience, what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// A pod is a server at an address of its own that counts what reaches it.
type pod struct {
	ip      netip.Addr
	port    int
	server  *http.Server
	arrived atomic.Int64
	open    atomic.Int64 // connections
}

const podPort = 8080

// pod starts a pod. handler may be nil: then it answers with its own address.
func (c *cluster) pod(handler http.HandlerFunc) *pod {
	c.t.Helper()
	p := c.bare()
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, p.ip) }
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p.server = &http.Server{Protocols: protocols, ConnState: p.count, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.arrived.Add(1)
		handler(w, r)
	})}
	serve(c.t, p.server, p.listen(c.t))
	return p
}

func (p *pod) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.open.Add(-1)
	}
}

// bare gives an address at which nothing listens.
func (c *cluster) bare() *pod {
	c.nextIP++
	return &pod{ip: netip.AddrFrom4([4]byte{10, byte(c.number), 1, byte(c.nextIP)}), port: podPort}
}

func (p *pod) listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address.HostPort(p.ip, p.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

var uids atomic.Int64

func (c *cluster) meta(name string) metav1.ObjectMeta {
	n := uids.Add(1)
	if c.real {
		return metav1.ObjectMeta{Name: name, Namespace: "shop"}
	}
	return metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(fmt.Sprint("uid-", n)), ResourceVersion: fmt.Sprint(n)}
}

// service creates a Service with port 80, called portName.
func (c *cluster) service(name, portName string, change ...func(*corev1.Service)) {
	c.t.Helper()
	service := &corev1.Service{ObjectMeta: c.meta(name), Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Name: portName, Port: 80, TargetPort: intstr.FromInt32(podPort)}},
	}}
	for _, f := range change {
		f(service)
	}
	if _, err := c.client.CoreV1().Services("shop").Create(c.t.Context(), service, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// state is what an EndpointSlice says of a pod.
type state struct {
	pod                         *pod
	ready, serving, terminating bool
}

func readyPods(pods ...*pod) []state {
	var out []state
	for _, p := range pods {
		out = append(out, state{pod: p, ready: true, serving: true})
	}
	return out
}

// slice creates or replaces an EndpointSlice of a Service.
func (c *cluster) slice(name, service, portName, managedBy string, states ...state) {
	c.t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: c.meta(name), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: new(int32(podPort))}},
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: managedBy}
	for _, s := range states {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{s.pod.ip.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: &s.ready, Serving: &s.serving, Terminating: &s.terminating},
		})
	}
	api := c.client.DiscoveryV1().EndpointSlices("shop")
	if old, err := api.Get(c.t.Context(), name, metav1.GetOptions{}); err == nil {
		slice.UID = old.UID
	}
	_, err := api.Update(c.t.Context(), slice, metav1.UpdateOptions{})
	if err != nil {
		_, err = api.Create(c.t.Context(), slice, metav1.CreateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// ingress creates an Ingress that leads a host to port 80 of a Service.
func (c *cluster) ingress(name, host, service string, change ...func(*netv1.Ingress)) {
	c.t.Helper()
	prefix := netv1.PathTypePrefix
	ingress := &netv1.Ingress{ObjectMeta: c.meta(name), Spec: netv1.IngressSpec{Rules: []netv1.IngressRule{{
		Host: host,
		IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: []netv1.HTTPIngressPath{{
			Path: "/", PathType: &prefix, Backend: netv1.IngressBackend{Service: &netv1.IngressServiceBackend{
				Name: service, Port: netv1.ServiceBackendPort{Number: 80}}},
		}}}},
	}}}}
	for _, f := range change {
		f(ingress)
	}
	if _, err := c.client.NetworkingV1().Ingresses("shop").Create(c.t.Context(), ingress, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// web sets up one Service behind one Ingress and waits until it is served.
func (c *cluster) web(pods ...*pod) {
	c.t.Helper()
	c.service("web", "http")
	c.slice("web-1", "web", "http", "endpointslice-controller.k8s.io", readyPods(pods...)...)
	c.ingress("web", "web.test", "web")
	c.uses("web", pods...)
}

// uses waits until the ingress uses just these pods of a Service.
func (c *cluster) uses(service string, pods ...*pod) {
	c.t.Helper()
	eventually(c.t, "the endpoints are in use", func() bool {
		c.edge.directory.mu.Lock()
		defer c.edge.directory.mu.Unlock()
		for key, b := range c.edge.directory.backends {
			if key.service == "shop/"+service && len(*b.usable.Load()) == len(pods) {
				seen := 0
				for _, e := range *b.usable.Load() {
					for _, p := range pods {
						if e.pod.Addr() == p.ip {
							seen++
						}
					}
				}
				return seen == len(pods)
			}
		}
		return false
	})
}

// browser is a client that finds every host at the cluster's ingress.
func (c *cluster) browser(change ...func(*http.Transport)) *http.Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 100,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
			at := c.at(1, 80)
			if strings.HasSuffix(to, ":443") {
				at = c.at(1, 443)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", at)
		},
	}
	for _, f := range change {
		f(transport)
	}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get returns status and body.
func get(client *http.Client, url string) (int, string, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// A load is a number of clients that ask as fast as they are answered.
type load struct {
	stop   atomic.Bool
	all    sync.WaitGroup
	sent   atomic.Int64
	failed atomic.Int64
	first  atomic.Pointer[string]
}

func startLoad(clients int, client *http.Client, url string) *load {
	l := &load{}
	for range clients {
		l.all.Go(func() {
			for !l.stop.Load() {
				status, body, err := get(client, url)
				l.sent.Add(1)
				if err != nil || status != 200 {
					l.failed.Add(1)
					text := fmt.Sprintf("%d %q %v", status, body, err)
					l.first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	return l
}

// end stops the load and returns what was sent and failed, and the first failure.
func (l *load) end() (sent, failed int64, first string) {
	l.stop.Store(true)
	l.all.Wait()
	if text := l.first.Load(); text != nil {
		first = *text
	}
	return l.sent.Load(), l.failed.Load(), first
}
