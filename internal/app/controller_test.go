package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/migration"
)

func TestARehearsalIsNotWaitedFor(t *testing.T) {
	ended := make(chan []string)
	a := newArchiver(t.Context(), nil, nil)
	a.run = func(context.Context, *v1.Migration, string) ([]string, error) {
		found := <-ended
		if found == nil {
			return nil, errors.New("the cluster does not answer")
		}
		return found, nil
	}
	m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	until := func() ([]string, error) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if differences, done, err := a.Rehearse(t.Context(), m, "archive"); done || err != nil {
				return differences, err
			}
		}
		t.Fatal("it never ends")
		return nil, nil
	}
	for range 3 {
		if _, done, err := a.Rehearse(t.Context(), m, "archive"); done || err != nil {
			t.Fatalf("done %v, %v while it is under way", done, err)
		}
	}
	ended <- nil
	if _, err := until(); err == nil {
		t.Error("an error is not told")
	}
	if _, done, err := a.Rehearse(t.Context(), m, "archive"); done || err != nil {
		t.Errorf("done %v, %v; want it begun anew after the error", done, err)
	}
	ended <- []string{"ConfigMap shop/cart: it is missing"}
	if differences, err := until(); err != nil || !slices.Equal(differences, []string{"ConfigMap shop/cart: it is missing"}) {
		t.Errorf("%v, %v", differences, err)
	}
}

func TestAClusterThatDoesNotAnswerKeepsNobodyElseWaiting(t *testing.T) {
	hub := inMemory(t, "hub", 9, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "k", Namespace: "shop"}})
	c := &connections{ctx: t.Context(), hub: hub}
	stuck := c.line(client.ObjectKey{Namespace: "shop", Name: "east"})
	stuck.mu.Lock() // as while it is being connected to
	defer stuck.mu.Unlock()
	west := &v1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "west", Namespace: "shop"}, Spec: v1.ClusterSpec{Kubeconfig: v1.SecretKey{Name: "k", Key: "none"}}}
	answered := make(chan error, 1)
	go func() {
		_, err := c.to(t.Context(), west)
		answered <- err
	}()
	select {
	case err := <-answered:
		if err == nil {
			t.Error("it is connected to a cluster without a kubeconfig")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the other cluster")
	}
}

func TestTheTroublesOfMirrorAndBridgeAreKeptApart(t *testing.T) {
	p := &pair{}
	nothing := func(*migration.Followed) {}
	p.note(t.Context(), "mirror", &p.ofMirror, errors.New("the mirror's"), nothing, p.want)
	p.note(t.Context(), "bridge", &p.ofBridge, nil, nothing, p.want)
	if p.ofMirror == nil || p.ofBridge != nil {
		t.Errorf("mirror: %v, bridge: %v; want the mirror's trouble to last until its own next pass", p.ofMirror, p.ofBridge)
	}
}
