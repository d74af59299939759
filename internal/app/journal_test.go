package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/freeze"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/mirror"
)

func TestKeysAreReadAsBINDWritesThem(t *testing.T) {
	write := func(text string) []string {
		file := filepath.Join(t.TempDir(), "zone.key")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{file}
	}
	keys, err := readKeys(write("// ours\nkey \"Crossfade.\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0Cg==\";\n};\nkey other { secret YQ==; };\n"))
	if err != nil || len(keys) != 2 || keys["crossfade"] != "c2VjcmV0Cg==" || keys["other"] != "YQ==" {
		t.Errorf("keys = %v, %v", keys, err)
	}
	for text, want := range map[string]string{
		"nothing": "it holds no key as BIND writes them",
		`key "a" { algorithm hmac-md5; secret "YQ=="; };`: "key a is for hmac-md5; updates are signed with hmac-sha256",
		`key "a" { algorithm hmac-sha256; };`:             "key a has no secret",
	} {
		if _, err := readKeys(write(text)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTheMigrationInAJournalIsChosen(t *testing.T) {
	named := func(name string) *v1.Migration { return &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	for _, c := range []struct {
		objects []client.Object
		name    string
		want    string
		err     string
	}{
		{[]client.Object{&v1.Cluster{}, named("demo")}, "", "demo", ""},
		{[]client.Object{named("demo"), named("shop")}, "shop", "shop", ""},
		{[]client.Object{named("demo"), named("shop")}, "", "", "NAME: say which migration; there are: demo, shop"},
		{[]client.Object{named("demo")}, "shop", "", `it holds no migration "shop"; there are: demo`},
		{nil, "", "", "it holds no migration"},
	} {
		m, err := migrationIn(c.objects, c.name)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%q: %v, want %s", c.name, err, c.err)
			}
		} else if err != nil || m.Name != c.want {
			t.Errorf("%q: %v, %v", c.name, m, err)
		}
	}
}

// kept writes a journal of a migration that stands at the end of Prepare.
func kept(t *testing.T, source, target string) (url string, m *v1.Migration, l *ledger.Ledger) {
	t.Helper()
	url = "file://" + t.TempDir() + "?no_tmp_dir=true"
	bucket, err := blob.OpenBucket(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	hub := inMemory(t, "hub", 3, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "crossfade-system"}})
	m = &v1.Migration{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "crossfade-system"},
		Spec: v1.MigrationSpec{
			Source: "east", Target: "west", Direction: v1.Forward, BackTo: v1.Prepare, Namespaces: []string{"shop"},
			Freeze: v1.FreezePolicy{Window: v1.Handover, Contact: "ann", MaxMinutes: 10},
		},
	}
	clusters := []*v1.Cluster{
		{ObjectMeta: metav1.ObjectMeta{Name: "east", Namespace: m.Namespace}, Status: v1.ClusterStatus{UID: source}},
		{ObjectMeta: metav1.ObjectMeta{Name: "west", Namespace: m.Namespace}, Status: v1.ClusterStatus{UID: target}},
	}
	status := m.Status.DeepCopy()
	status.Writer, status.Endpoint, status.ObservedGeneration = v1.Source, v1.Source, 7
	for _, s := range v1.Stages {
		condition := metav1.Condition{Type: s.Finished(), Status: metav1.ConditionUnknown, Reason: string(v1.NotVisited), LastTransitionTime: metav1.Now()}
		if s == v1.Preflight || s == v1.Prepare {
			condition.Status, condition.Reason = metav1.ConditionTrue, string(v1.Finished)
		}
		status.Conditions = append(status.Conditions, condition)
	}
	l = ledger.New(hub, bucket)
	for _, object := range []client.Object{m, clusters[0], clusters[1]} {
		err := hub.Create(t.Context(), object)
		if err == nil && object == client.Object(m) {
			m.Status = *status
			err = hub.Status().Update(t.Context(), m)
		}
		if err == nil {
			err = l.Keep(t.Context(), m, object)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return url, m, l
}

func TestTheWayBackIsRefusedBeforeTheJournalIsTakenOver(t *testing.T) {
	url, m, l := kept(t, "1", "2")
	o := cli.JournalOptions{Journal: url, To: v1.Nothing, Kubeconfig: nowhere(t), SourceContext: "east", TargetContext: "west"}
	_, err := runRollback(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), `--source-context "east": https://127.0.0.1:1 gave no answer (after `) ||
		!strings.HasSuffix(err.Error(), "connection refused); the way back by the journal needs the source") {
		t.Errorf("error = %v", err)
	}
	o.Migration = "shop"
	if _, err = runRollback(t.Context(), o); err == nil || !strings.HasSuffix(err.Error(), `it holds no migration "shop"; there are: demo`) {
		t.Errorf("error = %v", err)
	}
	o.Journal = "file:///does/not/exist"
	if _, err = runRollback(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "--journal: open bucket file:///does/not/exist: ") {
		t.Errorf("error = %v", err)
	}
	if err := l.Keep(t.Context(), m); err != nil {
		t.Errorf("the journal no longer belongs to its hub: %v", err)
	}
}

func TestARetiredSourceHasNoWayBack(t *testing.T) {
	url, m, l := kept(t, "1", "2")
	m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: v1.Retired, Status: metav1.ConditionTrue})
	m.ResourceVersion = "1000"
	if err := l.Keep(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	o := cli.JournalOptions{Journal: url, To: v1.Nothing, Kubeconfig: nowhere(t), SourceContext: "east", TargetContext: "west"}
	if _, err := runRollback(t.Context(), o); !errors.Is(err, cli.ErrNo) || !strings.HasSuffix(err.Error(), "the source was let go of") {
		t.Errorf("error = %v", err)
	}
}

// TestTheWayBackNeedsNoHub goes back, between two real API servers, from a target
// that holds a copy and is closed to teams; no hub is there.
func TestTheWayBackNeedsNoHub(t *testing.T) {
	configs := map[string]*rest.Config{"east": controltest.Start(t), "west": controltest.Start(t)}
	source, target := controltest.New(t, configs["east"]), controltest.New(t, configs["west"])
	url, m, l := kept(t, uidOf(t, source), uidOf(t, target))
	cart := idle()
	for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, cart} {
		if err := source.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	copyOver(t, configs, migration.Subject{Migration: m, Ledger: l, In: migration.Scope(m)})
	notice := freeze.Notice{
		Migration: m.Name, Side: v1.Target, Namespaces: []string{"shop"}, Reason: "a test", Contact: "ann",
		Exempt: []string{"another-engine"}, Since: time.Now(),
	}
	if err := freeze.Close(t.Context(), target, notice); err != nil {
		t.Fatal(err)
	}
	kubeconfig := controltest.Kubeconfig(t, configs)
	plansAndLifts(t, kubeconfig, target)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var last v1.MigrationStatus
	_, err := runRollback(ctx, cli.JournalOptions{
		Journal: url, To: v1.Nothing, Kubeconfig: kubeconfig, SourceContext: "east", TargetContext: "west",
		Tell: func(m *v1.Migration) { last = m.Status },
	})
	if err != nil {
		t.Fatalf("%v; it stood at %s, %s: %s", err, last.Stage, last.Reason, last.Message)
	}
	if err := target.Get(t.Context(), client.ObjectKeyFromObject(cart), &appsv1.Deployment{}); !apierrors.IsNotFound(err) {
		t.Errorf("the copy in the target: %v, want none", err)
	}
	if err := source.Get(t.Context(), client.ObjectKeyFromObject(cart), &appsv1.Deployment{}); err != nil {
		t.Errorf("the source: %v", err)
	}
	if standing, err := freeze.Standing(t.Context(), target); err != nil || len(standing) != 0 {
		t.Errorf("freezes of the target: %v, %v; want none", standing, err)
	}
	m.ResourceVersion = "1000"
	if err := l.Keep(t.Context(), m); !errors.Is(err, ledger.ErrSuperseded) {
		t.Errorf("the journal's former hub: %v, want that it was superseded", err)
	}
}

// idle is a Deployment that runs nothing.
func idle() *appsv1.Deployment {
	labels := map[string]string{"app": "cart"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: "cart:1"}}},
			},
		},
	}
}

// plansAndLifts lets the commands that need no hub go by contexts.
func plansAndLifts(t *testing.T, kubeconfig string, target cluster.API) {
	t.Helper()
	found, err := runPlan(t.Context(), cli.PlanOptions{
		Hub:       cli.Hub{Kubeconfig: kubeconfig, Namespace: "crossfade-system"},
		Migration: &v1.Migration{Spec: v1.MigrationSpec{Source: "east", Target: "west"}}, SourceContext: "east", TargetContext: "west",
	})
	if err != nil || len(found.Moves) != 1 || len(found.Gates) != 3 || found.Gates[0].Verdict != v1.Passed || found.Gates[1].Verdict != v1.Passed {
		t.Errorf("plan = %+v, %v; want the app cart, and two clusters in good versions", found, err)
	}
	if err := freeze.Close(t.Context(), target, freeze.Notice{Migration: "other", Side: v1.Target, Reason: "a test", Contact: "ann"}); err != nil {
		t.Fatal(err)
	}
	lifted, err := runLift(t.Context(), cli.LiftOptions{Kubeconfig: kubeconfig, Context: "west", Migration: "other"})
	if err != nil || len(lifted) != 1 {
		t.Errorf("lifted %q, %v; want one freeze", lifted, err)
	}
}

// copyOver lets the mirror bring the target level.
func copyOver(t *testing.T, configs map[string]*rest.Config, s migration.Subject) {
	t.Helper()
	side := func(name string) mirror.Side {
		c, err := cluster.Connect(t.Context(), cluster.Options{Config: configs[name], Identity: "an engine that is lost"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return mirror.Side{API: c.Unfenced(), Kinds: c.Kinds, Feed: mirror.Watches(t.Context(), c, clock.RealClock{}, func() {})}
	}
	config, err := migration.Mirroring(side(s.Migration.Spec.Source), side(s.Migration.Spec.Target), s, v1.Source, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	config.Workers = 4
	m := mirror.New(config)
	for deadline := time.Now().Add(time.Minute); ; {
		report, err := m.Sync(t.Context())
		if err == nil && report.Objects > 0 && report.Level() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the mirror is not level: %+v, %v", report, err)
		}
	}
}

func uidOf(t *testing.T, api cluster.API) string {
	t.Helper()
	system := &corev1.Namespace{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, system); err != nil {
		t.Fatal(err)
	}
	return string(system.UID)
}
