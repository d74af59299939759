package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
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

// serve is a small server that ends as a pod should. Asked for /ask?url=URL it asks
// URL, as any program would, and answers what it was answered; told to /crash it does.
func serve() {
	fmt.Println("serving", os.Getenv("GREETING"))
	var ending atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ask", func(w http.ResponseWriter, r *http.Request) {
		answer, err := get(r.Context(), http.DefaultClient, r.FormValue("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		w.Header().Set("X-Asked-Pod", answer.Header.Get("X-Pod-Name"))
	})
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getenv("GREETING")) })
	server := &http.Server{Addr: os.Getenv("BIND_ADDRESS") + ":8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("X-Pod-Name", os.Getenv("POD_NAMESPACE")+"/"+os.Getenv("POD_NAME"))
		mux.ServeHTTP(w, r)
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
	binary  string              // of the sandbox, and of the processes of pods
	user    *syscall.Credential // who runs it; nil is whoever runs the test
	control *exec.Cmd
	node    *exec.Cmd
	client  kubernetes.Interface
}

// command makes a command of the sandbox.
func (c *cluster) command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), c.binary, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox", "HOME="+c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	return cmd
}

// run starts a part of the sandbox and returns when it is ready. Its standard input
// ends it.
func (c *cluster) run(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := c.command(t, append(args, "--die-with-parent")...)
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

// startControl starts the control plane. more are further flags.
func (c *cluster) startControl(t *testing.T, more ...string) {
	t.Helper()
	c.control = c.run(t, append([]string{"control", "--cluster", fmt.Sprint(c.number), "--dir", filepath.Join(c.dir, "control"),
		"--ca", filepath.Join(c.dir, "ca")}, more...)...)
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 100, 100
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) startNode(t *testing.T) {
	t.Helper()
	c.node = c.run(t, "node", "--cluster", fmt.Sprint(c.number), "--kubeconfig", c.kubeconfig(), "--dir", filepath.Join(c.dir, "node"),
		"--images", filepath.Join(c.dir, "images.yaml"), "--start-delay", "100ms-1s", "--endpoint-delay", "200ms-2s")
}

func (c *cluster) kubeconfig() string { return filepath.Join(c.dir, "control", "kubeconfig") }

// newCluster makes a cluster of which nothing runs yet.
func newCluster(t *testing.T, number int) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	return &cluster{dir: t.TempDir(), number: number, binary: os.Args[0]}
}

// startCluster starts a cluster whose image "real" is serve.
func startCluster(t *testing.T, number int) *cluster {
	t.Helper()
	c := newCluster(t, number)
	c.start(t)
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	c.startControl(t)
	table := fmt.Sprintf("example.com/real:\n  command: [%q]\n  env: {%s: server}\n", c.binary, roleVariable)
	if err := os.WriteFile(filepath.Join(c.dir, "images.yaml"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	c.startNode(t)
}

// runAs has the cluster belong to the user with the given number, if this process may
// choose users.
func (c *cluster) runAs(t *testing.T, user int) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	c.user = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	// Other users can neither enter the folder of the test's binary nor that of a test.
	c.binary = filepath.Join(c.dir, "sandbox")
	if err := link(os.Args[0], c.binary); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{c.dir, filepath.Dir(c.dir)} {
		if err := os.Chown(folder, user, user); err != nil {
			t.Fatal(err)
		}
	}
}

// link gives a file a second name, or copies it where that is not possible.
func link(old, name string) error {
	err := os.Link(old, name)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	content, err := os.ReadFile(old)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o755)
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
	d.Spec.Replicas = new(int32(3))
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(8))
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
	c.service(t, name, corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}})
	c.service(t, name+"-pods", corev1.ServiceSpec{
		Selector: labels, ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 8080, TargetPort: intstr.FromString("http")}},
	})
}

func (c *cluster) service(t *testing.T, name string, spec corev1.ServiceSpec) {
	t.Helper()
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := c.client.CoreV1().Services("default").Create(context.Background(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) patch(t *testing.T, name, body string) {
	t.Helper()
	_, err := c.client.AppsV1().Deployments("default").Patch(context.Background(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
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

// kubectl runs the real kubectl as an administrator. An error has what it complained of.
func (c *cluster) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := c.command(t, append([]string{"kubectl", "--kubeconfig", c.kubeconfig()}, args...)...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return string(out), err
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

func get(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}
