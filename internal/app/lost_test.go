package app

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/freeze"
	"crossfade.dev/internal/ledger"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/plan"
)

// shifted is a migration at the end of Shift, between two real API servers: the target
// runs two pods of cart, the source none; the source is closed to teams and leads
// clients to the target's pods.
func shifted(t *testing.T, configs map[string]*rest.Config) (url string) {
	t.Helper()
	source, target := controltest.New(t, configs["east"]), controltest.New(t, configs["west"])
	url, m, l := kept(t, uidOf(t, source), uidOf(t, target))
	cart := idle()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "cart-crossfade-west-0", Namespace: "shop", Labels: map[string]string{
			discoveryv1.LabelServiceName: "cart", discoveryv1.LabelManagedBy: bridge.ManagedBy,
		}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.2.1.1"}}},
	}
	for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, cart} {
		if err := source.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	m.Spec.Decisions = []v1.Decision{{Workload: "Deployment/shop/cart", Decide: v1.DecideMove}}
	copyOver(t, configs, migration.Subject{Migration: m, Ledger: l, In: migration.Scope(m)})
	there := &appsv1.Deployment{}
	err := target.Get(t.Context(), client.ObjectKeyFromObject(cart), there)
	if err == nil {
		there.Spec.Replicas = new(int32(2))
		err = target.Update(t.Context(), there, client.FieldOwner(cluster.FieldManager))
	}
	if err == nil {
		err = source.Create(t.Context(), slice)
	}
	if err == nil {
		err = freeze.Close(t.Context(), source, freeze.Notice{
			Migration: m.Name, Side: v1.Source, Namespaces: []string{"shop"}, Reason: "a test", Contact: "ann",
			Exempt: []string{"another-engine"}, Since: time.Now(),
		})
	}
	if err == nil {
		err = ledger.Save(t.Context(), l, m, v1.Intended, "capacity", map[string]plan.Standing{
			"Deployment/shop/cart": {Wanted: 2, Target: plan.Told{Was: 2, Is: 2}},
		})
	}
	for _, s := range []v1.Stage{v1.Snapshot, v1.Shifting} {
		meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{Type: s.Finished(), Status: metav1.ConditionTrue, Reason: string(v1.Finished)})
	}
	m.ResourceVersion = "1000"
	if err == nil {
		err = l.Keep(t.Context(), m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// TestTheWayBackNeedsNoTargetThatIsLost goes back from a journal to a source that is
// there, past a target that does not answer, which is then found again.
func TestTheWayBackNeedsNoTargetThatIsLost(t *testing.T) {
	configs := map[string]*rest.Config{"east": controltest.Start(t), "west": controltest.Start(t)}
	source, target := controltest.New(t, configs["east"]), controltest.New(t, configs["west"])
	url := shifted(t, configs)
	silent := rest.CopyConfig(configs["west"])
	silent.Host = "https://127.0.0.1:1"
	found, lost := controltest.Kubeconfig(t, configs), controltest.Kubeconfig(t, map[string]*rest.Config{"east": configs["east"], "west": silent})
	key := client.ObjectKey{Namespace: "shop", Name: "cart"}

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	o := cli.JournalOptions{Journal: url, To: v1.Nothing, Kubeconfig: lost, SourceContext: "east", TargetContext: "west"}
	if _, err := runRollback(ctx, o); err == nil || !strings.HasSuffix(err.Error(), "if this cluster is lost, --target-lost leads back without it") {
		t.Errorf("a silent target: %v; want it refused, with what helps", err)
	}
	o.TargetLost, o.To, o.Kubeconfig = true, v1.Prepare, found
	if _, err := runRollback(ctx, o); err == nil || !strings.HasSuffix(err.Error(), `"west" answers, so it is not lost: leave --target-lost out`) {
		t.Errorf("a target that answers: %v; want it refused", err)
	}

	var last v1.MigrationStatus
	o.Kubeconfig, o.Tell = lost, func(m *v1.Migration) {
		last = m.Status
		here := &appsv1.Deployment{}
		if err := source.Get(ctx, key, here); err != nil || *here.Spec.Replicas != 2 || here.Status.ReadyReplicas == 2 {
			return
		}
		here.Status = appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2, ObservedGeneration: here.Generation}
		if err := source.Status().Update(ctx, here); err != nil && !apierrors.IsConflict(err) {
			t.Errorf("be the source's controllers: %v", err)
		}
	}
	left, err := runRollback(ctx, o)
	if err != nil {
		t.Fatalf("%v; it stood at %s, %s: %s", err, last.Stage, last.Reason, last.Message)
	}
	if last.Stage != v1.Prepare || !slices.Contains(left, "Deployment.apps/shop/cart") {
		t.Errorf("it stands at %s, left %q; want Prepare, and cart left", last.Stage, left)
	}
	if standing, err := freeze.Standing(ctx, source); err != nil || len(standing) != 0 || slicesOfBridge(t, source) != 0 {
		t.Errorf("the source: freezes %v, %d slices, %v; want none", standing, slicesOfBridge(t, source), err)
	}
	there := &appsv1.Deployment{}
	if err := target.Get(ctx, key, there); err != nil || *there.Spec.Replicas != 2 {
		t.Errorf("the target: %v, %v; want it untouched", there.Spec.Replicas, err)
	}

	if left, err = runRollback(ctx, cli.JournalOptions{
		Journal: url, To: v1.Nothing, Kubeconfig: found, SourceContext: "east", TargetContext: "west",
		Tell: func(m *v1.Migration) { last = m.Status },
	}); err != nil || len(left) != 0 {
		t.Fatalf("left %q, %v; it stood at %s, %s: %s", left, err, last.Stage, last.Reason, last.Message)
	}
	if err := target.Get(ctx, key, there); !apierrors.IsNotFound(err) {
		t.Errorf("the copy in the target that was found again: %v, want none", err)
	}
	here := &appsv1.Deployment{}
	if err := source.Get(ctx, key, here); err != nil || *here.Spec.Replicas != 2 {
		t.Errorf("the source runs %v, %v; want 2", here.Spec.Replicas, err)
	}
}

func slicesOfBridge(t *testing.T, api cluster.API) int {
	t.Helper()
	var list discoveryv1.EndpointSliceList
	if err := api.List(t.Context(), &list, client.MatchingLabels{discoveryv1.LabelManagedBy: bridge.ManagedBy}); err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}
