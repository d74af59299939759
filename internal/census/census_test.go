package census

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

// paged is a cluster with 1,200 pods, three of them bare, that forbids Secrets.
type paged struct {
	client.Reader
	asked []int64
	kinds error
}

func (p *paged) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	switch list := list.(type) {
	case *corev1.SecretList:
		return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("no"))
	case *corev1.PodList:
		p.asked = append(p.asked, o.Limit)
		from := 0
		if o.Continue != "" {
			if _, err := fmt.Sscan(o.Continue, &from); err != nil {
				return err
			}
		}
		for i := from; i < min(1200, from+int(o.Limit)); i++ {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("p", i)}}
			if i >= 3 {
				pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Controller: new(true)}}
			}
			list.Items = append(list.Items, pod)
		}
		if from+int(o.Limit) < 1200 {
			list.Continue = fmt.Sprint(from + int(o.Limit))
		}
	}
	return nil
}

func (p *paged) UID() types.UID                          { return "u" }
func (p *paged) Version(context.Context) (string, error) { return "v1.36.3", nil }
func (p *paged) Ready(context.Context) error             { return nil }
func (p *paged) Kinds(context.Context) ([]cluster.Kind, error) {
	kind := func(group, version, kind, resource string) cluster.Kind {
		return cluster.Kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, Resource: resource, Verbs: []string{"list"}}
	}
	return []cluster.Kind{
		kind("", "v1", "Pod", "pods"), kind("", "v1", "Secret", "secrets"), kind("", "v1", "Event", "events"), kind("apps", "v1", "Deployment", "deployments"),
	}, p.kinds
}

func TestACensusReadsInPagesAndGoesOnWhereItMayNot(t *testing.T) {
	p := &paged{}
	side, err := Take(t.Context(), p, p, "east")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.asked, []int64{500, 500, 500}) {
		t.Errorf("pods were asked for in pages of %v, want three of 500", p.asked)
	}
	if n := len(side.Objects.Pods); n != 3 {
		t.Errorf("kept %d pods, want the three bare ones", n)
	}
	if n := side.Present[schema.GroupVersionKind{Version: "v1", Kind: "Pod"}]; n != 1200 {
		t.Errorf("counted %d pods, want 1200", n)
	}
	want := []finding.Unseen{{Verb: "list", Resource: "secrets", Why: "forbidden"}}
	if !slices.Equal(side.Unseen, want) {
		t.Errorf("unseen = %+v, want %+v", side.Unseen, want)
	}
	found := finding.Find(finding.Facts{Source: side})
	if len(found) != 1 || found[0].ID != "CF-ACC-002" || found[0].Observed != "could not list secrets: forbidden" {
		t.Errorf("found %+v, want that the Secrets were not seen", found)
	}
}

func TestACensusWithoutDiscoveryTriesWhatItKnows(t *testing.T) {
	p := &paged{kinds: errors.New("metrics.k8s.io: unavailable")}
	side, err := Take(t.Context(), p, p, "east")
	if err != nil {
		t.Fatal(err)
	}
	if side.Serves != nil || side.Unseen[0].Verb != "discover" || len(side.Objects.Pods) != 3 {
		t.Errorf("serves %v, unseen %+v, %d pods; want unknown kinds, and the pods all the same", side.Serves, side.Unseen, len(side.Objects.Pods))
	}
}

// Every kind that is read by type has a list of its own among a plan's objects.
func TestEveryTypedListHasAPlace(t *testing.T) {
	for resource, list := range typed {
		kinds, _, err := cluster.Scheme().ObjectKinds(list())
		if err != nil {
			t.Errorf("%s: %v", resource, err)
			continue
		}
		item, err := cluster.Scheme().New(kinds[0].GroupVersion().WithKind(strings.TrimSuffix(kinds[0].Kind, "List")))
		if err != nil {
			t.Errorf("%s: %v", resource, err)
			continue
		}
		var objects plan.Objects
		objects.Add(item.(plan.Object))
		count := 0
		objects.Each(func(plan.Object) { count++ })
		if count != 1 {
			t.Errorf("%s: a plan keeps no %T", resource, item)
		}
	}
}
