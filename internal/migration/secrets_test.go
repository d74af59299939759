package migration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/mirror"
)

// TestTheHubShowsNoSecret lets Secrets be refused, differ and drift, and looks for their
// values in what the engine tells of it: the status of the Migration and of its Moves,
// the ledger, and events.
func TestTheHubShowsNoSecret(t *testing.T) {
	const canary = "cAnArY-hunter2-51c0"
	secret := func(name, value string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: map[string][]byte{"a": []byte(value)}}
	}
	source := append(serving("web", 2), secret("refused", canary), secret("stranger", canary), secret("drifted", canary))
	w := newWorld(t, source, objects(secret("stranger", canary+"-other")))
	w.target.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "create" && op.Name == "refused" {
			return memory.Fault{Before: apierrors.NewBadRequest("data.a: Invalid value: " + canary)}
		}
		return memory.Fault{}
	})
	w.Follower = &InTurn{Lasting: t.Context(), Clock: w.clock, Workers: 1, Feed: func(ctx context.Context, api cluster.API) mirror.Feed {
		return mirror.Polled(ctx, api, w.clock)
	}}
	var shown []string
	w.Tell = func(_ *v1.Migration, reason v1.Reason, message string) {
		shown = append(shown, string(reason), message)
	}
	w.m.Status.Conditions = []metav1.Condition{{Type: string(v1.Preflight), Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.clock.Now())}}

	for pass := range 12 {
		if pass == 6 {
			copied := &corev1.Secret{}
			if err := w.target.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "drifted"}, copied); err != nil {
				t.Fatal(err)
			}
			copied.Data["a"] = []byte(canary + "-drifted")
			if err := w.target.Update(t.Context(), copied, client.FieldOwner("kubectl")); err != nil {
				t.Fatal(err)
			}
		}
		before := w.m.DeepCopy()
		v := w.visit()
		var err error
		if v.followed, err = w.Follower.Follow(t.Context(), v.subject(), Following{Mirrored: true, Writer: v1.Source}); err != nil {
			t.Fatal(err)
		}
		for _, stage := range []func(context.Context, *visit) (Progress, error){w.prepare, w.snapshot} {
			p, err := stage(t.Context(), v)
			if err != nil {
				p = troubled(err)
			}
			if _, err := w.record(t.Context(), before, w.m, p); err != nil {
				t.Fatal(err)
			}
			shown = append(shown, p.Message, fmt.Sprintf("%+v", p.Gates), string(mustJSON(t, w.m.Status)))
		}
		if err := w.recordMoves(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
	}
	for _, list := range []client.ObjectList{&v1.MigrationList{}, &v1.MoveList{}, &v1.FreezeList{}, &corev1.EventList{}} {
		if err := w.hub.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(mustJSON(t, list)))
	}
	entries, err := w.visit().subject().copies(CopiesInTarget).Load(t.Context())
	if err != nil || len(entries) == 0 {
		t.Fatalf("the ledger has %d copies, %v", len(entries), err)
	}
	shown = append(shown, string(mustJSON(t, entries)))

	all := strings.Join(shown, "\n")
	encoded := base64.StdEncoding.EncodeToString([]byte(canary))
	for _, value := range []string{canary, encoded[:len(encoded)-4]} {
		if at := strings.Index(all, value); at >= 0 {
			t.Errorf("the value of a Secret is shown: …%s…", all[max(0, at-200):at+40])
		}
	}
	for _, name := range []string{"refused", "drifted"} {
		if !strings.Contains(all, "Secret/shop/"+name) {
			t.Errorf("Secret %s is not named", name)
		}
	}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
