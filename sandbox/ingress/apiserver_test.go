package ingress

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossfade.dev/sandbox/delay"
)

// An apiServer is a real one, of a small control plane.
type apiServer struct {
	t       *testing.T
	binary  string
	number  string
	dir     string
	command *exec.Cmd
}

func startAPIServer(t *testing.T, number string) *apiServer {
	t.Helper()
	binary := os.Getenv("CROSSFADE_SANDBOX")
	if binary == "" {
		binary = "../../bin/sandbox"
	}
	if _, err := os.Stat(binary); err != nil {
		t.Skip("no bin/sandbox: run make build")
	}
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	a := &apiServer{t: t, binary: binary, number: number, dir: t.TempDir()}
	a.start()
	t.Cleanup(a.kill)
	return a
}

func (a *apiServer) start() {
	a.t.Helper()
	a.command = exec.CommandContext(context.Background(), a.binary, "control", "--cluster", a.number, "--dir", a.dir, "--small")
	a.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := a.command.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.command.Start(); err != nil {
		a.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		a.t.Fatalf("control plane said %q, %v", line, err)
	}
}

func (a *apiServer) kill() {
	_ = a.command.Process.Kill()
	_ = a.command.Wait()
}

func (a *apiServer) kubeconfig() string { return filepath.Join(a.dir, "kubeconfig") }

func TestTrafficOutlivesTheAPIServer(t *testing.T) {
	c := &cluster{t: t, number: freeCluster(t), ended: make(chan error, 1), nextIP: 10}
	api := startAPIServer(t, strconv.Itoa(c.number))
	client, err := connect(api.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	c.client = client
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.real = true
	c.start(t.TempDir(), func(o *Options) {
		o.EndpointDelay = delay.Range{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond}
	})
	a, b := c.pod(nil), c.pod(nil)
	c.web(a)
	c.service("chat", "tcp", loadBalancer)
	c.addressOf("chat")
	eventually(t, "the Ingress has its address", func() bool {
		ingress, err := client.NetworkingV1().Ingresses("shop").Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && len(ingress.Status.LoadBalancer.Ingress) == 1
	})

	l := startLoad(4, c.browser(), "http://web.test/")
	api.kill()
	before := l.sent.Load()
	eventually(t, "requests are served without an API server", func() bool { return l.sent.Load() > before+200 })
	api.start()
	c.slice("web-1", "web", "http", "crossfade.dev", readyPods(b)...)
	c.uses("web", b)
	sent, failed, first := l.end()
	if failed != 0 || sent < 200 {
		t.Errorf("%d of %d requests failed; the first: %s", failed, sent, first)
	}
	if b.arrived.Load() == 0 {
		// The load may have ended first.
		if status, body, err := get(c.browser(), "http://web.test/"); err != nil || body != b.ip.String() {
			t.Errorf("after the API server's return: %d %q %v", status, body, err)
		}
	}
}
