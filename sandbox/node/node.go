// Package node is a Kubernetes node whose pods are local processes or stand-ins.
//
// It does what a kubelet does: registers a Node, runs the pods bound to it, probes,
// restarts and stops them by the book, and serves their logs. Images of its table
// run as processes of this machine, all others are stood in for. Beside the pods
// it runs what a node's kube-proxy and cluster DNS do (package service).
//
// Nothing that runs waits for the API server: while it is away, pods go on, are
// probed and reached as before, and what changed is reported on its return.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
	"crossfade.dev/sandbox/service"
)

// Config says how a node behaves.
type Config struct {
	Cluster    address.Cluster
	Kubeconfig string
	Name       string
	Dir        string
	Images     string // file; empty is no images
	Seed       uint64
	// StartDelay is how long pods take to start, TaskTime how long the stand-ins of
	// tasks (restartPolicy OnFailure or Never) take, EndpointDelay how long a change
	// of endpoints takes to be in use.
	StartDelay, TaskTime, EndpointDelay delay.Range
	// Backoff is the first pause before a container that keeps ending is started
	// again, and BackoffLimit the longest.
	Backoff, BackoffLimit time.Duration
	// Resolver is the "ip:port" that resolves names outside the cluster, Zone the
	// topology zone of the node.
	Resolver, Zone string
}

// A Node runs pods.
type Node struct {
	cfg     Config
	client  kubernetes.Interface
	images  images
	log     *slog.Logger
	events  record.EventRecorder
	backoff backoff
	began   time.Time

	addresses  *addresses
	checks     checks
	rota       *rota
	nursery    *nursery
	references *references
	volumes    volumes
	reporter   *reporter
	services   *service.Directory
	// start and check are how containers are started and asked; tests replace them.
	start func(*container, map[string]string) (instance, error)
	check func(*corev1.Probe, *container) check

	mu   sync.Mutex
	pods map[types.UID]*pod
}

const (
	// probesAtOnce and reportWorkers bound what a node does at the same time.
	probesAtOnce  = 128
	reportWorkers = 24
	// socksPort is the port of the proxy on the node's address.
	socksPort = 1080
)

// Run runs a node until ctx ends. It calls ready once the node is registered and
// its services are reachable.
func Run(ctx context.Context, cfg Config, ready func()) error {
	limitMemory()
	n, err := newNode(cfg)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", cfg.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 2000, 4000
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	n.connect(client)
	klog.SetSlogLogger(n.log) // what client-go says

	if err := n.register(ctx); err != nil {
		return err
	}
	go n.heartbeat(ctx)
	if err := n.services.Run(ctx, client); err != nil {
		return err
	}
	if err := n.serve(ctx, config); err != nil {
		return err
	}
	go n.rota.run(ctx)
	n.reporter.run(ctx, reportWorkers)
	pods := feed.New(n.observe)
	go pods.Run(ctx, feed.Source(client.CoreV1().Pods(""), "spec.nodeName="+cfg.Name))
	go n.provision(ctx)
	select {
	case <-pods.Synced():
		ready()
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

func newNode(cfg Config) (*Node, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	table, err := readImages(cfg.Images)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cfg.Dir, "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:       cfg,
		images:    table,
		log:       slog.New(slog.NewTextHandler(f, nil)),
		began:     time.Now(),
		backoff:   backoff{base: cfg.Backoff, limit: cfg.BackoffLimit},
		addresses: newAddresses(cfg.Cluster.FirstPod(), cfg.Cluster.LastPod()),
		checks:    newChecks(),
		rota:      newRota(time.Now, probesAtOnce),
		nursery:   newNursery(),
		pods:      map[types.UID]*pod{},
	}
	n.services = service.NewDirectory(cfg.EndpointDelay, cfg.Seed, n.expectPorts)
	n.reporter = newReporter(n)
	n.start, n.check = n.startInstance, n.checks.check
	return n, nil
}

// connect gives the node the client that it works with.
func (n *Node) connect(client kubernetes.Interface) {
	n.client = client
	n.references = newReferences(client, time.Now)
	n.volumes = volumes{
		environment: environment{configMap: n.references.configMap, secret: n.references.secret},
		client:      client,
		claimFolder: n.claimFolder,
		hostPaths:   filepath.Join(n.cfg.Dir, "host"),
	}
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(newEventSink(client))
	n.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "sandbox-node", Host: n.cfg.Name})
}

// serve opens what pods and the API server reach at the node: cluster DNS, the
// proxy into the cluster, and the logs.
func (n *Node) serve(ctx context.Context, config *rest.Config) error {
	if err := n.services.ListenDNS(ctx, n.cfg.Cluster.DNS()); err != nil {
		return err
	}
	socks, err := new(net.ListenConfig).Listen(ctx, "tcp", n.socksAddress())
	if err != nil {
		return fmt.Errorf("listen for the proxy into the cluster: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = socks.Close() })
	proxy := &service.Proxy{Directory: n.services, Resolve: service.Resolver(n.cfg.Resolver)}
	go proxy.Serve(socks)
	return n.serveKubelet(ctx, config)
}

func (n *Node) socksAddress() string { return address.HostPort(n.cfg.Cluster.Node(), socksPort) }

// proxyURL is the proxy into the cluster as pod p uses it.
func (n *Node) proxyURL(p *pod) string {
	u := url.URL{Scheme: "socks5h", User: url.UserPassword(p.namespace, p.ip.String()), Host: n.socksAddress()}
	return u.String()
}

// observe takes in a change of a pod that is bound to this node.
func (n *Node) observe(c feed.Change[*corev1.Pod]) {
	p := n.pod(c.Object.UID)
	switch {
	case c.Gone && p != nil:
		n.forget(p)
	case c.Gone:
	case p != nil:
		p.observe(c.Object)
		if len(c.Object.Spec.ReadinessGates) > 0 {
			p.changed()
		}
	default:
		if err := n.admit(c.Object); err != nil {
			n.log.Error("pod not admitted", "pod", c.Name, "error", err)
		}
	}
}

// admit starts to run a pod. One that ran before the node was restarted keeps its
// address, and one that had come to its end stays as it is.
func (n *Node) admit(object *corev1.Pod) error {
	finished := object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
	before, _ := netip.ParseAddr(object.Status.PodIP)
	ip, resumed, holds := before, before.IsValid(), false
	switch {
	case object.Spec.HostNetwork:
		ip = n.cfg.Cluster.Node()
	case finished: // its address may be another pod's by now
	case resumed && n.addresses.keep(before):
		holds = true
	default:
		var err error
		if ip, err = n.addresses.take(); err != nil {
			return err
		}
		holds = true
	}
	p := newPod(n, object, ip, resumed)
	p.holdsAddress, p.finishedBefore, p.over = holds, finished, finished
	n.mu.Lock()
	n.pods[p.uid] = p
	n.mu.Unlock()
	if finished {
		close(p.done)
		p.closeLogs()
		p.changed()
		return nil
	}
	go p.run()
	return nil
}

// forget ends whatever is left of a pod that is gone from the API, and gives its
// address back.
func (n *Node) forget(p *pod) {
	n.mu.Lock()
	delete(n.pods, p.uid)
	n.mu.Unlock()
	p.force()
	p.end(0)
	go func() {
		<-p.done
		p.closeLogs()
		if p.holdsAddress {
			n.addresses.release(p.ip)
		}
		_ = os.RemoveAll(filepath.Join(p.dir(), "volumes"))
	}()
}

func (n *Node) pod(uid types.UID) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[uid]
}

// expectPorts has the stand-ins behind a new or changed Service answer at its ports.
func (n *Node) expectPorts(s *corev1.Service) {
	if len(s.Spec.Selector) == 0 {
		return
	}
	n.mu.Lock()
	var behind []*pod
	for _, p := range n.pods {
		if p.namespace == s.Namespace {
			behind = append(behind, p)
		}
	}
	n.mu.Unlock()
	for _, p := range behind {
		p.expectPorts()
	}
}

// logbook makes the logbook of a container: that of a process is also a file.
func (n *Node) logbook(p *pod, c *corev1.Container) *logbook {
	if _, real := n.images.find(c.Image); !real {
		return newLogbook(time.Now, standInLogLines, "")
	}
	return newLogbook(time.Now, logLines, filepath.Join(p.dir(), c.Name+".log"))
}

// limitMemory keeps a node of thousands of stand-ins small. GOGC wins.
func limitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
