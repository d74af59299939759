package migration

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

func TestOnlyOneMigrationHasANamespaceUnderWay(t *testing.T) {
	begun := func(stages ...v1.Stage) func(*v1.Migration) {
		return func(m *v1.Migration) {
			for _, s := range stages {
				setFinished(m, s, metav1.ConditionFalse, v1.Busy, "begun")
			}
		}
	}
	tests := []struct {
		name           string
		namespaces     []string
		source, target string
		ours           []string
		status         func(*v1.Migration)
		want           string
	}{
		{"the same namespaces", []string{"shop"}, "east", "west", []string{"shop", "news"}, begun(v1.Preflight, v1.Prepare), "migration other has the namespace shop in east"},
		{"some of all", nil, "east", "west", []string{"shop"}, begun(v1.Preflight, v1.Prepare), "migration other has the namespace shop in east"},
		{"all, twice", nil, "east", "west", nil, begun(v1.Preflight, v1.Prepare), "migration other has every namespace in east"},
		{"on from where it leads", []string{"shop"}, "north", "east", []string{"shop"}, begun(v1.Preflight, v1.Prepare), "migration other has the namespace shop in east"},
		{"a second name of the same cluster", []string{"shop"}, "orient", "north", []string{"shop"}, begun(v1.Preflight, v1.Prepare), "migration other has the namespace shop in orient"},
		{"other namespaces", []string{"news"}, "east", "west", []string{"shop"}, begun(v1.Preflight, v1.Prepare), ""},
		{"other clusters", []string{"shop"}, "north", "south", []string{"shop"}, begun(v1.Preflight, v1.Prepare), ""},
		{"one that has not begun", []string{"shop"}, "east", "west", []string{"shop"}, begun(), ""},
		{"a younger one in Preflight", []string{"shop"}, "east", "west", []string{"shop"}, begun(v1.Preflight), ""},
		{"one that was retired", []string{"shop"}, "east", "west", []string{"shop"}, func(m *v1.Migration) {
			begun(v1.Stages...)(m)
			m.Spec.Retire = &v1.Retire{By: "ann"}
			setRetired(m)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, nil)
			uids := map[string]string{"east": string(w.source.UID()), "west": string(w.target.UID()), "orient": string(w.source.UID()), "north": "n", "south": "s"}
			for name, uid := range uids {
				c := &v1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: hubNamespace}}
				if err := client.IgnoreAlreadyExists(w.hub.Create(t.Context(), c)); err != nil {
					t.Fatal(err)
				}
				if err := w.hub.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
					t.Fatal(err)
				}
				c.Status.UID = uid
				if err := w.hub.Status().Update(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			w.clock.Step(time.Minute)
			other := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: hubNamespace}}
			other.Spec.Source, other.Spec.Target, other.Spec.Namespaces = tt.source, tt.target, tt.namespaces
			if err := w.hub.Create(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			tt.status(other)
			if err := w.hub.Status().Update(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			m := &v1.Migration{}
			if err := w.hub.Get(t.Context(), client.ObjectKey{Namespace: hubNamespace, Name: "demo"}, m); err != nil {
				t.Fatal(err)
			}
			m.Spec.Namespaces = tt.ours
			v, err := w.look(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.rivals(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) > 1 || len(got) == 1 && got[0] != tt.want || len(got) == 0 && tt.want != "" {
				t.Errorf("rivals = %q, want %q", got, tt.want)
			}
		})
	}
}
