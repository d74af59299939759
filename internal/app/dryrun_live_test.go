package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/config"
	estate "crossfade.dev/examples/estate"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/view"
)

// On real API servers: the first step of Prepare, the mirror's whole first copy, is told
// of, and neither cluster nor the journal's folder hold anything that they did not.
func TestADryRunOfTheFirstCopyWritesNothing(t *testing.T) {
	east, west := controltest.Start(t), controltest.Start(t)
	hub, target := controltest.New(t, east), controltest.New(t, west)
	made := 0
	for _, obj := range estate.Generate(estate.Options{Apps: 6}).Objects {
		if err := hub.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		made++
	}
	journal := filepath.Join(t.TempDir(), "journal")
	m := preparing(t, hub, map[string]*rest.Config{"east": east, "west": west}, "file://"+journal+"?create_dir=true")
	before := [2]map[string]string{versions(t, east), versions(t, west)}

	began := time.Now()
	step, err := runStep(t.Context(), cli.StepOptions{
		Hub: cli.Hub{Kubeconfig: controltest.Kubeconfig(t, map[string]*rest.Config{"east": east}), Namespace: m.Namespace}, Migration: m,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d writes told of in %s, of %d objects", step.Outside(), time.Since(began), made)
	for i, admin := range []*rest.Config{east, west} {
		for name, version := range versions(t, admin) {
			if before[i][name] != version {
				t.Errorf("cluster %d: %s was %q and is %q", i, name, before[i][name], version)
			}
		}
	}
	if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal's folder: %v, want none", err)
	}
	created := map[string]bool{}
	for _, w := range step.Writes {
		if w.Place == "target" && w.Verb == "create" {
			created[w.String()] = true
		}
		if w.Refused != "" || w.Unasked != "" {
			t.Errorf("%s in %s: %s%s", w, w.Place, w.Refused, w.Unasked)
		}
	}
	var list appsv1.DeploymentList
	if err := hub.List(t.Context(), &list); err != nil || len(list.Items) == 0 {
		t.Fatalf("%d Deployments, %v", len(list.Items), err)
	}
	for _, d := range list.Items {
		if name := d.Namespace + "/" + d.Name; !created["Deployment "+name] {
			t.Errorf("Deployment %s is not told of", name)
		}
		if err := target.Get(t.Context(), client.ObjectKey{Name: d.Namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
			t.Errorf("Namespace %s in the target: %v, want none", d.Namespace, err)
		}
	}
	if !slices.ContainsFunc(step.Writes, func(w view.Write) bool { return w.Place == "journal" }) {
		t.Error("the journal is not told of")
	}
}

// preparing makes a hub with a migration that is about to begin Prepare.
func preparing(t *testing.T, hub controltest.API, sides map[string]*rest.Config, journal string) *v1.Migration {
	t.Helper()
	const namespace = "crossfade-system"
	kinds, err := config.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range kinds {
		if err := hub.Create(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}}
	for name, side := range sides {
		kubeconfig, err := os.ReadFile(controltest.Kubeconfig(t, map[string]*rest.Config{name: side}))
		if err != nil {
			t.Fatal(err)
		}
		meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
		objects = append(objects, &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"kubeconfig": kubeconfig}},
			&v1.Cluster{ObjectMeta: meta, Spec: v1.ClusterSpec{Kubeconfig: v1.SecretKey{Name: name, Key: "kubeconfig"}}})
	}
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: namespace}, Spec: v1.MigrationSpec{Source: "east", Target: "west", Journal: journal}}
	for _, obj := range append(objects, m) {
		for until := time.Now().Add(30 * time.Second); ; { // the server takes a moment to serve new kinds
			if err := hub.Create(t.Context(), obj); err == nil {
				break
			} else if time.Now().After(until) {
				t.Fatal(err)
			}
		}
	}
	for _, s := range v1.Stages {
		c := metav1.Condition{Type: s.Finished(), Status: metav1.ConditionUnknown, Reason: string(v1.NotVisited), LastTransitionTime: metav1.Now()}
		if s == v1.Preflight {
			c.Status, c.Reason = metav1.ConditionTrue, string(v1.Finished)
		}
		m.Status.Conditions = append(m.Status.Conditions, c)
	}
	m.Status.Writer, m.Status.Endpoint = v1.Source, v1.Source
	if err := hub.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// versions are those of all objects of a cluster, but for what it writes by itself all
// the time.
func versions(t *testing.T, admin *rest.Config) map[string]string {
	t.Helper()
	c, err := cluster.Connect(t.Context(), cluster.Options{Config: admin, Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kinds, err := c.Kinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kind := range kinds {
		if !slices.Contains(kind.Verbs, "list") {
			continue
		}
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := c.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			if kind.Kind == "Event" || kind.Kind == "Lease" && !strings.HasPrefix(item.Name, "crossfade") || strings.HasPrefix(item.Name, "kube-root-ca") {
				continue
			}
			all[kind.Kind+" "+item.Namespace+"/"+item.Name] = item.ResourceVersion
		}
	}
	return all
}
