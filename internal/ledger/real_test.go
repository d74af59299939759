package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"gocloud.dev/blob/fileblob"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/ledger"
)

// TestRealAPIServer keeps a ledger in a real API server, with chunks of full size,
// and a journal in a folder.
func TestRealAPIServer(t *testing.T) {
	hub := controltest.New(t, controltest.Start(t))
	serve(t, hub, "ledgers", "migrations")
	system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: migration.Namespace}}
	if err := hub.Create(t.Context(), system); err != nil {
		t.Fatal(err)
	}
	bucket, err := fileblob.OpenBucket(t.TempDir(), &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]record{}
	for i := range 12000 {
		all[fmt.Sprintf("ConfigMap/team-%d/config-%d", i%200, i)] = record{UID: digest(i, 0)[:32], Wrote: digest(i, 1), Got: digest(i, 2)}
	}
	l := ledger.New(hub, bucket)
	began := time.Now()
	if err := ledger.Save(t.Context(), l, migration, v1.Created, "target", all); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries saved in %s", len(all), time.Since(began).Round(time.Millisecond))
	began = time.Now()
	for i := range 50 {
		key := fmt.Sprintf("ConfigMap/team-%d/config-%d", i, i)
		all[key] = record{UID: "changed"}
		if err := ledger.Add(t.Context(), l, migration, v1.Created, "target", map[string]record{key: all[key]}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("a change takes %s", (time.Since(began) / 50).Round(100*time.Microsecond))
	got, err := ledger.Load[record](t.Context(), ledger.New(hub, nil), migration, v1.Created, "target")
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Fatalf("%d entries, want %d; %v", len(got), len(all), err)
	}

	m := migration.DeepCopy()
	m.Spec.Source, m.Spec.Target = "east", "west"
	if err := hub.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.Status.Stage = v1.Prepare
	if err := hub.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := l.Keep(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := l.Forget(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var left v1.LedgerList
	if err := hub.List(t.Context(), &left); err != nil || len(left.Items) > 0 {
		t.Errorf("%d objects after forgetting, %v", len(left.Items), err)
	}
}

// serve installs our own kinds by the names of their resources.
func serve(t *testing.T, hub client.Client, resources ...string) {
	t.Helper()
	for _, resource := range resources {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "crossfade.dev_"+resource+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		if err := hub.Create(t.Context(), &crd); err != nil {
			t.Fatal(err)
		}
		established := func() bool {
			if err := hub.Get(t.Context(), client.ObjectKeyFromObject(&crd), &crd); err != nil {
				return false
			}
			for _, c := range crd.Status.Conditions {
				if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
					return true
				}
			}
			return false
		}
		for deadline := time.Now().Add(30 * time.Second); !established(); {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not served within 30 s", resource)
			}
		}
	}
}
