package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// TestLifeOfARealProcess follows a pod of local processes: its init container, a
// liveness probe by a command that fails once, and the end.
func TestLifeOfARealProcess(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "images.yaml")
	if err := os.WriteFile(table, []byte("real: {command: [/bin/sh, -c]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := newNode(Config{Cluster: 88, Dir: dir, Images: table, Backoff: 10 * time.Millisecond, BackoffLimit: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	n.connect(fake.NewClientset())
	t.Cleanup(n.reporter.queue.ShutDown)
	go n.rota.run(t.Context())

	// Processes and commands of a container share its environment; what happens is
	// noted in a file of the pod's folder.
	note := func(what string) string { return "echo " + what + " $POD_NAME >>$HOME/../notes" }
	shell := func(script string) *corev1.ExecAction {
		return &corev1.ExecAction{Command: []string{"/bin/sh", "-c", script}}
	}
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "u"}}
	object.Spec = corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyAlways,
		TerminationGracePeriodSeconds: ptr.To[int64](20),
		InitContainers:                []corev1.Container{{Name: "first", Image: "real", Args: []string{note("prepared")}}},
		Containers: []corev1.Container{{
			Name: "main", Image: "real",
			Args: []string{"trap '" + note("SIGTERM") + "; exit 0' TERM; touch $HOME/alive; " + note("started") + "; while :; do sleep 0.1; done"},
			LivenessProbe: &corev1.Probe{
				PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5,
				ProbeHandler: corev1.ProbeHandler{Exec: shell("test -e $HOME/alive")},
			},
			Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: shell(note("preStop"))}},
		}},
	}
	p := newPod(n, object, netip.MustParseAddr("10.88.4.1"), false)
	n.pods[p.uid] = p
	go p.run()
	restarts := func() int32 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.mains[0].restarts
	}
	notes := func() string {
		content, _ := os.ReadFile(filepath.Join(p.dir(), "notes"))
		return string(content)
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in 20 s: %s; noted:\n%s", what, notes())
			}
		}
	}

	before := "prepared p\nstarted p\n"
	until("the container runs", func() bool { return notes() == before })
	if err := os.Remove(filepath.Join(p.dir(), "main", "alive")); err != nil {
		t.Fatal(err)
	}
	after := before + "preStop p\nSIGTERM p\nstarted p\n"
	until("the container was restarted", func() bool { return notes() == after })
	<-time.After(1500 * time.Millisecond) // in which it is probed again
	if n := restarts(); n != 1 {
		t.Errorf("%d restarts, want 1: the probe failed once", n)
	}

	object = object.DeepCopy()
	object.DeletionTimestamp, object.DeletionGracePeriodSeconds = ptr.To(metav1.Now()), ptr.To[int64](20)
	p.observe(object)
	until("the pod has ended", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	if got, want := notes(), after+"preStop p\nSIGTERM p\n"; got != want {
		t.Errorf("noted:\n%swant:\n%s", got, want)
	}
	if end := statusOf(p).ContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 0 {
		t.Errorf("the container ended with %+v, want exit code 0", end)
	}
}
