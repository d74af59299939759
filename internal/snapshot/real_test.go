package snapshot_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/snapshot"
)

// real is a real API server as a snapshot.Cluster.
type real struct {
	controltest.API
	discovery *discovery.DiscoveryClient
	uid       types.UID
}

func newReal(t *testing.T, config *rest.Config) *real {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r := &real{API: controltest.New(t, config), discovery: d}
	var system corev1.Namespace
	if err := r.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, &system); err != nil {
		t.Fatal(err)
	}
	r.uid = system.UID
	return r
}

func (r *real) UID() types.UID              { return r.uid }
func (r *real) Ready(context.Context) error { return nil }

func (r *real) Version(context.Context) (string, error) {
	info, err := r.discovery.ServerVersion()
	if err != nil {
		return "", err
	}
	return info.GitVersion, nil
}

func (r *real) Kinds(context.Context) ([]cluster.Kind, error) {
	lists, err := r.discovery.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	var kinds []cluster.Kind
	for _, list := range lists {
		for _, resource := range list.APIResources {
			kind := cluster.Kind{Resource: resource.Name, Namespaced: resource.Namespaced, Verbs: resource.Verbs}
			group, version, found := strings.Cut(list.GroupVersion, "/")
			if !found {
				group, version = "", group
			}
			kind.Group, kind.Version, kind.Kind = group, version, resource.Kind
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

// TestRealAPIServers archives one control plane and rehearses in another.
func TestRealAPIServers(t *testing.T) {
	source, target := newReal(t, controltest.Start(t)), newReal(t, controltest.Start(t))
	furnish(t, source)
	const many = 600
	for i := range many {
		create(t, source, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("many-%d", i)}, Data: map[string]string{"text": strings.Repeat("x", 1000)},
		})
	}
	store, k := blobtest.New(), newKeys(t)
	began := time.Now()
	m, err := snapshot.Take(t.Context(), source, store.Bucket(), options(k.recipient))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects archived in %s", m.Objects, time.Since(began).Round(time.Millisecond))

	began = time.Now()
	result, err := rehearsed(t.Context(), target, open(t, store, k), snapshot.Into{Clock: clock.RealClock{}, Workers: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rehearsed in %s", time.Since(began).Round(time.Millisecond))
	problems := result.Problems()
	problems = slices.DeleteFunc(problems, func(p string) bool { return strings.Contains(p, "of-the-lease") })
	if len(problems) > 0 || result.Created+result.Found != m.Objects {
		t.Errorf("%d created, %d found of %d: %q", result.Created, result.Found, m.Objects, problems)
	}
	var left corev1.NamespaceList
	if err := target.List(t.Context(), &left, client.HasLabels{"crossfade.dev/rehearsal"}); err != nil || len(left.Items) > 0 {
		t.Errorf("%d namespaces are left, %v", len(left.Items), err)
	}
	if err := target.Get(t.Context(), client.ObjectKey{Name: "shop"}, &corev1.Namespace{}); err == nil {
		t.Error("namespace shop is left")
	}
}

func create(t *testing.T, c client.Client, obj client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}
