package dryrun

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/dnstest"
	dnsmemory "crossfade.dev/internal/dns/memory"
)

// over is a cluster in memory with these objects, and what catches writes to it.
func over(t *testing.T, objects ...memory.Object) (*memory.Cluster, *Cluster, *Recorder) {
	t.Helper()
	r := &Recorder{Clock: testclock.NewFakeClock(noon)}
	behind := memory.New(memory.Options{Name: "c", Number: 1, Seed: 1, Clock: r.Clock.(*testclock.FakeClock)})
	if err := behind.Seed(append([]memory.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}, objects...)...); err != nil {
		t.Fatal(err)
	}
	return behind, r.Cluster(Target, behind), r
}

func web() *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
		}},
	}
}

func TestAPatchIsToldWithItsFields(t *testing.T) {
	behind, api, r := over(t, web())
	have := &appsv1.Deployment{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "web"}, have); err != nil {
		t.Fatal(err)
	}
	for _, replicas := range []int32{3, 5} { // the second one meets what was caught
		told := have.DeepCopy()
		told.Spec.Replicas = &replicas
		if err := api.Patch(t.Context(), told, client.MergeFromWithOptions(have, client.MergeFromWithOptimisticLock{})); err != nil {
			t.Fatal(err)
		}
		have = told
	}
	var found []string
	for _, w := range r.Writes() {
		for _, f := range w.Fields {
			if f.Path == "spec.replicas" {
				found = append(found, string(w.Verb)+" "+w.Kind+" "+w.Namespace+"/"+w.Name+" "+f.String())
			}
		}
	}
	want := []string{"patch Deployment shop/web spec.replicas: 1 -> 3", "patch Deployment shop/web spec.replicas: 3 -> 5"}
	if !slices.Equal(found, want) {
		t.Errorf("told of %q, want %q", found, want)
	}
	if text := string(r.Writes()[0].Patch); !strings.Contains(text, `"spec":{"replicas":3}`) {
		t.Errorf("the patch is %s", text)
	}
	list := &appsv1.DeploymentList{}
	if err := api.List(t.Context(), list, client.InNamespace("shop"), client.UnsafeDisableDeepCopy); err != nil || len(list.Items) != 1 || *list.Items[0].Spec.Replicas != 5 {
		t.Errorf("the list has %d, %v; want what was caught", len(list.Items), err)
	}
	if err := behind.Get(t.Context(), client.ObjectKeyFromObject(have), have); err != nil || *have.Spec.Replicas != 1 {
		t.Errorf("behind, it has %d replicas, %v", *have.Spec.Replicas, err)
	}
}

func TestARefusalIsTold(t *testing.T) {
	_, api, r := over(t)
	bad := web()
	bad.Spec.Selector.MatchLabels = map[string]string{"app": "other"}
	if err := api.Create(t.Context(), bad); !apierrors.IsInvalid(err) {
		t.Fatalf("got %v, want what the API server says", err)
	}
	if all := r.Writes(); len(all) != 1 || !strings.Contains(all[0].Refused, "selector") {
		t.Errorf("told of %+v, want the refusal", all)
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(bad), bad); !apierrors.IsNotFound(err) {
		t.Errorf("what was refused stands: %v", err)
	}
}

func TestWhatStandsInACaughtNamespaceIsCompletedByTheServer(t *testing.T) {
	_, api, _ := over(t)
	if err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}); err != nil {
		t.Fatal(err)
	}
	d := web()
	d.Namespace = "new"
	d.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("1")}
	if err := api.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if d.Namespace != "new" || d.Spec.RevisionHistoryLimit == nil || len(d.ManagedFields) == 0 {
		t.Errorf("in %q, with a history of %v and %d managers; want defaults and managers", d.Namespace, d.Spec.RevisionHistoryLimit, len(d.ManagedFields))
	}
}

// No value of a Secret is told: not created, not changed, not by a patch.
func TestSecretsAreVeiled(t *testing.T) {
	const value, encoded = "hunter2", "aHVudGVyMg=="
	old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "shop"}, Data: map[string][]byte{"key": []byte("before")}}
	_, api, r := over(t, old)
	made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "new", Namespace: "shop", Annotations: map[string]string{"last-applied": value}}, Data: map[string][]byte{"key": []byte(value)}}
	if err := api.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
		t.Fatal(err)
	}
	changed := old.DeepCopy()
	changed.Data["key"] = []byte(value)
	if err := api.Patch(t.Context(), changed, client.MergeFrom(old)); err != nil {
		t.Fatal(err)
	}
	changed.Data["more"] = []byte(value)
	if err := api.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if len(r.Writes()) != 3 {
		t.Fatalf("told of %d writes, want 3", len(r.Writes()))
	}
	for _, w := range r.Writes() {
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), value) || strings.Contains(string(text), encoded) || strings.Contains(string(text), "YmVmb3Jl") {
			t.Errorf("a value is told: %s", text)
		}
		if !strings.Contains(string(text), "bytes)") {
			t.Errorf("its length is not told: %s", text)
		}
	}
}

func TestABucketIsReadAsIfItWereWritten(t *testing.T) {
	store := blobtest.New()
	store.Put("a/one", []byte("1"))
	store.Put("a/two", []byte("22"))
	store.SetFaults(func(op blobtest.Op) blobtest.Fault {
		if op.Verb == "write" || op.Verb == "delete" {
			t.Errorf("%s of %s behind", op.Verb, op.Key)
		}
		return blobtest.Fault{}
	})
	r := &Recorder{Clock: testclock.NewFakeClock(noon)}
	b := r.Bucket(Journal, store.Bucket())
	ctx := t.Context()
	if err := errors.Join(b.WriteAll(ctx, "a/one", []byte("111"), nil), b.WriteAll(ctx, "b/three", []byte("3"), nil), b.Delete(ctx, "a/two")); err != nil {
		t.Fatal(err)
	}
	if data, err := b.ReadAll(ctx, "a/one"); err != nil || string(data) != "111" {
		t.Errorf("a/one is %q, %v", data, err)
	}
	if _, err := b.ReadAll(ctx, "a/two"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("a/two: %v, want not found", err)
	}
	if err := b.Delete(ctx, "a/two"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("a/two again: %v, want not found", err)
	}
	if got := listing(t, b); got != "a/one b/three" {
		t.Errorf("listed %q", got)
	}
	if err := b.WriteAll(ctx, "a/one", nil, &blob.WriterOptions{IfNotExist: true}); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("written though it exists: %v", err)
	}
	var told []string
	for _, w := range r.Writes() {
		told = append(told, strings.Join([]string{string(w.Verb), w.Name, w.Before, w.After}, "|"))
	}
	if want := []string{"update|a/one|1 bytes|3 bytes", "create|b/three||1 bytes", "delete|a/two|2 bytes|"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

func listing(t *testing.T, b *blob.Bucket) string {
	t.Helper()
	var names []string
	for objects := b.List(nil); ; {
		object, err := objects.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return strings.Join(names, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, object.Key)
	}
}

// Servers answer what was caught in their own zone, and else what they do answer.
func TestServersAnswerWhatWasCaught(t *testing.T) {
	old, other := &dnsmemory.Service{}, &dnsmemory.Service{}
	before := dnstest.Set(t, "pay.example.test", "A", 60, "192.0.2.1")
	after := dnstest.Set(t, "pay.example.test", "A", 60, "192.0.2.2")
	for _, s := range []*dnsmemory.Service{old, other} {
		if err := s.Hold("example.test", append(dnstest.Apex(t, "example.test"), before)); err != nil {
			t.Fatal(err)
		}
	}
	r := &Recorder{Clock: testclock.NewFakeClock(noon)}
	caught, untouched := r.Zones(OldZone, old), r.Zones(NewZone, other)
	servers := r.Servers(&dnsmemory.Servers{Services: map[string]*dnsmemory.Service{"old": old, "new": other}}, map[string]*Zones{"old": caught, "new": untouched})
	if err := caught.Swap(context.Background(), "example.test", dns.Swap{Old: &before, New: &after}); err != nil {
		t.Fatal(err)
	}
	stale, err := servers.Stale(t.Context(), []string{"old", "new"}, []dns.RecordSet{after})
	if err != nil || len(stale) != 1 || stale[0].Server != "new" {
		t.Errorf("stale: %v, %v; want the new one alone", stale, err)
	}
	if all := r.Writes(); len(all) != 1 || all[0].Before != "192.0.2.1 (ttl 60)" || all[0].After != "192.0.2.2 (ttl 60)" {
		t.Errorf("told of %+v", all)
	}
}
