package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// roleVariable makes the test binary act as the sandbox, or as a process of a pod.
const roleVariable = "SANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "sandbox":
		main()
	case "server":
		serve()
	default:
		os.Exit(m.Run())
	}
}

// serve is a small server that ends as a pod should.
func serve() {
	fmt.Println("serving", os.Getenv("GREETING"))
	var ending atomic.Bool
	server := &http.Server{Addr: os.Getenv("BIND_ADDRESS") + ":8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("X-Pod-Name", os.Getenv("POD_NAMESPACE")+"/"+os.Getenv("POD_NAME"))
		fmt.Fprintln(w, os.Getenv("GREETING"))
	})}
	told := make(chan os.Signal, 1)
	// Signals arrive by the process group, as the kubelet's do.
	signal.Notify(told, syscall.SIGTERM)
	go func() {
		<-told
		ending.Store(true)
		<-time.After(5 * time.Second)
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
}

// A cluster is a control plane and a node, as processes.
type cluster struct {
	dir     string
	number  int
	control *exec.Cmd
	node    *exec.Cmd
	client  kubernetes.Interface
}

func (c *cluster) run(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...) // its standard input ends it
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox")
	cmd.Stderr = os.Stderr
	// The pipe on standard input is what --die-with-parent watches.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("sandbox %v said %q, %v; want ready", args, line, err)
	}
	t.Logf("%s is ready after %v", args[0], time.Since(began).Round(10*time.Millisecond))
	return cmd
}

// kill kills a process (SIGKILL) and waits for its end.
func (c *cluster) kill(t *testing.T, process *exec.Cmd) {
	t.Helper()
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // its error is the signal
}

func (c *cluster) startControl(t *testing.T) {
	t.Helper()
	c.control = c.run(t, "control", "--cluster", fmt.Sprint(c.number), "--dir", filepath.Join(c.dir, "control"),
		"--ca", filepath.Join(c.dir, "ca"), "--die-with-parent")
}

func (c *cluster) startNode(t *testing.T) {
	t.Helper()
	c.node = c.run(t, "node", "--cluster", fmt.Sprint(c.number), "--kubeconfig", c.kubeconfig(), "--dir", filepath.Join(c.dir, "node"),
		"--images", filepath.Join(c.dir, "images.yaml"), "--start-delay", "100ms-1s", "--endpoint-delay", "200ms-2s", "--die-with-parent")
}

func (c *cluster) kubeconfig() string { return filepath.Join(c.dir, "control", "kubeconfig") }

// newCluster starts a cluster whose image "real" is serve.
func newCluster(t *testing.T, number int) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	c := &cluster{dir: t.TempDir(), number: number}
	c.startControl(t)
	table := fmt.Sprintf("example.com/real:\n  command: [%q]\n  env: {%s: server}\n", os.Args[0], roleVariable)
	if err := os.WriteFile(filepath.Join(c.dir, "images.yaml"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	c.startNode(t)
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 100, 100
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return c
}

func eventually(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", limit, what)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// settled is whether a Deployment has n replicas, all new and Ready, and no others.
func (c *cluster) settled(name string, n int32) func() bool {
	return func() bool {
		d, err := c.client.AppsV1().Deployments("default").Get(context.Background(), name, metav1.GetOptions{})
		s := &appsv1.DeploymentStatus{}
		if err == nil {
			s = &d.Status
		}
		return err == nil && s.ObservedGeneration == d.Generation && s.Replicas == n && s.UpdatedReplicas == n && s.ReadyReplicas == n
	}
}

// deploy creates a Deployment of 3, a Service and a headless Service for image.
func (c *cluster) deploy(t *testing.T, name, image string) {
	t.Helper()
	ctx := context.Background()
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	d.Spec.Replicas = ptr.To[int32](3)
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](8)
	d.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: "main", Image: image,
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Env:   []corev1.EnvVar{{Name: "GREETING", Value: "from $(POD_NAME)"}},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")},
		}},
	}}
	if _, err := c.client.AppsV1().Deployments("default").Create(ctx, d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for suffix, ip := range map[string]string{"": "", "-pods": corev1.ClusterIPNone} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name + suffix}, Spec: corev1.ServiceSpec{
			ClusterIP: ip, Selector: labels,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		}}
		if ip == corev1.ClusterIPNone {
			s.Spec.Ports[0].Port = 8080
		}
		if _, err := c.client.CoreV1().Services("default").Create(ctx, s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *cluster) patch(t *testing.T, name, body string) {
	t.Helper()
	_, err := c.client.AppsV1().Deployments("default").Patch(context.Background(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// traffic is what clients inside the cluster saw.
type traffic struct {
	sent, failed atomic.Int64
	mu           sync.Mutex
	first        string         // failure
	pods         map[string]int // answers
	stop         func()
}

// ask sends requests to url every interval until stop, on new or kept connections.
func (c *cluster) ask(tr *traffic, target string, keep bool) {
	proxy, err := url.Parse(fmt.Sprintf("socks5h://default:x@127.%d.0.2:1080", c.number))
	if err != nil {
		panic(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: !keep}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				running.Go(func() { tr.request(client, target) })
			}
		}
	})
	before := tr.stop
	tr.stop = func() {
		cancel()
		running.Wait()
		transport.CloseIdleConnections()
		if before != nil {
			before()
		}
	}
}

func (tr *traffic) request(client *http.Client, target string) {
	tr.sent.Add(1)
	response, err := get(context.Background(), client, target)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil || response.StatusCode != http.StatusOK {
		tr.failed.Add(1)
		if tr.first == "" {
			tr.first = fmt.Sprintf("%s: %v %v", time.Now().Format(time.TimeOnly), target, err)
		}
		return
	}
	if tr.pods == nil {
		tr.pods = map[string]int{}
	}
	tr.pods[response.Header.Get("X-Pod-Name")]++
}

func TestTrafficSurvivesScalingRolloutAndDeathOfTheControlPlane(t *testing.T) {
	c := newCluster(t, 61)
	c.deploy(t, "web", "example.com/web:1")
	c.deploy(t, "real", "example.com/real:1")
	eventually(t, "both deployments ready", 30*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })

	tr := &traffic{}
	targets := []string{"http://web/", "http://web.default.svc.cluster.local/", "http://web-pods:8080/", "http://real.default/", "http://real-pods.default.svc:8080/"}
	// The first endpoints take as long as any change to be in use.
	proxyClient := &traffic{}
	eventually(t, "every name leads to a pod", 20*time.Second, func() bool {
		before := proxyClient.failed.Load()
		for _, target := range targets {
			c.once(proxyClient, target)
		}
		return proxyClient.failed.Load() == before
	})
	for i, target := range targets {
		c.ask(tr, target, i%2 == 0)
	}

	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"replicas":1}}`)
	}
	eventually(t, "scaled to 1", 40*time.Second, func() bool { return c.settled("web", 1)() && c.settled("real", 1)() })
	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"replicas":3}}`)
	}
	eventually(t, "scaled to 3", 40*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })
	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"template":{"metadata":{"annotations":{"release":"2"}}}}}`)
	}
	eventually(t, "rolled out", 60*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })

	before := c.pods(t, "app=real")
	c.kill(t, c.control)
	<-time.After(3 * time.Second) // of traffic without a control plane
	c.startControl(t)
	after := c.pods(t, "app=real")

	// And once more, in the middle of a rollout and a scaling.
	c.patch(t, "web", `{"spec":{"replicas":2}}`)
	c.patch(t, "real", `{"spec":{"template":{"metadata":{"annotations":{"release":"3"}}}}}`)
	<-time.After(time.Second)
	c.kill(t, c.control)
	c.startControl(t)
	eventually(t, "scaled and rolled out", 60*time.Second, func() bool { return c.settled("web", 2)() && c.settled("real", 3)() })
	eventually(t, "every pod that was told to stop is gone", 30*time.Second, func() bool { return len(c.pods(t, "")) == 5 })

	tr.stop()
	t.Logf("%d requests, %d failed, %d pods answered", tr.sent.Load(), tr.failed.Load(), len(tr.pods))
	if n := tr.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", n, tr.sent.Load(), tr.first)
	}
	if len(tr.pods) < 12 {
		t.Errorf("only %d pods answered, want all of both releases", len(tr.pods))
	}
	for i, pod := range after {
		if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 || pod.UID != before[i].UID {
			t.Errorf("pod %s is another than before the control plane died, or was restarted %d times", pod.Name, n)
		}
	}
	now := c.pods(t, "app=real")
	c.wantLogs(t, now[0].Name, "serving from "+now[0].Name)
}

func (c *cluster) once(tr *traffic, target string) {
	proxy, _ := url.Parse(fmt.Sprintf("socks5h://default:x@127.%d.0.2:1080", c.number))
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	tr.request(&http.Client{Transport: transport, Timeout: 5 * time.Second}, target)
}

// pods returns the pods with a label that were not told to stop, and for no label
// all pods.
func (c *cluster) pods(t *testing.T, selector string) []corev1.Pod {
	t.Helper()
	list, err := c.client.CoreV1().Pods("default").List(context.Background(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	if selector == "" {
		return list.Items
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// wantLogs checks that `kubectl logs` of a pod, which goes through the API server
// to the node, contains text.
func (c *cluster) wantLogs(t *testing.T, pod, text string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "kubectl", "--kubeconfig", c.kubeconfig(), "logs", pod)
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(text)) {
		t.Errorf("kubectl logs %s: %v, %q; want %q", pod, err, out, text)
	}
}

func TestRestartedNodeKeepsItsPods(t *testing.T) {
	c := newCluster(t, 62)
	c.deploy(t, "web", "example.com/web:1")
	c.deploy(t, "real", "example.com/real:1")
	eventually(t, "both deployments ready", 30*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })
	before := map[string]string{}
	for _, pod := range c.pods(t, "") {
		before[pod.Name] = pod.Status.PodIP
	}

	c.kill(t, c.node)
	eventually(t, "processes of pods end with their node", 5*time.Second, func() bool {
		for _, ip := range before {
			if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127."+strings.TrimPrefix(ip, "10.")+":8080"); err == nil {
				_ = conn.Close()
				return false
			}
		}
		return true
	})
	c.startNode(t)

	eventually(t, "every pod was restarted and is ready", 20*time.Second, func() bool {
		for _, pod := range c.pods(t, "") {
			if s := pod.Status.ContainerStatuses[0]; s.RestartCount != 1 || !s.Ready {
				return false
			}
		}
		return true
	})
	for _, pod := range c.pods(t, "") {
		if before[pod.Name] != pod.Status.PodIP {
			t.Errorf("pod %s had address %q, and has %s", pod.Name, before[pod.Name], pod.Status.PodIP)
		}
	}
}

func get(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}
