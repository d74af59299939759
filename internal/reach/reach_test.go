package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// world is an API server whose pods run at once, and are ready if what their probes
// lead to is among open.
type world struct {
	client.WithWatch
	number int
	open   []string
	// refuse makes the server refuse objects of a name.
	refuse string
	lazy   bool // pods never run
}

func (w *world) As(string, ...string) cluster.API { return w }

func newWorld(number int, open ...string) *world {
	w := &world{number: number, open: open}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.%d.0.2", number)}}}}
	w.WithWatch = fake.NewClientBuilder().WithScheme(cluster.Scheme()).WithObjects(node).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if obj.GetName() == w.refuse {
				return errors.New("forbidden")
			}
			obj.SetUID(types.UID(obj.GetName()))
			return c.Create(ctx, obj, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, obj, opts...)
			if p, ok := obj.(*corev1.Pod); ok && err == nil && !w.lazy {
				w.runs(p)
			}
			return err
		},
	}).Build()
	return w
}

func (w *world) runs(p *corev1.Pod) {
	p.Status.Phase, p.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.%d.1.7", w.number)
	for _, c := range p.Spec.Containers {
		to := c.ReadinessProbe.TCPSocket
		ready := to.Host == "" || slices.Contains(w.open, net.JoinHostPort(to.Host, to.Port.String()))
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Ready: ready})
	}
}

// left names what is still there of ours.
func (w *world) left(t *testing.T) (names []string) {
	t.Helper()
	var pods corev1.PodList
	var namespaces corev1.NamespaceList
	if err := errors.Join(w.List(t.Context(), &pods), w.List(t.Context(), &namespaces)); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	for _, n := range namespaces.Items {
		names = append(names, n.Name)
	}
	return names
}

func options() Options { return Options{Namespace: "ours", Clock: clock.RealClock{}} }

func TestWaysAreToldByWhatWasReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		east, west := newWorld(1, "10.2.1.7:8080", "10.2.0.2:10250"), newWorld(2, "10.1.0.2:10250")
		ways, err := Measure(t.Context(), Side{Name: "east", API: east}, Side{Name: "west", API: west, Addresses: []string{"10.2.0.9:443"}}, options())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range ways {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", w.From, w.To, w.Range, w.Address, w.Verdict))
		}
		want := []string{
			"east west pods 10.2.1.7:8080 Passed", "east west nodes 10.2.0.2:10250 Passed", "east west 10.2.0.9:443 10.2.0.9:443 Failed",
			"west east pods 10.1.1.7:8080 Failed", "west east nodes 10.1.0.2:10250 Passed",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
		if left := slices.Concat(east.left(t), west.left(t)); len(left) > 0 {
			t.Errorf("still there: %q", left)
		}
	})
}

func TestWhatWasMadeIsTakenAway(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(east, west *world, cancel func())
		want  string // in what is observed
	}{
		{"when a namespace is refused", func(_, west *world, _ func()) { west.refuse = "ours" }, "make namespace ours in west: forbidden"},
		{"when a pod is refused", func(_, west *world, _ func()) { west.refuse = "listen" }, "make pod ours/listen in west: forbidden"},
		{"when pods that ask are refused", func(_, west *world, _ func()) { west.refuse = "dial" }, "make pod ours/dial in west: forbidden"},
		{"when pods never run", func(_, west *world, _ func()) { west.lazy = true }, "pod ours/listen in west does not run after 1m0s"},
		{"when the person gives up", func(_, west *world, cancel func()) { west.lazy = true; time.AfterFunc(5*time.Second, cancel) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				east, west := newWorld(1, "10.2.1.7:8080", "10.2.0.2:10250"), newWorld(2, "10.1.1.7:8080", "10.1.0.2:10250")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				tt.spoil(east, west, cancel)
				ways, err := Measure(ctx, Side{Name: "east", API: east}, Side{Name: "west", API: west}, options())
				if tt.want == "" && !errors.Is(err, context.Canceled) || tt.want != "" && err != nil {
					t.Errorf("error = %v", err)
				}
				var observed []string
				for _, w := range ways {
					if w.Verdict != v1.Passed {
						observed = append(observed, w.Observed)
					}
					if w.Verdict == v1.Failed {
						t.Errorf("%s: failed, but it was never tried", w)
					}
				}
				if !strings.Contains(strings.Join(observed, "\n"), tt.want) {
					t.Errorf("observed %q, want %q", observed, tt.want)
				}
				if left := slices.Concat(east.left(t), west.left(t)); len(left) > 0 {
					t.Errorf("still there: %q", left)
				}
			})
		})
	}
}
