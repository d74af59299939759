package freeze_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/freeze"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const engine = "system:serviceaccount:crossfade-system:crossfade"

var notice = freeze.Notice{
	Migration: "east-to-west", Side: v1.Source, Namespaces: []string{"shop", "video"},
	Reason: "its apps are moving to the cluster west", Contact: "#platform",
	Advice: "Your pipeline may try again in a minute.",
	Exempt: []string{engine, "break-glass", "it's \"quoted\""}, ExemptGroups: []string{"system:serviceaccounts:cert-manager"},
	Since: began,
}

const sentence = "migration east-to-west froze this cluster: its apps are moving to the cluster west; ask #platform. Your pipeline may try again in a minute."

// frozen is an in-memory cluster with two namespaces of the estate and one that is
// not, after its freeze took effect.
func frozen(t *testing.T, n freeze.Notice) *memory.Cluster {
	t.Helper()
	c, clock := open(t)
	if err := freeze.Close(t.Context(), c, n); err != nil {
		t.Fatal(err)
	}
	clock.SetTime(began.Add(time.Second))
	return c
}

func open(t *testing.T) (*memory.Cluster, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(began)
	c := memory.New(memory.Options{Name: "source", Number: 1, Seed: 1, Clock: clock, User: engine})
	furnish(t, c)
	return c, clock
}

// furnish makes what the writes of TestWhoIsRefusedWhat work on.
func furnish(t *testing.T, api cluster.API) {
	t.Helper()
	for _, name := range []string{"shop", "video", "other", "kube-flannel"} {
		create(t, api, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	labels := map[string]string{"app": "web"}
	container := corev1.Container{Name: "web", Image: "web:1"}
	create(t, api, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c"}})
	create(t, api, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}}},
		},
	})
}

func create(t *testing.T, api cluster.API, obj client.Object) {
	t.Helper()
	if err := api.Create(context.Background(), obj); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
	}
}

type person struct {
	user   string
	groups []string
}

var (
	team       = person{"alice", []string{"system:authenticated", "team-shop"}}
	admin      = person{"root", []string{"system:masters", "system:authenticated"}}
	breakGlass = person{"break-glass", []string{"system:masters"}}
	quoted     = person{`it's "quoted"`, []string{"system:masters"}}
	kubelet    = person{"system:node:n1", []string{"system:nodes"}}
	controller = person{"system:serviceaccount:kube-system:deployment-controller", []string{"system:serviceaccounts", "system:serviceaccounts:kube-system"}}
	scheduler  = person{"system:kube-scheduler", []string{"system:authenticated"}}
	issuer     = person{"system:serviceaccount:cert-manager:cert-manager", []string{"system:serviceaccounts", "system:serviceaccounts:cert-manager"}}
	pipeline   = person{"system:serviceaccount:argocd:argocd", []string{"system:serviceaccounts", "system:serviceaccounts:argocd"}}
	nobody     = person{"lonely", nil}
)

// A deed is a write, tried as a dry run.
type deed func(context.Context, cluster.API) error

func creating(obj client.Object) deed {
	return func(ctx context.Context, api cluster.API) error {
		return api.Create(ctx, obj.DeepCopyObject().(client.Object), client.DryRunAll)
	}
}

func configMap(namespace string) deed {
	return creating(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "new"}})
}

func annotate(ctx context.Context, api cluster.API) error {
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c"}}
	return api.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"a":"b"}}}`)), client.DryRunAll)
}

func deleting(ctx context.Context, api cluster.API) error {
	obj := &corev1.ConfigMap{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "c"}, obj); err != nil {
		return err
	}
	return api.Delete(ctx, obj, client.DryRunAll, client.Preconditions{UID: &obj.UID})
}

func deletingNamespace(ctx context.Context, api cluster.API) error {
	obj := &corev1.Namespace{}
	if err := api.Get(ctx, client.ObjectKey{Name: "shop"}, obj); err != nil {
		return err
	}
	return api.Delete(ctx, obj, client.DryRunAll, client.Preconditions{UID: &obj.UID})
}

func status(ctx context.Context, api cluster.API) error {
	obj := &appsv1.Deployment{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "web"}, obj); err != nil {
		return err
	}
	return api.Status().Update(ctx, obj, client.DryRunAll)
}

var (
	clusterRole = creating(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "new"}})
	event       = creating(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "new"},
		InvolvedObject: corev1.ObjectReference{Namespace: "shop"},
	})
	node         = creating(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new"}})
	newNamespace = creating(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}})
)

// refusals is the table of who may do what while the notice's freeze stands. It is
// true of the in-memory cluster and of real API servers alike.
var refusals = []struct {
	name    string
	who     person
	do      deed
	refused bool
}{
	{"a team's new object", team, configMap("shop"), true},
	{"a team's change", team, annotate, true},
	{"a team's deletion", team, deleting, true},
	{"an administrator's new object", admin, configMap("video"), true},
	{"an administrator's change", admin, annotate, true},
	{"an administrator's deletion", admin, deleting, true},
	{"the deletion of a namespace of the estate", admin, deletingNamespace, true},
	{"a kind of the cluster that teams use", admin, clusterRole, true},
	{"a pipeline in a namespace of its own", pipeline, annotate, true},
	{"somebody without groups", nobody, annotate, true},

	{"another namespace", admin, configMap("other"), false},
	{"a new namespace that is not of the estate", admin, newNamespace, false},
	{"an event", admin, event, false},
	{"a node", admin, node, false},
	{"status", admin, status, false},
	{"a person with break-glass rights", breakGlass, annotate, false},
	{"a person whose name needs care", quoted, annotate, false},
	{"a kubelet", kubelet, configMap("shop"), false},
	{"a controller", controller, annotate, false},
	{"the scheduler", scheduler, annotate, false},
	{"a controller of the estate", issuer, annotate, false},
}

func TestWhoIsRefusedWhat(t *testing.T) {
	c := frozen(t, notice)
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			err := test.do(t.Context(), c.As(test.who.user, test.who.groups...))
			if test.refused && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), sentence)) {
				t.Errorf("got %v, want a refusal with the freeze's sentence", err)
			}
			if !test.refused && err != nil {
				t.Errorf("got %v, want it accepted", err)
			}
		})
	}
	if err := annotate(t.Context(), c); err != nil {
		t.Errorf("the engine itself: %v", err)
	}
}

func TestWithoutNamesEveryNamespaceButTheClustersOwnIsFrozen(t *testing.T) {
	n := notice
	n.Namespaces, n.Except = nil, []string{"other"}
	c := frozen(t, n)
	for namespace, refused := range map[string]bool{"shop": true, "video": true, "default": true, "other": false, "kube-system": false, "kube-flannel": false} {
		err := configMap(namespace)(t.Context(), c.As(admin.user, admin.groups...))
		if (err != nil) != refused {
			t.Errorf("namespace %s: got %v, want refused: %v", namespace, err, refused)
		}
	}
	if err := newNamespace(t.Context(), c.As(admin.user, admin.groups...)); err == nil {
		t.Error("a new namespace was accepted, though every namespace is of the estate")
	}
}

func TestCloseIsRepeatableAndFollowsTheNotice(t *testing.T) {
	c, _ := open(t)
	writes := 0
	c.SetFaults(func(op memory.Op) memory.Fault {
		if op.Write() {
			writes++
		}
		return memory.Fault{}
	})
	later := notice
	later.Since = began.Add(time.Hour)
	for _, n := range []freeze.Notice{notice, notice, later} {
		if err := freeze.Close(t.Context(), c, n); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 2 {
		t.Errorf("%d writes for one freeze closed three times, want 2", writes)
	}
	other := later
	other.Reason = "it is the target, and not open yet"
	if err := freeze.Close(t.Context(), c, other); err != nil {
		t.Fatal(err)
	}
	got, err := freeze.Standing(t.Context(), c)
	want := freeze.Freeze{Migration: "east-to-west", Side: v1.Source, Since: began, Bound: true, Sentence: other.Sentence()}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// TestCutShortAnywhere stops Close and Lift at each of their requests, before and
// after its effect; calling again finishes.
func TestCutShortAnywhere(t *testing.T) {
	for cut := uint64(1); cut <= 10; cut++ {
		for _, lost := range []bool{false, true} {
			c, _ := open(t)
			act := func(do func() error) error {
				var first uint64
				c.SetFaults(func(op memory.Op) memory.Fault {
					if first == 0 {
						first = op.Seq
					}
					switch {
					case op.Seq != first+cut-1:
						return memory.Fault{}
					case lost:
						return memory.Lost(op)
					}
					return memory.TimedOut(op)
				})
				_ = do()
				c.SetFaults(nil)
				return do()
			}
			if err := act(func() error { return freeze.Close(t.Context(), c, notice) }); err != nil {
				t.Errorf("request %d, reply lost %v: close: %v", cut, lost, err)
			}
			if closed, err := freeze.Closed(t.Context(), c, notice.Migration); err != nil || !closed {
				t.Errorf("request %d, reply lost %v: closed %v, %v", cut, lost, closed, err)
			}
			if err := act(func() error { return freeze.Lift(t.Context(), c, notice.Migration) }); err != nil {
				t.Errorf("request %d, reply lost %v: lift: %v", cut, lost, err)
			}
			if all, err := freeze.Standing(t.Context(), c); err != nil || len(all) > 0 {
				t.Errorf("request %d, reply lost %v: after lifting stand %v, %v", cut, lost, all, err)
			}
		}
	}
}

func TestSomebodyElsesPolicyIsLeftAlone(t *testing.T) {
	c, _ := open(t)
	theirs := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "crossfade-freeze-east-to-west"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			Validations: []admissionv1.Validation{{Expression: "true"}},
		},
	}
	create(t, c, theirs)
	if err := freeze.Close(t.Context(), c, notice); !errors.Is(err, freeze.ErrForeign) {
		t.Errorf("close: %v, want %v", err, freeze.ErrForeign)
	}
	if err := freeze.Lift(t.Context(), c, notice.Migration); !errors.Is(err, freeze.ErrForeign) {
		t.Errorf("lift: %v, want %v", err, freeze.ErrForeign)
	}
}

func TestProof(t *testing.T) {
	c, clock := open(t)
	trial := freeze.Trial{Subjects: []freeze.Subject{freeze.Person, {User: "alice"}}, Namespaces: []string{"shop", "video"}, Times: 2}
	prove := func() freeze.Proof { return freeze.Prove(t.Context(), c, notice, trial) }

	if p := prove(); !p.Accepted() || p.Refused() || len(p.Tries) != 8 {
		t.Errorf("before the freeze: %+v", p)
	}
	if err := freeze.Close(t.Context(), c, notice); err != nil {
		t.Fatal(err)
	}
	if p := prove(); p.Refused() {
		t.Errorf("the policy is written, not yet obeyed, and the proof says refused: %+v", p)
	}
	clock.SetTime(began.Add(time.Second))
	p := prove()
	if !p.Refused() || p.Accepted() || p.Odd(freeze.Refused) != "" {
		t.Errorf("in the freeze: %+v", p)
	}
	if want := "a write of crossfade:proof in shop was refused"; p.Odd(freeze.Accepted) != want {
		t.Errorf("got %q, want %q", p.Odd(freeze.Accepted), want)
	}
	if _, err := freeze.Now(t.Context(), c, "shop"); err != nil {
		t.Errorf("the engine's own write: %v", err)
	}
}

func TestUnclearAnswersProveNothing(t *testing.T) {
	trial := freeze.Trial{Subjects: []freeze.Subject{freeze.Person}, Namespaces: []string{"shop"}, Times: 3}
	faults := map[string]func(memory.Op) memory.Fault{
		"no answer": memory.TimedOut,
		"refused for another reason": func(memory.Op) memory.Fault {
			return memory.Fault{Before: apierrors.NewForbidden(corev1.Resource("configmaps"), "x", errors.New("no permission"))}
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			c := frozen(t, notice)
			tried := 0
			c.SetFaults(func(op memory.Op) memory.Fault {
				if tried++; tried == 2 {
					return fault(op)
				}
				return memory.Fault{}
			})
			p := freeze.Prove(t.Context(), c, notice, trial)
			if p.Refused() || p.Accepted() || p.Tries[1].Outcome != freeze.Unknown || p.Odd(freeze.Refused) == "" {
				t.Errorf("got %+v", p)
			}
		})
	}
	if p := (freeze.Proof{}); p.Refused() || p.Accepted() {
		t.Error("nothing tried proves something")
	}
}

func TestSentenceIsOneLine(t *testing.T) {
	n := notice
	n.Reason, n.Advice = "two\nlines", ""
	if got, want := n.Sentence(), "migration east-to-west froze this cluster: two lines; ask #platform"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
