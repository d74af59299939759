package app

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/cluster/clustertest"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/dryrun"
)

// Over a real API server that is reached by a connection which sends nothing that lasts,
// what is caught reads as in any cluster.
func TestADryClusterConformsOnARealServer(t *testing.T) {
	config := controltest.Start(t)
	behind, err := cluster.Connect(t.Context(), cluster.Options{Config: config, Identity: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(behind.Close)
	dry, err := cluster.Connect(t.Context(), cluster.Options{Config: harmless(config), Identity: "dry"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dry.Close)
	r := &dryrun.Recorder{Clock: clock.RealClock{}}
	clustertest.Run(t, clustertest.World{
		API: r.Cluster(dryrun.Target, dry.Unfenced()), Facts: dry, Behind: behind.Unfenced(),
		Settle: func(done func() bool) bool { return done() },
	})
	t.Run("what stands behind is changed in memory alone", func(t *testing.T) { changeWhatStands(t, behind.Unfenced(), dry.Unfenced()) })
}

func changeWhatStands(t *testing.T, behind, dry cluster.API) {
	all := map[string]*corev1.Service{}
	for _, name := range []string{"patched", "dropped", "loose"} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		if err := behind.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		all[name] = s.DeepCopy()
	}
	r := &dryrun.Recorder{Clock: clock.RealClock{}}
	api := r.Cluster(dryrun.Source, dry)
	patched, loose := all["patched"].DeepCopy(), &unstructured.Unstructured{}
	loose.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	write := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	write("patch", api.Patch(t.Context(), patched, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"sessionAffinity":"ClientIP"}}`))))
	patched.Labels = map[string]string{"a": "b"}
	write("update", api.Update(t.Context(), patched))
	status := `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`
	write("patch the status", api.Status().Patch(t.Context(), patched, client.RawPatch(types.MergePatchType, []byte(status))))
	write("delete", api.Delete(t.Context(), all["dropped"].DeepCopy(), client.Preconditions{UID: &all["dropped"].UID}))
	write("read", api.Get(t.Context(), client.ObjectKeyFromObject(all["loose"]), loose))
	write("delete what is loose", api.Delete(t.Context(), loose, client.Preconditions{UID: &all["loose"].UID}))

	var told []string
	for _, w := range r.Writes() {
		told = append(told, string(w.Verb)+" "+w.Name+" "+w.Subresource+w.Refused+w.Unasked)
	}
	if want := []string{"patch patched ", "update patched ", "patch patched status", "delete dropped ", "delete loose "}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	if patched.Spec.SessionAffinityConfig == nil || len(patched.Status.LoadBalancer.Ingress) != 1 || patched.Labels["a"] != "b" {
		t.Errorf("after all writes it is %+v", patched)
	}
	for name, s := range all {
		now := &corev1.Service{}
		if err := behind.Get(t.Context(), client.ObjectKeyFromObject(s), now); err != nil || now.ResourceVersion != s.ResourceVersion || now.DeletionTimestamp != nil {
			t.Errorf("%s behind: %v, version %s, was %s", name, err, now.ResourceVersion, s.ResourceVersion)
		}
	}
}
