package memory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

// seed puts objects into a cluster, and fails the test if it can't.
func seed(t testing.TB, c *memory.Cluster, objects ...client.Object) {
	t.Helper()
	if err := c.Seed(objects...); err != nil {
		t.Fatal(err)
	}
}

func get[T client.Object](t testing.TB, c *memory.Cluster, namespace, name string, obj T) T {
	t.Helper()
	if err := c.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func scale(t testing.TB, c *memory.Cluster, name string, replicas int) {
	t.Helper()
	d := get(t, c, "shop", name, &appsv1.Deployment{})
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := c.Patch(context.Background(), d, patch); err != nil {
		t.Fatal(err)
	}
}

func podsOf(t testing.TB, c *memory.Cluster) (live, ending []corev1.Pod) {
	t.Helper()
	var list corev1.PodList
	if err := c.List(context.Background(), &list, client.InNamespace("shop")); err != nil {
		t.Fatal(err)
	}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			live = append(live, pod)
		} else {
			ending = append(ending, pod)
		}
	}
	return live, ending
}

func isReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func TestScalingDownStopsTheLeastUsefulPodsFirst(t *testing.T) {
	c, clock := newCluster(5)
	seed(t, c, deployment("shop", "web", 3))
	run(c, clock, 30*time.Second)
	old, _ := podsOf(t, c)
	scale(t, c, "web", 6)
	for ready := 0; ready < 4; { // until some of the new ones are Ready, but not all
		clock.SetTime(c.Tick())
		ready = c.ReadyPods("shop", nil)
	}
	c.Tick()
	scale(t, c, "web", 3)
	c.Tick()
	left, ending := podsOf(t, c)
	if len(left) != 3 || len(ending) != 3 {
		t.Fatalf("%d pods are left and %d end, want 3 and 3", len(left), len(ending))
	}
	for _, pod := range left {
		if !isReady(pod) {
			t.Errorf("%s is kept though it is not ready", pod.Name)
		}
		if !slices.ContainsFunc(old, func(p corev1.Pod) bool { return p.UID == pod.UID }) {
			t.Errorf("%s is kept though an older one could be", pod.Name)
		}
	}
}

func TestRolloutStaysWithinItsBounds(t *testing.T) {
	c, clock := newCluster(6)
	d := deployment("shop", "web", 8)
	seed(t, c, d, service("shop", "web"))
	run(c, clock, 40*time.Second)
	live := get(t, c, "shop", "web", &appsv1.Deployment{})
	live.Spec.Template.Spec.Containers[0].Image = "app:2"
	if err := c.Update(context.Background(), live); err != nil {
		t.Fatal(err)
	}
	for end := clock.Now().Add(5 * time.Minute); clock.Now().Before(end); {
		due := c.Tick()
		pods, _ := podsOf(t, c)
		if ready := c.ReadyPods("shop", nil); ready < 6 || len(pods) > 10 {
			t.Fatalf("%d pods of which %d ready, want at most 10 and at least 6", len(pods), ready)
		}
		if due.IsZero() {
			break
		}
		clock.SetTime(due)
	}
	pods, _ := podsOf(t, c)
	for _, pod := range pods {
		if pod.Spec.Containers[0].Image != "app:2" {
			t.Errorf("%s still runs %s", pod.Name, pod.Spec.Containers[0].Image)
		}
	}
	live = get(t, c, "shop", "web", live)
	if live.Annotations["deployment.kubernetes.io/revision"] != "2" || live.Status.UpdatedReplicas != 8 || len(pods) != 8 {
		t.Errorf("revision %s with %+v, want revision 2 rolled out", live.Annotations["deployment.kubernetes.io/revision"], live.Status)
	}
}

// TestReadyEndpointsAnswer is what makes a scale-down lossless: while its grace is
// long enough, no address is told as ready that would refuse a connection.
func TestReadyEndpointsAnswer(t *testing.T) {
	for seedNumber := range uint64(20) {
		c, clock := newCluster(seedNumber)
		seed(t, c, deployment("shop", "web", 6), service("shop", "web"))
		run(c, clock, 30*time.Second)
		scale(t, c, "web", 1)
		terminating := false
		for end := clock.Now().Add(time.Minute); clock.Now().Before(end); clock.SetTime(clock.Now().Add(100 * time.Millisecond)) {
			c.Tick()
			for _, e := range c.Endpoints(types.NamespacedName{Namespace: "shop", Name: "web"}) {
				terminating = terminating || e.Terminating
				if e.Ready && !c.Answers(e.Address) {
					t.Fatalf("seed %d: %s is told as ready and does not answer", seedNumber, e.Address)
				}
			}
		}
		live, ending := podsOf(t, c)
		if len(live) != 1 || len(ending) != 0 || !terminating {
			t.Errorf("seed %d: %d pods, %d ending, terminating seen: %v, want 1, 0, true", seedNumber, len(live), len(ending), terminating)
		}
	}
}

func TestNeverReady(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(start)
	c := memory.New(memory.Options{Name: "source", Number: 1, Clock: clock, Start: func(pod *corev1.Pod) (time.Duration, bool) {
		return time.Second, !strings.HasPrefix(pod.Name, "bad")
	}})
	seed(t, c, deployment("shop", "bad", 1), deployment("shop", "good", 1))
	run(c, clock, time.Minute)
	if bad, good := c.ReadyPods("shop", map[string]string{"app": "bad"}), c.ReadyPods("shop", map[string]string{"app": "good"}); bad != 0 || good != 1 {
		t.Errorf("%d bad and %d good pods are ready, want 0 and 1", bad, good)
	}
}

func TestStatefulSetGoesInOrder(t *testing.T) {
	c, clock := newCluster(2)
	labels := map[string]string{"app": "db"}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(3)), ServiceName: "db", Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "db:1"}}}},
		},
	}
	seed(t, c, set)
	for end := clock.Now().Add(2 * time.Minute); clock.Now().Before(end); clock.SetTime(clock.Now().Add(500 * time.Millisecond)) {
		c.Tick()
		live, _ := podsOf(t, c)
		for i, pod := range live {
			if pod.Name != fmt.Sprintf("db-%d", i) || i > 0 && !isReady(live[i-1]) {
				t.Fatalf("pod %d is %s while its predecessor's readiness is %v", i, pod.Name, i == 0 || isReady(live[i-1]))
			}
		}
	}
	got := get(t, c, "shop", "db", &appsv1.StatefulSet{})
	if got.Status.ReadyReplicas != 3 || got.Status.ObservedGeneration != got.Generation {
		t.Errorf("status %+v, want 3 ready", got.Status)
	}
	got.Spec.Replicas = new(int32(1))
	if err := c.Update(context.Background(), got); err != nil {
		t.Fatal(err)
	}
	c.Tick()
	if live, ending := podsOf(t, c); len(ending) != 1 || ending[0].Name != "db-2" || len(live) != 2 {
		t.Errorf("%d live pods and %d ending, want db-2 to go first", len(live), len(ending))
	}
	run(c, clock, time.Minute)
	if live, _ := podsOf(t, c); len(live) != 1 || live[0].Name != "db-0" {
		t.Errorf("%d pods are left, want db-0", len(live))
	}
}

func TestAutoscalerIsInertAtZero(t *testing.T) {
	c, clock := newCluster(3)
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			MinReplicas:    new(int32(4)), MaxReplicas: 6,
		},
	}
	seed(t, c, deployment("shop", "web", 0), h)
	for _, step := range []struct{ set, want int32 }{{0, 0}, {1, 4}, {9, 6}, {5, 5}, {0, 0}} {
		scale(t, c, "web", int(step.set))
		run(c, clock, time.Minute)
		if got := *get(t, c, "shop", "web", &appsv1.Deployment{}).Spec.Replicas; got != step.want {
			t.Errorf("set to %d, scaled to %d, want %d", step.set, got, step.want)
		}
	}
}

func TestEntryPointsGetAddressesLater(t *testing.T) {
	c, clock := newCluster(4)
	for i := range 3 {
		s := service("shop", fmt.Sprintf("entry-%d", i))
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		seed(t, c, s)
	}
	seed(t, c, &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	addresses := func() (found []string) {
		for i := range 3 {
			for _, in := range get(t, c, "shop", fmt.Sprintf("entry-%d", i), &corev1.Service{}).Status.LoadBalancer.Ingress {
				found = append(found, in.IP)
			}
		}
		for _, in := range get(t, c, "shop", "web", &networkingv1.Ingress{}).Status.LoadBalancer.Ingress {
			found = append(found, in.IP)
		}
		return found
	}
	run(c, clock, 4900*time.Millisecond)
	if got := addresses(); len(got) != 0 {
		t.Errorf("addresses %v before 5 s, want none", got)
	}
	run(c, clock, 30*time.Second)
	got := addresses()
	slices.Sort(got)
	if want := []string{"10.1.240.1", "10.1.240.2", "10.1.240.3", "10.1.240.4"}; !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
}

func TestOwnedObjectsGoDownToThePods(t *testing.T) {
	c, clock := newCluster(8)
	seed(t, c, deployment("shop", "web", 2), service("shop", "web"))
	run(c, clock, 30*time.Second)
	ctx := context.Background()
	for _, obj := range []client.Object{
		get(t, c, "shop", "web", &appsv1.Deployment{}), get(t, c, "shop", "web", &corev1.Service{}),
	} {
		if err := c.Delete(ctx, obj, client.Preconditions{UID: new(obj.GetUID())}); err != nil {
			t.Fatal(err)
		}
	}
	run(c, clock, time.Minute)
	for _, list := range []client.ObjectList{&appsv1.ReplicaSetList{}, &corev1.PodList{}, &discoveryv1.EndpointSliceList{}} {
		if err := c.List(ctx, list, client.InNamespace("shop")); err != nil {
			t.Fatal(err)
		}
		if n := itemsIn(list); n != 0 {
			t.Errorf("%d items are left in a %T, want none", n, list)
		}
	}
}

func itemsIn(list client.ObjectList) int {
	switch l := list.(type) {
	case *appsv1.ReplicaSetList:
		return len(l.Items)
	case *corev1.PodList:
		return len(l.Items)
	case *discoveryv1.EndpointSliceList:
		return len(l.Items)
	}
	return -1
}

// TestPoliciesBindControllersToo: a freeze that forgets them stops rollouts.
func TestPoliciesBindControllersToo(t *testing.T) {
	c, clock := newCluster(9)
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "stop"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.OperationAll},
				Rule:       admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			}}}},
			MatchConditions: []admissionv1.MatchCondition{{Name: "not-engine", Expression: "!('system:serviceaccounts:crossfade-system' in request.userInfo.groups)"}},
			Validations:     []admissionv1.Validation{{Expression: "false", Message: "closed"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "stop"},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "stop", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	seed(t, c, deployment("shop", "web", 0))
	run(c, clock, 10*time.Second)
	seed(t, c, policy, binding)
	run(c, clock, time.Second)
	scale(t, c, "web", 2)
	run(c, clock, time.Minute)
	if live, _ := podsOf(t, c); len(live) != 0 {
		t.Errorf("%d pods were made though controllers are refused", len(live))
	}
	if err := c.Delete(context.Background(), get(t, c, "", "stop", &admissionv1.ValidatingAdmissionPolicyBinding{})); err != nil {
		t.Fatal(err)
	}
	run(c, clock, time.Minute)
	if n := c.ReadyPods("shop", nil); n != 2 {
		t.Errorf("%d pods are ready after the freeze, want 2", n)
	}
}
