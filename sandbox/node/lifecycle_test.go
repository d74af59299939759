package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/service"
)

// A scene is a node without API server and network, in a bubble of fake time. It
// keeps what happened as lines "seconds what".
type scene struct {
	*Node
	began time.Time
	mu    sync.Mutex
	lines []string
	// runs says how an instance of a container behaves; by default it runs until
	// it is told to end, and then ends at once.
	runs map[string]func(*script)
	// answers says what a probe of a container finds at a time since the start.
	answers map[string]func(since time.Duration) bool
}

// A script is an instance that does what a test says.
type script struct {
	scene    *scene
	name     string
	finished chan struct{}
	once     sync.Once
	e        exit
	// ignores is whether SIGTERM is ignored.
	ignores atomic.Bool
}

func (s *script) end(code int32) {
	s.once.Do(func() {
		s.e = exit{code: code, reason: map[bool]string{true: "Completed", false: "Error"}[code == 0]}
		s.scene.say("%s ended with %d", s.name, code)
		close(s.finished)
	})
}

func (s *script) drain() {}
func (s *script) terminate(time.Duration) {
	s.scene.say("%s SIGTERM", s.name)
	if !s.ignores.Load() {
		s.end(0)
	}
}
func (s *script) kill()                 { s.end(137) }
func (s *script) done() <-chan struct{} { return s.finished }
func (s *script) exit() exit            { return s.e }

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{began: time.Now(), runs: map[string]func(*script){}, answers: map[string]func(time.Duration) bool{}}
	cfg := Config{Cluster: 1, Name: "n", Dir: t.TempDir(), Seed: 1}
	s.Node = &Node{
		cfg: cfg, log: slog.New(slog.NewTextHandler(io.Discard, nil)), events: record.NewFakeRecorder(1000),
		backoff:   backoff{base: 10 * time.Second, limit: 5 * time.Minute},
		addresses: newAddresses(cfg.Cluster.FirstPod(), cfg.Cluster.LastPod()),
		rota:      newRota(time.Now, 8), pods: map[types.UID]*pod{},
		services: service.NewDirectory(delay.Range{}, 1, nil),
	}
	s.references = newReferences(fake.NewClientset(), time.Now)
	s.volumes = volumes{environment: environment{configMap: s.references.configMap, secret: s.references.secret}}
	s.reporter = newReporter(s.Node)
	s.start = func(c *container, _ map[string]string) (instance, error) {
		s.say("%s started", c.spec.Name)
		i := &script{scene: s, name: c.spec.Name, finished: make(chan struct{})}
		if run := s.runs[c.spec.Name]; run != nil {
			go run(i)
		}
		return i, nil
	}
	s.check = func(_ *corev1.Probe, c *container) check {
		return func(context.Context) error {
			if s.answers[c.spec.Name](time.Since(s.began)) {
				return nil
			}
			return errors.New("no")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); s.reporter.queue.ShutDown() })
	go s.rota.run(ctx)
	return s
}

func (s *scene) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%v ", time.Since(s.began).Round(time.Second).Seconds())+fmt.Sprintf(format, args...))
}

func (s *scene) want(t *testing.T, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.lines, lines) {
		t.Errorf("happened:\n\t%s\nwant:\n\t%s", strings.Join(s.lines, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// add runs a pod of the given containers.
func (s *scene) add(policy corev1.RestartPolicy, inits, mains []corev1.Container) *pod {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "u"}}
	object.Spec = corev1.PodSpec{
		RestartPolicy: policy, InitContainers: inits, Containers: mains, TerminationGracePeriodSeconds: new(int64(30)),
	}
	p := newPod(s.Node, object, netip.MustParseAddr("10.1.1.0"), false)
	s.pods[p.uid] = p
	go p.run()
	return p
}

// end deletes the pod with a grace period.
func (s *scene) end(p *pod, grace time.Duration) {
	s.say("deleted")
	object := p.snapshot().DeepCopy()
	object.DeletionTimestamp, object.DeletionGracePeriodSeconds = new(metav1.Now()), new(int64(grace.Seconds()))
	p.observe(object)
}

func named(name string) corev1.Container { return corev1.Container{Name: name, Image: "x"} }

func statusOf(p *pod) *corev1.PodStatus {
	p.reported = nil
	status, _ := p.status()
	return status
}

func isTrue(p *pod, kind corev1.PodConditionType) bool {
	return slices.ContainsFunc(statusOf(p).Conditions, func(c corev1.PodCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}

func TestContainerThatKeepsEndingIsStartedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.runs["a"] = func(i *script) { i.end(3) }
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{named("a")})
		time.Sleep(69 * time.Second)
		c := statusOf(p).ContainerStatuses[0]
		if c.State.Waiting == nil || c.State.Waiting.Reason != "CrashLoopBackOff" || c.RestartCount != 3 || c.LastTerminationState.Terminated.ExitCode != 3 {
			t.Errorf("status is %+v", c)
		}
		if phase := statusOf(p).Phase; phase != corev1.PodRunning {
			t.Errorf("phase is %s, want Running", phase)
		}
		time.Sleep(2 * time.Second)
		s.end(p, 30*time.Second)
		<-p.done
		s.want(t, "0 a started", "0 a ended with 3", "0 a started", "0 a ended with 3", "10 a started", "10 a ended with 3",
			"30 a started", "30 a ended with 3", "70 a started", "70 a ended with 3", "71 deleted")
	})
}

func TestTaskIsStartedAgainOnlyAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		runs := 0
		s.runs["a"] = func(i *script) {
			runs++
			i.end(map[bool]int32{true: 1, false: 0}[runs == 1])
		}
		p := s.add(corev1.RestartPolicyOnFailure, nil, []corev1.Container{named("a")})
		<-p.done
		if status := statusOf(p); status.Phase != corev1.PodSucceeded || status.ContainerStatuses[0].RestartCount != 1 {
			t.Errorf("status is %+v, want Succeeded after one restart", status)
		}
		if isTrue(p, corev1.PodReady) {
			t.Error("a completed pod is Ready")
		}
		if _, _, more := p.mains[0].log.from(0); more != nil {
			t.Error("who follows the log of a completed container waits for more")
		}
	})
}

func TestStopRunsPreStopThenSignalsThenKills(t *testing.T) {
	hook := &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	tests := []struct {
		name    string
		ignores bool
		grace   time.Duration
		want    []string
	}{
		{"ends when told", false, 30 * time.Second, []string{"0 a started", "5 deleted", "8 a SIGTERM", "8 a ended with 0"}},
		{"ignores the signal", true, 10 * time.Second, []string{"0 a started", "5 deleted", "8 a SIGTERM", "15 a ended with 137"}},
		{"hook takes all the grace", false, 2 * time.Second, []string{"0 a started", "5 deleted", "7 a SIGTERM", "7 a ended with 0"}},
		{"no grace", false, 0, []string{"0 a started", "5 deleted", "5 a ended with 137"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.runs["a"] = func(i *script) { i.ignores.Store(tt.ignores) }
				a := named("a")
				a.Lifecycle = hook
				p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
				time.Sleep(5 * time.Second)
				s.end(p, tt.grace)
				<-p.done
				s.want(t, tt.want...)
				if _, gone := p.status(); !gone {
					t.Error("the pod is not reported as gone")
				}
			})
		})
	}
}

func TestShorterGraceWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.runs["a"] = func(i *script) { i.ignores.Store(true) }
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{named("a")})
		time.Sleep(time.Second)
		s.end(p, 300*time.Second)
		time.Sleep(time.Second)
		s.end(p, 5*time.Second)
		<-p.done
		s.want(t, "0 a started", "1 deleted", "1 a SIGTERM", "2 deleted", "7 a ended with 137")
	})
}

func TestInitContainersRunInOrderAndSidecarsOutliveTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.runs["first"] = func(i *script) { time.Sleep(2 * time.Second); i.end(0) }
		side := named("side")
		side.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		s.runs["last"] = func(i *script) { time.Sleep(time.Second); i.end(0) }
		p := s.add(corev1.RestartPolicyAlways, []corev1.Container{named("first"), side, named("last")}, []corev1.Container{named("a")})
		time.Sleep(time.Second)
		if isTrue(p, corev1.PodInitialized) || statusOf(p).Phase != corev1.PodPending {
			t.Errorf("while an init container runs: %+v", statusOf(p))
		}
		time.Sleep(9 * time.Second)
		if !isTrue(p, corev1.PodReady) {
			t.Errorf("not ready: %+v", statusOf(p).Conditions)
		}
		s.end(p, 30*time.Second)
		<-p.done
		s.want(t, "0 first started", "2 first ended with 0", "2 side started", "2 last started", "3 last ended with 0", "3 a started",
			"10 deleted", "10 a SIGTERM", "10 a ended with 0", "10 side SIGTERM", "10 side ended with 0")
	})
}

func TestFailedInitContainerFailsAPodThatIsNotRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.runs["first"] = func(i *script) { i.end(4) }
		p := s.add(corev1.RestartPolicyNever, []corev1.Container{named("first")}, []corev1.Container{named("a")})
		<-p.done
		if phase := statusOf(p).Phase; phase != corev1.PodFailed {
			t.Errorf("phase is %s, want Failed", phase)
		}
		s.want(t, "0 first started", "0 first ended with 4")
	})
}

func TestSidecarDoesNotKeepATaskAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		side := named("side")
		side.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		s.runs["a"] = func(i *script) { time.Sleep(4 * time.Second); i.end(0) }
		p := s.add(corev1.RestartPolicyNever, []corev1.Container{side}, []corev1.Container{named("a")})
		<-p.done
		s.want(t, "0 side started", "0 a started", "4 a ended with 0", "4 side SIGTERM", "4 side ended with 0")
		if phase := statusOf(p).Phase; phase != corev1.PodSucceeded {
			t.Errorf("phase is %s, want Succeeded", phase)
		}
	})
}

func TestReadinessFollowsItsThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a := named("a")
		a.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 3, SuccessThreshold: 2}
		s.answers["a"] = func(since time.Duration) bool { return since < 9500*time.Millisecond }
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
		for _, at := range []struct {
			second int
			ready  bool
		}{{0, false}, {1, true}, {9, true}, {11, true}, {12, false}} {
			time.Sleep(time.Until(s.began.Add(time.Duration(at.second)*time.Second + 100*time.Millisecond)))
			if ready := isTrue(p, corev1.PodReady); ready != at.ready {
				t.Errorf("after %d s ready is %v, want %v", at.second, ready, at.ready)
			}
		}
		s.end(p, 0)
		<-p.done
	})
}

func TestFailedLivenessRestartsButNotWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a := named("a")
		a.LivenessProbe = &corev1.Probe{PeriodSeconds: 2, FailureThreshold: 3, InitialDelaySeconds: 4}
		s.answers["a"] = func(since time.Duration) bool { return since > 10*time.Second && since < 19*time.Second }
		s.runs["a"] = func(i *script) { i.ignores.Store(time.Since(s.began) > time.Second) }
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
		time.Sleep(18 * time.Second)
		s.end(p, 20*time.Second) // it fails from second 19 on
		<-p.done
		s.want(t, "0 a started", "8 a SIGTERM", "8 a ended with 0", "8 a started", "18 deleted", "18 a SIGTERM", "38 a ended with 137")
	})
}

func TestStartupProbeHoldsTheOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a := named("a")
		a.StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 10}
		a.LivenessProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1}
		s.answers["a"] = func(since time.Duration) bool { return since > 5*time.Second }
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
		time.Sleep(4500 * time.Millisecond)
		if isTrue(p, corev1.PodReady) {
			t.Error("ready before it has started")
		}
		time.Sleep(2 * time.Second)
		if !isTrue(p, corev1.PodReady) {
			t.Error("not ready after it has started")
		}
		s.end(p, 0)
		<-p.done
		s.want(t, "0 a started", "7 deleted", "7 a ended with 137")
	})
}

func TestContainerWaitsForItsConfigMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a := named("a")
		a.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}}
		client := fake.NewClientset()
		s.references = newReferences(client, time.Now)
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
		time.Sleep(5 * time.Second)
		if w := statusOf(p).ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "CreateContainerConfigError" || w.Message != `configmap "cm" not found` {
			t.Errorf("waits for %+v", w)
		}
		_, err := client.CoreV1().ConfigMaps("shop").Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm", Namespace: "shop"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if !isTrue(p, corev1.PodReady) {
			t.Errorf("not ready once the ConfigMap is there: %+v", statusOf(p))
		}
		s.end(p, 0)
		<-p.done
	})
}

func TestContainerIsRestartedWhileTheAPIServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a := named("a")
		a.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}}
		client := fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm", Namespace: "shop"}, Data: map[string]string{"COLOUR": "red"}})
		var away atomic.Bool
		client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			return away.Load(), nil, syscall.ECONNREFUSED
		})
		s.references = newReferences(client, time.Now)
		var colours []string
		start := s.start
		s.start = func(c *container, vars map[string]string) (instance, error) {
			colours = append(colours, vars["COLOUR"])
			return start(c, vars)
		}
		s.runs["a"] = func(i *script) {
			select {
			case <-time.After(5 * time.Second):
				i.end(1)
			case <-i.done():
			}
		}
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{a})
		time.Sleep(4 * time.Second)
		away.Store(true)
		time.Sleep(2 * time.Second)
		s.end(p, 0)
		<-p.done
		s.want(t, "0 a started", "5 a ended with 1", "5 a started", "6 deleted", "6 a ended with 137")
		if !slices.Equal(colours, []string{"red", "red"}) {
			t.Errorf("started with the colours %q, want red twice", colours)
		}
	})
}

func TestPodDeletedBeforeItStartsIsGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.cfg.StartDelay = delay.Range{Min: 10 * time.Second, Max: 20 * time.Second}
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{named("a")})
		time.Sleep(time.Second)
		s.end(p, 30*time.Second)
		<-p.done
		s.want(t, "1 deleted")
	})
}

func TestAddressOfAPodThatHadEndedIsNotGivenBackTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		add := func(uid, ip string, phase corev1.PodPhase) *pod {
			object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: uid, UID: types.UID(uid)}}
			object.Spec.Containers = []corev1.Container{named("a")}
			object.Status = corev1.PodStatus{Phase: phase, PodIP: ip}
			if err := s.admit(object); err != nil {
				t.Fatal(err)
			}
			return s.pod(object.UID)
		}
		// After a restart of the node, a task that had ended is still in the API.
		ended := add("ended", "10.1.1.0", corev1.PodSucceeded)
		running := add("running", "", corev1.PodPending)
		if running.ip != ended.ip {
			t.Fatalf("the pods have %s and %s: this test is about pods with one address", ended.ip, running.ip)
		}
		s.forget(ended)
		synctest.Wait()
		if s.addresses.keep(running.ip) {
			t.Errorf("the address %s of a running pod was free", running.ip)
		}
		s.forget(running)
		<-running.done
		synctest.Wait()
		if !s.addresses.keep(running.ip) {
			t.Errorf("the address %s is not free, though its pod is gone", running.ip)
		}
	})
}

func TestDelaysOfARealClusterAreTheDefault(t *testing.T) {
	flags := Command().Flags()
	for name, want := range map[string]string{"start-delay": "500ms-20s", "endpoint-delay": "200ms-3s", "backoff": "10s", "backoff-limit": "5m0s"} {
		if got := flags.Lookup(name).DefValue; got != want {
			t.Errorf("--%s is %s by default, want %s", name, got, want)
		}
	}
}

func TestReadinessGateIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		p := s.add(corev1.RestartPolicyAlways, nil, []corev1.Container{named("a")})
		time.Sleep(time.Second)
		object := p.snapshot().DeepCopy()
		object.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "lb/ready"}}
		p.observe(object)
		if isTrue(p, corev1.PodReady) || !isTrue(p, corev1.ContainersReady) {
			t.Errorf("with a closed gate: %+v", statusOf(p).Conditions)
		}
		object = object.DeepCopy()
		object.Status.Conditions = []corev1.PodCondition{{Type: "lb/ready", Status: corev1.ConditionTrue}}
		p.observe(object)
		if !isTrue(p, corev1.PodReady) {
			t.Errorf("with an open gate: %+v", statusOf(p).Conditions)
		}
		s.end(p, 0)
		<-p.done
	})
}

func TestStartDelayBelongsToTheNameAndSeed(t *testing.T) {
	n := &Node{cfg: Config{Cluster: address.Cluster(1), Seed: 7, StartDelay: delay.Range{Min: 500 * time.Millisecond, Max: 20 * time.Second}}}
	short := 0
	for i := range 1000 {
		p := &pod{namespace: "shop", name: fmt.Sprint("web-", i)}
		d := n.startDelay(p)
		if d < n.cfg.StartDelay.Min || d > n.cfg.StartDelay.Max {
			t.Fatalf("%v is outside %v", d, n.cfg.StartDelay)
		}
		if d != n.startDelay(p) {
			t.Fatal("the same pod drew two delays")
		}
		if d < 3160*time.Millisecond { // the geometric middle
			short++
		}
	}
	if short < 450 || short > 550 {
		t.Errorf("%d of 1000 delays are below the geometric middle", short)
	}
}
