package bridge_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/bridge"
	"crossfade.dev/internal/controltest"
)

// TestRealAPIServers bridges two control planes whose endpoint controllers the test
// plays, and measures how soon a terminating pod has left the other side.
func TestRealAPIServers(t *testing.T) {
	source, target := controltest.New(t, controltest.Start(t)), controltest.New(t, controltest.Start(t))
	labels := map[string]string{"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
	theirs := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-abc", Labels: labels},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), AppProtocol: new("kubernetes.io/h2c")}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.2.1.1"}, Conditions: conditions(true), NodeName: new("n1"), Zone: new("z1"), Hostname: new("web-0")},
			{Addresses: []string{"10.2.1.2"}, Conditions: conditions(true)},
		},
	}
	for _, api := range []controltest.API{source, target} {
		create(t, api, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
		create(t, api, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
		}})
	}
	create(t, target, theirs)
	b := bridge.New(bridge.Config{Source: source, Target: target, Clock: clock.RealClock{}, Namespaces: func(ns string) bool { return ns == "shop" }})
	sync := func() bridge.Report {
		report, err := b.Sync(t.Context(), bothWays)
		if err != nil || !report.Level() {
			t.Fatalf("sync: %+v, %v", report, err)
		}
		return report
	}
	if report := sync(); report.Writes != 1 || report.Services != 1 {
		t.Errorf("first pass: %+v", report)
	}
	if report := sync(); report.Writes != 0 {
		t.Errorf("second pass: %+v: the server fills in something that the bridge takes for a change", report)
	}
	fresh := bridge.New(bridge.Config{Source: source, Target: target, Clock: clock.RealClock{}, Namespaces: func(string) bool { return true }})
	if report, err := fresh.Sync(t.Context(), bothWays); err != nil || report.Writes != 0 {
		t.Errorf("a new process: %+v, %v", report, err)
	}

	web := bridge.Key{Namespace: "shop", Name: "web"}
	var slowest time.Duration
	for i := range 20 {
		ready := i%2 == 1
		theirs.Endpoints[0].Conditions = conditions(ready)
		began := time.Now()
		if err := target.Update(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		if report, err := b.SyncServices(t.Context(), bothWays, []bridge.Key{web}); err != nil || report.Writes != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		reach, err := b.Bridged(t.Context(), v1.Source)
		if err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(began))
		want := []string{"10.2.1.2"}
		if ready {
			want = []string{"10.2.1.1", "10.2.1.2"}
		}
		if !slices.Equal(reach[web].Ready, want) {
			t.Fatalf("leads to %v, want %v", reach[web].Ready, want)
		}
	}
	t.Logf("from the change of a pod to the other side's API server: at most %s", slowest.Round(time.Millisecond))
	if left, err := b.Remove(t.Context(), v1.Source); left > 0 || err != nil {
		t.Errorf("%d left, %v", left, err)
	}
}

func conditions(ready bool) discoveryv1.EndpointConditions {
	return discoveryv1.EndpointConditions{Ready: &ready, Serving: new(true), Terminating: new(!ready)}
}

func create(t *testing.T, c client.Client, obj client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}
