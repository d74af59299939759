package mirror

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
)

// servers are two real API servers with a mirror between them.
type servers struct {
	t        testing.TB
	from, to *cluster.Cluster
	counted  *counting
	// fromConfig and toConfig lead to the API servers without the product's client.
	fromConfig, toConfig *rest.Config
	ledger               map[string]Entry
	config               Config
	mirror               *Mirror
}

// counting counts writes.
type counting struct {
	cluster.API
	writes atomic.Int64
}

func (c *counting) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	c.writes.Add(1)
	return c.API.Create(ctx, obj, opts...)
}

func (c *counting) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	c.writes.Add(1)
	return c.API.Update(ctx, obj, opts...)
}

func (c *counting) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	c.writes.Add(1)
	return c.API.Patch(ctx, obj, patch, opts...)
}

func startServers(t testing.TB) *servers {
	t.Helper()
	s := &servers{t: t, ledger: map[string]Entry{}}
	s.fromConfig, s.toConfig = controltest.Start(t), controltest.Start(t)
	for config, side := range map[*rest.Config]**cluster.Cluster{s.fromConfig: &s.from, s.toConfig: &s.to} {
		c, err := cluster.Connect(t.Context(), cluster.Options{Config: config, Identity: "test"})
		if err != nil {
			t.Fatal(err)
		}
		keepFence(t, c)
		*side = c
	}
	s.counted = &counting{API: s.to.API}
	w := &world{ledger: s.ledger}
	s.config = Config{
		From:       Side{API: s.from.API, Feed: Watches(t.Context(), s.from.API, clock.RealClock{}, func() {}), Kinds: s.from.Kinds},
		To:         Side{API: s.counted, Feed: Watches(t.Context(), s.to.API, clock.RealClock{}, func() {}), Kinds: s.to.Kinds},
		Record:     w.record(s.ledger),
		Namespaces: func(name string) bool { return !strings.HasPrefix(name, "kube-") },
		Workers:    16, Clock: clock.RealClock{},
	}
	s.mirror = New(s.config)
	return s
}

// keepFence holds the fence of a cluster for as long as the test lasts.
func keepFence(t testing.TB, c *cluster.Cluster) {
	t.Helper()
	if err := c.Fence.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(c.Fence.RenewEvery()):
				_ = c.Fence.Hold(t.Context())
			}
		}
	}()
}

// follow syncs until the mirror is level.
func (s *servers) follow() Report {
	s.t.Helper()
	var report Report
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		var err error
		if report, err = s.mirror.Sync(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if report.Level() && report.Written == 0 {
			return report
		}
		<-time.After(50 * time.Millisecond)
	}
	return report
}

func manifest(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func (s *servers) create(manager, text string) {
	s.t.Helper()
	if err := s.from.Create(s.t.Context(), manifest(s.t, text), client.FieldOwner(manager)); err != nil {
		s.t.Fatal(err)
	}
}

// apply is a server-side apply without force: it fails if somebody else owns a field.
func apply(ctx context.Context, api cluster.API, manager string, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	obj = obj.DeepCopy()
	data, err := obj.MarshalJSON()
	if err != nil {
		return nil, err
	}
	err = api.Patch(ctx, obj, client.RawPatch(types.ApplyPatchType, data), client.FieldOwner(manager))
	return obj, err
}

const deploymentText = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: shop, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example/web:1", ports: [{containerPort: 8080}]}]}`

func TestOnRealServers(t *testing.T) {
	s := startServers(t)
	for _, test := range []struct {
		name string
		test func(*testing.T, *servers)
	}{
		{"ownership survives", ownershipSurvives},
		{"one manager costs one write", oneWrite},
		{"writes by who owns the fields", writesPerObject},
		{"a declared node port is kept", declaredPort},
		{"teams' tools find nothing to do", toolsFindNothingToDo},
		{"every kind goes there and back", thereAndBack},
		{"a restart writes nothing", restartWritesNothing},
		{"secrets stay secret", secretsStaySecret},
		{"what nobody owns is what it was", otherDefaults}, // from here on the clusters define a kind differently
	} {
		t.Run(test.name, func(t *testing.T) {
			s.t = t
			test.test(t, s)
		})
	}
}

func ownershipSurvives(t *testing.T, s *servers) {
	ctx := t.Context()
	s.create("kubectl-create", `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
	s.create("kubectl-client-side-apply", fmt.Sprintf(deploymentText, "web"))
	s.create("helm", `{apiVersion: v1, kind: ConfigMap, metadata: {name: one, namespace: shop}, data: {a: "1"}}`)
	s.create("helm", `{apiVersion: v1, kind: Secret, metadata: {name: one, namespace: shop}, stringData: {a: "1"}}`)
	s.create("helm", `{apiVersion: v1, kind: ServiceAccount, metadata: {name: one, namespace: shop}}`)
	s.create("helm", `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}}`)
	applied := manifest(t, fmt.Sprintf(deploymentText, "applied"))
	if _, err := apply(ctx, s.from.API, "argocd-controller", applied); err != nil {
		t.Fatal(err)
	}
	both := manifest(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: both, namespace: shop}, data: {a: "1"}}`)
	if _, err := apply(ctx, s.from.API, "argocd-controller", both); err != nil {
		t.Fatal(err)
	}
	other := manifest(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: both, namespace: shop}, data: {b: "2"}}`)
	if _, err := apply(ctx, s.from.API, "flux", other); err != nil {
		t.Fatal(err)
	}

	report := s.follow()
	if !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	for _, obj := range []*unstructured.Unstructured{applied, both, other,
		manifest(t, fmt.Sprintf(deploymentText, "web")), manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}`)} {
		if got, want := s.owners(s.to, obj), s.owners(s.from, obj); got != want {
			t.Errorf("%s %s: managers of the copy\n%s\nof the origin\n%s", obj.GetKind(), obj.GetName(), got, want)
		}
	}
	for manager, obj := range map[string]*unstructured.Unstructured{"argocd-controller": both, "flux": other} {
		before := s.copyOf(obj)
		after, err := apply(ctx, s.to.API, manager, obj)
		if err != nil || after.GetResourceVersion() != before.GetResourceVersion() {
			t.Errorf("the team's next apply as %s: %v, changed from %s to %s", manager, err, before.GetResourceVersion(), after.GetResourceVersion())
		}
	}
	if found := must(s.mirror.Differences(ctx)); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
}

func oneWrite(t *testing.T, s *servers) {
	before := s.counted.writes.Load()
	for i := range 10 {
		s.create("helm", fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d, namespace: shop}, data: {a: "1"}}`, i))
		s.create("helm", fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: c%d, namespace: shop}, data: {a: "MQ=="}}`, i))
		s.create("helm", fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: c%d, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 80}]}}`, i))
		s.create("kubectl-client-side-apply", fmt.Sprintf(deploymentText, fmt.Sprintf("d%d", i)))
	}
	s.written(40)
	if got := s.counted.writes.Load() - before; got != 40 {
		t.Errorf("%d writes for 40 objects", got)
	}
}

func declaredPort(t *testing.T, s *servers) {
	s.create("helm", `{apiVersion: v1, kind: Service, metadata: {name: declared, namespace: shop}, spec: {type: NodePort, selector: {app: web}, ports: [{name: a, port: 80, nodePort: 30050}, {name: b, port: 81}]}}`)
	s.written(1)
	obj := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: declared, namespace: shop}}`)
	list, _, _ := unstructured.NestedSlice(s.copyOf(obj).Object, "spec", "ports")
	if got := list[0].(map[string]any)["nodePort"]; got != int64(30050) {
		t.Errorf("the declared port is %v, want 30050", got)
	}
	if got, want := s.owners(s.to, obj), s.owners(s.from, obj); got != want {
		t.Errorf("managers of the copy\n%s\nof the origin\n%s", got, want)
	}
}

// thereAndBack mirrors objects of every kind, makes them again on the first side from
// what arrived, and compares with what they once were.
func thereAndBack(t *testing.T, s *servers) {
	data, err := os.ReadFile("testdata/kinds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(string(data), "\n---\n") {
		s.create("helm", text)
	}
	s.config.Choices = []Choice{{Group: "example.com", Kind: "Widget", Mode: v1.Inert}}
	s.restart()
	report := s.follow()
	if !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	s.create("helm", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: kinds}, spec: {size: 1.5, list: [{a: null}, {}], none: null}}`)
	s.written(1)
	if found := must(s.mirror.Differences(t.Context())); len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
	kinds := must(s.to.Kinds(t.Context()))
	a, b := everythingOf(t, s.from, kinds), everythingOf(t, s.to, kinds)
	for _, d := range Compare(a, b, Options{Decided: s.config.Decided}) {
		t.Errorf("%s", d)
	}
	seen := map[string]bool{}
	for _, obj := range b {
		seen[obj.GetKind()] = true
	}
	for _, kind := range kinds {
		rule := s.config.ruleFor(kind.GroupKind())
		if s.mirror.movable(kind) && !rule.idle() && !seen[kind.Kind] {
			t.Errorf("there is no object of the kind %s to prove that it is copied", kind.Kind)
		}
	}

	m := s.mirror
	s.turn()
	if report = s.follow(); !report.Level() || len(report.Held) > 0 {
		t.Errorf("turned: %+v", report)
	}
	for _, d := range Compare(a, everythingOf(t, s.from, kinds), Options{Decided: s.config.Decided, Strict: true}) {
		t.Errorf("after turning: %s", d)
	}
	s.mirror = m
}

// turn makes the mirror go the other way.
func (s *servers) turn() {
	back := map[string]Entry{}
	w := &world{ledger: back}
	forward := s.config.Record
	turned := s.config
	turned.From, turned.To, turned.Turned = s.config.To, s.config.From, true
	turned.From.Feed, turned.To.Feed = Watches(s.t.Context(), s.to.API, clock.RealClock{}, func() {}), Watches(s.t.Context(), s.from.API, clock.RealClock{}, func() {})
	turned.Record, turned.Back = w.record(back), &forward
	s.mirror = New(turned)
}

// everythingOf lists the mirrored kinds of the estate.
func everythingOf(t *testing.T, c *cluster.Cluster, kinds []cluster.Kind) []unstructured.Unstructured {
	t.Helper()
	var all []unstructured.Unstructured
	for _, kind := range kinds {
		rule := builtIn(kind.GroupKind())
		if rule.Never != "" || !slices.Contains(kind.Verbs, "list") {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersionKind)
		if err := c.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for _, obj := range list.Items {
			if !strings.HasPrefix(obj.GetNamespace(), "kube-") {
				all = append(all, obj)
			}
		}
	}
	return all
}

func (s *servers) restart() {
	s.config.From.Feed = Watches(s.t.Context(), s.from.API, clock.RealClock{}, func() {})
	s.config.To.Feed = Watches(s.t.Context(), s.to.API, clock.RealClock{}, func() {})
	s.mirror = New(s.config)
}

func restartWritesNothing(t *testing.T, s *servers) {
	before := s.counted.writes.Load()
	s.restart()
	if report := s.follow(); !report.Level() {
		t.Errorf("not level: %+v", report)
	}
	if got := s.counted.writes.Load() - before; got != 0 {
		t.Errorf("%d writes", got)
	}
}

// written syncs until so many objects more were written, and the mirror is level.
func (s *servers) written(want int) {
	s.t.Helper()
	total := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && total < want; {
		report, err := s.mirror.Sync(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		total += report.Written
		<-time.After(20 * time.Millisecond)
	}
	s.follow()
}

func (s *servers) copyOf(obj *unstructured.Unstructured) *unstructured.Unstructured {
	s.t.Helper()
	return read(s.t, s.to, obj)
}

func read(t testing.TB, c *cluster.Cluster, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(obj.GroupVersionKind())
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// owners shows who owns what of an object.
func (s *servers) owners(c *cluster.Cluster, obj *unstructured.Unstructured) string {
	s.t.Helper()
	lines := map[string]metav1.ManagedFieldsEntry{}
	for _, e := range managers(read(s.t, c, obj)) {
		lines[fmt.Sprintf("%s %s %s %s", e.Manager, e.Operation, e.APIVersion, e.FieldsV1.GetRawString())] = e
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n")
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if holds() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}
