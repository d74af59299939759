package cluster_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/clustertest"
	"crossfade.dev/internal/sandbox"
)

// sandboxNumber is a cluster number that no other test uses.
const sandboxNumber = "91"

// realCluster starts a control plane and a node by the sandbox binary in
// CROSSFADE_SANDBOX, and returns how to reach it.
func realCluster(t *testing.T) *rest.Config {
	t.Helper()
	binary := os.Getenv("CROSSFADE_SANDBOX")
	if binary == "" {
		t.Skip("CROSSFADE_SANDBOX is not set: no real API server")
	}
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	launch := func(command string, args ...string) {
		process, err := sandbox.Start(context.WithoutCancel(t.Context()), binary, command, append(args, "--cluster", sandboxNumber)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(process.End)
	}
	launch("control", "--dir", dir)
	launch("node", "--kubeconfig", kubeconfig, "--dir", filepath.Join(dir, "node"), "--start-delay", "100ms-500ms")
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// poll asks until done is true, for at most patience.
func poll(patience time.Duration, done func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if done() {
			return true
		}
		<-time.After(50 * time.Millisecond)
	}
	return done()
}

// A line is the network in between: it can be cut without telling either end.
type line struct {
	mu     sync.Mutex
	mended chan struct{} // closed while the line is whole
	dials  int
}

func newLine() *line {
	l := &line{mended: make(chan struct{})}
	close(l.mended)
	return l
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mended = make(chan struct{})
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.mended)
}

func (l *line) whole() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mended
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case <-l.whole():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials++
	return &cuttable{Conn: conn, line: l, closed: make(chan struct{})}, nil
}

// cuttable swallows everything while its line is cut.
type cuttable struct {
	net.Conn
	line   *line
	once   sync.Once
	closed chan struct{}
}

func (c *cuttable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.line.whole():
		return n, err
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *cuttable) Write(p []byte) (int, error) {
	select {
	case <-c.line.whole():
		return c.Conn.Write(p)
	default:
		return len(p), nil
	}
}

func (c *cuttable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestRealCluster(t *testing.T) {
	log.SetLogger(logr.Discard()) // informers tell of the cut line, which is no news here
	config := realCluster(t)
	l := newLine()
	c, err := cluster.Connect(t.Context(), cluster.Options{
		Config: config, Identity: "test", Dial: l.dial, WriteTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Fence.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := keepHolding(t, c)
	t.Run("Conformance", func(t *testing.T) {
		clustertest.Run(t, clustertest.World{
			API: c, Facts: c, Pods: true, Settle: func(done func() bool) bool { return poll(30*time.Second, done) },
		})
	})
	t.Run("Cache", func(t *testing.T) { testCache(t, c) })
	t.Run("CutLine", func(t *testing.T) { testCutLine(t, c, l) })
	stop()
	t.Run("Pin", func(t *testing.T) { testPin(t, config) })
}

// keepHolding renews the fence until it is told to stop.
func keepHolding(t *testing.T, c *cluster.Cluster) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-time.After(500 * time.Millisecond):
				_ = c.Fence.Hold(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// testCutLine proves that nothing hangs while the line is cut, and that everything
// goes on when it is mended.
func testCutLine(t *testing.T, c *cluster.Cluster, l *line) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cut"}}
	if err := c.Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	k, err := c.StartCache(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); <-k.Ended() }()
	if since, deaf := k.Deaf(); deaf {
		t.Errorf("a new cache is deaf since %s", since)
	}
	l.cut()
	began := time.Now()
	cm.Data = map[string]string{"a": "b"}
	if err := c.Update(t.Context(), cm.DeepCopy()); err == nil || time.Since(began) > 3*time.Second {
		t.Errorf("an update over a cut line: %v after %s, want an error within 2 s", err, time.Since(began))
	}
	began = time.Now()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(cm), cm.DeepCopy()); err == nil || time.Since(began) > 6*time.Second {
		t.Errorf("a read over a cut line: %v after %s, want an error within 5 s", err, time.Since(began))
	}
	if !poll(10*time.Second, func() bool { _, deaf := k.Deaf(); return deaf }) {
		t.Error("the cache does not know that the line is cut")
	}
	l.mend()
	if !poll(10*time.Second, func() bool { return c.Get(t.Context(), client.ObjectKeyFromObject(cm), cm) == nil }) {
		t.Fatal("no read succeeds within 10 s after the line was mended")
	}
	cm.Data = map[string]string{"a": "c"}
	if err := c.Update(t.Context(), cm); err != nil {
		t.Errorf("an update after the line was mended: %v", err)
	}
	if !poll(40*time.Second, func() bool { _, deaf := k.Deaf(); return !deaf }) {
		t.Error("the cache is still deaf 40 s after the line was mended")
	}
}

func testPin(t *testing.T, config *rest.Config) {
	_, err := cluster.Connect(t.Context(), cluster.Options{Config: config, Identity: "test", PinUID: "11111111-2222-3333-4444-555555555555"})
	if err == nil || !strings.Contains(err.Error(), cluster.ErrReplaced.Error()) {
		t.Errorf("connected to another cluster than the pinned one: %v", err)
	}
}

// testCache proves that the cache hears of changes, and answers without the server
// for what it holds.
func testCache(t *testing.T, c *cluster.Cluster) {
	ctx, cancel := context.WithCancel(t.Context())
	k, err := c.StartCache(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); <-k.Ended() }()
	api := cluster.ReadingFrom(c, k)
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "cached"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"a": "b"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	poll(time.Second, func() bool { // what the start itself changed
		select {
		case <-k.Changed():
			return false
		default:
			return true
		}
	})
	if err := api.Create(ctx, s); err != nil {
		t.Fatal(err)
	}
	select {
	case <-k.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("the cache heard of nothing within 10 s")
	}
	var list corev1.ServiceList
	if !poll(10*time.Second, func() bool {
		return api.List(ctx, &list, client.InNamespace("default"), client.UnsafeDisableDeepCopy) == nil && len(list.Items) == 2
	}) {
		t.Errorf("the cache lists %d Services, want 2", len(list.Items))
	}
	var got corev1.Service
	if err := api.Get(ctx, client.ObjectKeyFromObject(s), &got); err != nil || got.UID != s.UID || got.ManagedFields != nil {
		t.Errorf("the cache gives UID %s with managedFields %v, %v, want %s without", got.UID, got.ManagedFields, err, s.UID)
	}
	var cm corev1.ConfigMapList
	if err := api.List(ctx, &cm, client.InNamespace("kube-system")); err != nil || len(cm.Items) == 0 {
		t.Errorf("a kind that is not cached: %d, %v, want the server's answer", len(cm.Items), err)
	}
}
