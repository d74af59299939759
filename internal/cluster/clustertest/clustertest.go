// Package clustertest is the conformance suite of cluster.API: what the engine
// relies on, put to any cluster. The in-memory cluster passes it in every test
// run, and real API servers pass it end to end, so that what the simulation
// proves over the one holds for the other.
package clustertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A World is one cluster to put to the test.
type World struct {
	API   cluster.API
	Facts cluster.Facts
	// Settle waits until done is true, and returns false if that takes too long. In
	// memory it moves the clock and ticks; for a real cluster it polls.
	Settle func(done func() bool) bool
	// Pods is true when the cluster runs pods.
	Pods bool
}

// patience is how long one case may take in all.
const patience = 2 * time.Minute

// Run puts every case to the world, each in a namespace of its own. The API's
// caller must be allowed to do everything.
func Run(t *testing.T, w World) {
	cases := []struct {
		name string
		test func(*testing.T, *room)
	}{
		{"creation fills the object and happens once", creation},
		{"creation needs a namespace", creationNeedsNamespace},
		{"creation does not take a resourceVersion", creationTakesNoVersion},
		{"a generated name is completed", generatedName},
		{"an update of an old version conflicts", updateOfOldVersion},
		{"an update of another UID conflicts", updateOfAnotherUID},
		{"an update of nothing is not found", updateOfNothing},
		{"an update of nothing new keeps the version", updateOfNothingNew},
		{"the generation counts changes of the specification", generation},
		{"the status is apart", statusApart},
		{"merge patches", mergePatch},
		{"strategic patches", strategicPatch},
		{"JSON patches", jsonPatch},
		{"a patch with an old version conflicts", patchOfOldVersion},
		{"a patch with another UID is invalid", patchOfAnotherUID},
		{"deletion keeps to its preconditions", deletionPreconditions},
		{"finalizers hold what is deleted", finalizersHold},
		{"a dry run changes nothing", dryRun},
		{"a dry run finds what is wrong", dryRunFinds},
		{"every form of an object reads the same", formsAgree},
		{"lists select", listsSelect},
		{"lists come in pages", listsPage},
		{"a watch tells what happened since", watchSince},
		{"a watch with a selector sees objects come and go", watchSelects},
		{"what is owned goes with its owner", ownedGoes},
		{"what names an owner that never was goes", strangerGoes},
		{"what is orphaned stays", orphanStays},
		{"a Service keeps its own address", serviceAddress},
		{"a foreign address is refused", foreignAddress},
		{"a selector can't change", selectorStays},
		{"a Deployment is completed", deploymentDefaults},
		{"managedFields tell who set the replicas", replicasOwner},
		{"loopback endpoints are refused", loopbackRefused},
		{"a namespace takes its content along", namespaceGoes},
		{"the system's namespaces stay", systemStays},
		{"a policy refuses whom it means", policyRefuses},
		{"a custom resource is served", customResource},
		{"a cluster tells about itself", facts},
		{"a Deployment is rolled out and served", rollout},
		{"a pod that ends tells so before it goes", termination},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			t.Cleanup(cancel)
			c.test(t, newRoom(t, ctx, w))
		})
	}
}

// A room is a namespace for one case.
type room struct {
	World
	ctx       context.Context
	namespace string
}

func newRoom(t *testing.T, ctx context.Context, w World) *room {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"}}
	if err := w.API.Create(ctx, ns); err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := w.API.Delete(context.WithoutCancel(ctx), ns, client.Preconditions{UID: &ns.UID}); client.IgnoreNotFound(err) != nil {
			t.Logf("delete namespace %s: %v", ns.Name, err)
		}
	})
	return &room{World: w, ctx: ctx, namespace: ns.Name}
}

// create makes objects that the case starts from.
func (r *room) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, obj := range objects {
		if err := r.API.Create(r.ctx, obj); err != nil {
			t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
		}
	}
}

// read reads obj again by its own name.
func (r *room) read(t *testing.T, obj client.Object) {
	t.Helper()
	if err := r.API.Get(r.ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatalf("get %T %s: %v", obj, obj.GetName(), err)
	}
}

// gone is true when obj can't be found; obj is not changed otherwise than by reading.
func (r *room) gone(obj client.Object) bool {
	err := r.API.Get(r.ctx, client.ObjectKeyFromObject(obj), obj)
	return err != nil && client.IgnoreNotFound(err) == nil
}

// until settles the world; what says what was waited for.
func (r *room) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !r.Settle(done) {
		t.Fatalf("waited in vain until %s", what)
	}
}

func (r *room) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.namespace, Name: name}
}

func (r *room) configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: r.meta(name), Data: map[string]string{"key": value}}
}

// unique makes a name for something without a namespace.
func (r *room) unique(name string) string {
	return fmt.Sprintf("%s-%s", name, strings.TrimPrefix(r.namespace, "conformance-"))
}
