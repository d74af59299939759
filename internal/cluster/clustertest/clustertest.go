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
	// Behind is set if writes to API are only told of, and none is made: it is the
	// cluster behind. Then nothing follows from a write but its answer and later reads.
	Behind cluster.API
}

// patience is how long one case may take in all.
const patience = 2 * time.Minute

// Run puts every case to the world, each in a namespace of its own. The API's
// caller must be allowed to do everything.
func Run(t *testing.T, w World) {
	cases := []struct {
		name string
		test func(*testing.T, *room)
		// made is true of a case in which more follows from a write than what it says.
		made bool
	}{
		{"creation fills the object and happens once", creation, false},
		{"creation needs a namespace", creationNeedsNamespace, false},
		{"creation does not take a resourceVersion", creationTakesNoVersion, false},
		{"a generated name is completed", generatedName, false},
		{"an update of an old version conflicts", updateOfOldVersion, false},
		{"an update of another UID conflicts", updateOfAnotherUID, false},
		{"an update of nothing is not found", updateOfNothing, false},
		{"an update of nothing new keeps the version", updateOfNothingNew, false},
		{"the generation counts changes of the specification", generation, false},
		{"the status is apart", statusApart, false},
		{"merge patches", mergePatch, false},
		{"strategic patches", strategicPatch, false},
		{"JSON patches", jsonPatch, false},
		{"a patch with an old version conflicts", patchOfOldVersion, false},
		{"a patch with another UID is invalid", patchOfAnotherUID, false},
		{"deletion keeps to its preconditions", deletionPreconditions, false},
		{"finalizers hold what is deleted", finalizersHold, false},
		{"a dry run changes nothing", dryRun, false},
		{"a dry run finds what is wrong", dryRunFinds, false},
		{"every form of an object reads the same", formsAgree, false},
		{"lists select", listsSelect, false},
		{"lists come in pages", listsPage, false},
		{"a watch tells what happened since", watchSince, true},
		{"a watch with a selector sees objects come and go", watchSelects, true},
		{"what is owned goes with its owner", ownedGoes, true},
		{"what names an owner that never was goes", strangerGoes, true},
		{"what is orphaned stays", orphanStays, true},
		{"a Service keeps its own address", serviceAddress, true},
		{"a foreign address is refused", foreignAddress, false},
		{"a selector can't change", selectorStays, true},
		{"a Deployment is completed", deploymentDefaults, false},
		{"managedFields tell who set the replicas", replicasOwner, true},
		{"loopback endpoints are refused", loopbackRefused, false},
		{"a namespace takes its content along", namespaceGoes, true},
		{"the system's namespaces stay", systemStays, false},
		{"a policy refuses whom it means", policyRefuses, true},
		{"a custom resource is served", customResource, true},
		{"a cluster tells about itself", facts, false},
		{"a Deployment is rolled out and served", rollout, true},
		{"a pod that ends tells so before it goes", termination, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.made && w.Behind != nil {
				t.Skip("writes are only told of")
			}
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
	in := w.API
	if w.Behind != nil {
		in = w.Behind
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"}}
	if err := in.Create(ctx, ns); err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := in.Delete(context.WithoutCancel(ctx), ns, client.Preconditions{UID: &ns.UID}); client.IgnoreNotFound(err) != nil {
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
