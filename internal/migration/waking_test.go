package migration

import (
	"context"
	"fmt"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster/memory"
)

var backupKind = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Backup"}

// backups is a world with two backups that are parked on the target.
func backups(t *testing.T) *world {
	w := newWorld(t, nil, nil)
	w.m.Spec.Rules = []v1.MirrorRule{{
		Group: backupKind.Group, Kind: backupKind.Kind, Mode: v1.Parked, By: "storage",
		Patch: `[{op: add, path: /spec/paused, value: true}]`,
	}}
	for c, paused := range map[*memory.Cluster]bool{w.source: false, w.target: true} {
		definition := &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "backups.example.com"},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: backupKind.Group, Scope: apiextensionsv1.NamespaceScoped,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "backups", Singular: "backup", Kind: backupKind.Kind, ListKind: "BackupList"},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: backupKind.Version, Served: true, Storage: true,
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
				}},
			},
		}
		if err := c.Create(t.Context(), definition); err != nil {
			t.Fatal(err)
		}
		w.pass(1)
		for _, name := range []string{"hourly", "nightly"} {
			spec := map[string]any{"keep": int64(3)}
			if paused {
				spec["paused"] = true
			}
			w.newBackup(c, name, spec)
		}
	}
	return w
}

func (w *world) newBackup(c *memory.Cluster, name string, spec map[string]any) {
	w.t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(backupKind)
	obj.SetNamespace("shop")
	obj.SetName(name)
	if err := c.Create(w.t.Context(), obj); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) backup(c *memory.Cluster, name string) *unstructured.Unstructured {
	w.t.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(backupKind)
	if err := c.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, obj); err != nil {
		w.t.Fatal(err)
	}
	return obj
}

// paused is what a backup says on the source and on the target.
func (w *world) paused(name string) string {
	said := func(c *memory.Cluster) any {
		value, _, _ := unstructured.NestedFieldNoCopy(w.backup(c, name).Object, "spec", "paused")
		return value
	}
	return fmt.Sprint(said(w.source), " ", said(w.target))
}

// handOver hands over what is parked, and fails if anything is at work on both sides.
func (w *world) handOver(to v1.Side) {
	w.t.Helper()
	for range 20 {
		for _, name := range []string{"hourly", "nightly"} {
			if w.paused(name) == "<nil> <nil>" {
				w.t.Fatalf("%s is at work on both sides", name)
			}
		}
		p, err := w.wake(w.t.Context(), w.visit(), to)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.outcome == done {
			return
		}
		w.pass(1)
	}
	w.t.Fatal("it never ends")
}

func (w *world) wantPaused(when string, want map[string]string) {
	w.t.Helper()
	for name, want := range want {
		if got := w.paused(name); got != want {
			w.t.Errorf("%s: %s is paused %s, want %s", when, name, got, want)
		}
	}
}

func TestWhatIsParkedWakesWhereTeamsWrite(t *testing.T) {
	w := backups(t)
	w.handOver(v1.Source)
	w.wantPaused("a Release that never began", map[string]string{"hourly": "<nil> true", "nightly": "<nil> true"})

	w.handOver(v1.Target)
	w.m.Status.Writer = v1.Target
	w.wantPaused("after the turn", map[string]string{"hourly": "true <nil>", "nightly": "true <nil>"})

	// A team pauses one by itself, and makes another, whose copy is parked.
	obj := w.backup(w.target, "nightly")
	_ = unstructured.SetNestedField(obj.Object, true, "spec", "paused")
	if err := w.target.Update(t.Context(), obj, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	w.newBackup(w.target, "weekly", map[string]any{"keep": int64(1)})
	w.newBackup(w.source, "weekly", map[string]any{"keep": int64(1), "paused": true})
	w.handOver(v1.Target)
	w.wantPaused("while teams write there", map[string]string{"hourly": "true <nil>", "nightly": "true true", "weekly": "true <nil>"})

	w.handOver(v1.Source)
	w.m.Status.Writer = v1.Source
	w.wantPaused("after the way back", map[string]string{"hourly": "<nil> true", "nightly": "true true", "weekly": "<nil> true"})
}

func TestAWakingThatIsCutShortIsTakenBack(t *testing.T) {
	for cut := 1; ; cut++ {
		w := backups(t)
		writes := 0
		fault := func(op memory.Op) memory.Fault {
			if op.Write() && op.Kind.Kind == backupKind.Kind {
				if writes++; writes >= cut {
					return memory.Lost(op)
				}
			}
			return memory.Fault{}
		}
		w.source.SetFaults(fault)
		w.target.SetFaults(fault)
		var err error
		for range 4 {
			if _, err = w.wake(context.Background(), w.visit(), v1.Target); err != nil {
				break
			}
		}
		w.source.SetFaults(nil)
		w.target.SetFaults(nil)
		w.handOver(v1.Source) // the writer has not turned
		w.wantPaused(fmt.Sprintf("cut at write %d", cut), map[string]string{"hourly": "<nil> true", "nightly": "<nil> true"})
		w.handOver(v1.Target)
		if err == nil {
			return
		}
		w.m.Status.Writer = v1.Target
		w.wantPaused(fmt.Sprintf("cut at write %d, forward again", cut), map[string]string{"hourly": "true <nil>", "nightly": "true <nil>"})
	}
}

func TestWhatIsParkedWakesAlsoIfTheOtherSideIsLost(t *testing.T) {
	w := backups(t)
	w.handOver(v1.Target)
	w.m.Status.Writer = v1.Target
	v := w.visit()
	v.target.lost = true
	for range 3 {
		if _, err := w.wake(t.Context(), v, v1.Source); err != nil {
			t.Fatal(err)
		}
	}
	if _, paused, _ := unstructured.NestedBool(w.backup(w.source, "hourly").Object, "spec", "paused"); paused {
		t.Error("it is parked on the side that is left")
	}
}
