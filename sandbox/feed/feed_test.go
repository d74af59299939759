package feed

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func object(name, uid, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(uid), ResourceVersion: version,
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
}

func TestEachVersionIsToldOnce(t *testing.T) {
	var told []string
	f := New(func(c Change[*corev1.ConfigMap]) {
		told = append(told, fmt.Sprintf("%s@%s gone=%v first=%v", c.Name, c.Object.ResourceVersion, c.Gone, c.First))
		if c.Object.ManagedFields != nil {
			t.Error("managed fields were kept")
		}
	})
	s := (*store[*corev1.ConfigMap])(f)
	a1, b1 := object("a", "1", "1"), object("b", "2", "2")
	steps := []struct {
		what string
		do   func() error
		want []string
	}{
		{"the first list", func() error { return s.Replace([]any{a1, b1}, "2") }, []string{"shop/a@1 gone=false first=true", "shop/b@2 gone=false first=true"}},
		{"a change", func() error { return s.Update(object("a", "1", "3")) }, []string{"shop/a@3 gone=false first=false"}},
		{"the same again", func() error { return s.Update(object("a", "1", "3")) }, nil},
		{"a list that lacks one", func() error { return s.Replace([]any{object("a", "1", "3"), object("c", "3", "4")}, "4") },
			[]string{"shop/c@4 gone=false first=false", "shop/b@2 gone=true first=false"}},
		{"a deletion", func() error { return s.Delete(object("c", "3", "5")) }, []string{"shop/c@5 gone=true first=false"}},
		{"the deletion of what is gone", func() error { return s.Delete(object("c", "3", "5")) }, nil},
	}
	for _, step := range steps {
		told = nil
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, step.want) {
			t.Errorf("%s: told %v, want %v", step.what, told, step.want)
		}
	}
	told = nil
	if err := s.Update(object("a", "9", "9")); err != nil {
		t.Fatal(err)
	}
	if want := []string{"shop/a@3 gone=true first=false", "shop/a@9 gone=false first=false"}; !slices.Equal(told, want) {
		t.Errorf("another object of the same name: told %v, want %v", told, want)
	}
}
