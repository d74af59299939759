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
)

// A realPod is a pod of local processes on a node without an API server. Image "real"
// runs its argument as a script.
type realPod struct {
	*pod
	t *testing.T
}

func startReal(t *testing.T, address string, change func(*corev1.PodSpec)) realPod {
	t.Helper()
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
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "u"}}
	object.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: new(int64(20))}
	change(&object.Spec)
	p := newPod(n, object, netip.MustParseAddr(address), false)
	n.pods[p.uid] = p
	go p.run()
	t.Cleanup(func() { p.force(); p.end(0); <-p.done })
	return realPod{p, t}
}

func (p realPod) until(what string, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("not in 20 s: %s; noted:\n%s", what, p.notes())
		}
	}
}

// delete tells the pod to end, and waits until it has.
func (p realPod) delete() {
	p.t.Helper()
	object := p.snapshot().DeepCopy()
	object.DeletionTimestamp, object.DeletionGracePeriodSeconds = new(metav1.Now()), object.Spec.TerminationGracePeriodSeconds
	p.observe(object)
	p.until("the pod has ended", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
}

func (p realPod) restarts() int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mains[0].restarts
}

// note makes a script that adds a line to a file of the pod's folder, with what the
// process knows of its pod; notes reads them all.
func note(what string) string { return "echo " + what + " $POD_NAME >>$HOME/../notes" }

func (p realPod) notes() string {
	content, _ := os.ReadFile(filepath.Join(p.dir(), "notes"))
	return string(content)
}

func shell(script string) *corev1.ExecAction {
	return &corev1.ExecAction{Command: []string{"/bin/sh", "-c", script}}
}

// TestLifeOfARealProcess follows a pod from its init container, by a liveness probe that
// fails once, to its end.
func TestLifeOfARealProcess(t *testing.T) {
	p := startReal(t, "10.88.4.1", func(spec *corev1.PodSpec) {
		spec.InitContainers = []corev1.Container{{Name: "first", Image: "real", Args: []string{note("prepared")}}}
		spec.Containers = []corev1.Container{{
			Name: "main", Image: "real",
			Args: []string{"trap '" + note("SIGTERM") + "; exit 0' TERM; touch $HOME/alive; " + note("started") + "; while :; do sleep 0.1; done"},
			LivenessProbe: &corev1.Probe{
				PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5,
				ProbeHandler: corev1.ProbeHandler{Exec: shell("test -e $HOME/alive")},
			},
			Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: shell(note("preStop"))}},
		}}
	})
	before := "prepared p\nstarted p\n"
	p.until("the container runs", func() bool { return p.notes() == before })
	if err := os.Remove(filepath.Join(p.dir(), "main", "alive")); err != nil {
		t.Fatal(err)
	}
	after := before + "preStop p\nSIGTERM p\nstarted p\n"
	p.until("the container was restarted", func() bool { return p.notes() == after })
	<-time.After(1500 * time.Millisecond) // in which it is probed again
	if n := p.restarts(); n != 1 {
		t.Errorf("%d restarts, want 1: the probe failed once", n)
	}

	p.delete()
	if got, want := p.notes(), after+"preStop p\nSIGTERM p\n"; got != want {
		t.Errorf("noted:\n%swant:\n%s", got, want)
	}
	if end := statusOf(p.pod).ContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 0 {
		t.Errorf("the container ended with %+v, want exit code 0", end)
	}
}

func TestFailedPostStartHookRestartsItsContainer(t *testing.T) {
	p := startReal(t, "10.88.4.2", func(spec *corev1.PodSpec) {
		spec.Containers = []corev1.Container{{
			Name: "main", Image: "real", Args: []string{note("started") + "; exec sleep 1000"},
			Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{
				Exec: shell("while test ! -e notes; do sleep 0.02; done; test -e again || { touch again; exit 1; }; touch settled"),
			}},
		}}
	})
	p.until("the hook has succeeded", func() bool {
		_, err := os.Stat(filepath.Join(p.dir(), "settled"))
		return err == nil
	})
	p.until("the container was started twice", func() bool { return p.notes() == "started p\nstarted p\n" })
	if n := p.restarts(); n != 1 {
		t.Errorf("%d restarts, want 1: the hook failed once", n)
	}
}
