package sim

import (
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

// A sight is one cluster as its changes show it, kept so that looking costs nothing.
// The objects are the cluster's own and must not be changed.
type sight struct {
	deployments map[client.ObjectKey]*appsv1.Deployment
	autoscalers map[client.ObjectKey]*autoscalingv2.HorizontalPodAutoscaler
	services    map[client.ObjectKey]*corev1.Service
	ingresses   map[client.ObjectKey]*networkingv1.Ingress
	// slices are by Service, then by name.
	slices map[client.ObjectKey]map[string]*discoveryv1.EndpointSlice
	// ready counts, by app, the pods that are ready and were not told to stop.
	ready map[client.ObjectKey]int32
	pods  map[client.ObjectKey]int32
	// leaving counts, by app, the pods that were told to stop and are still there.
	leaving map[client.ObjectKey]int32
	// awake are the CronJobs that are not suspended.
	awake map[client.ObjectKey]bool
	// dirty are the apps of which anything changed since they were last checked; ruled
	// is true if what admission refuses changed.
	dirty map[client.ObjectKey]bool
	ruled bool
	// falls are when pods that were told to stop cease to answer, in order: nothing
	// tells of it.
	falls []fall
}

func newSight() *sight {
	return &sight{
		deployments: map[client.ObjectKey]*appsv1.Deployment{}, autoscalers: map[client.ObjectKey]*autoscalingv2.HorizontalPodAutoscaler{},
		services: map[client.ObjectKey]*corev1.Service{}, ingresses: map[client.ObjectKey]*networkingv1.Ingress{},
		slices: map[client.ObjectKey]map[string]*discoveryv1.EndpointSlice{},
		ready:  map[client.ObjectKey]int32{}, pods: map[client.ObjectKey]int32{}, leaving: map[client.ObjectKey]int32{},
		awake: map[client.ObjectKey]bool{}, dirty: map[client.ObjectKey]bool{},
	}
}

// see takes up one change.
func (s *sight) see(c memory.Change) {
	obj := c.New
	if obj == nil {
		obj = c.Old
	}
	key := client.ObjectKeyFromObject(obj)
	switch obj := obj.(type) {
	case *appsv1.Deployment:
		keep(s.deployments, key, obj, c.New != nil)
	case *autoscalingv2.HorizontalPodAutoscaler:
		keep(s.autoscalers, key, obj, c.New != nil)
	case *corev1.Service:
		keep(s.services, key, obj, c.New != nil)
	case *networkingv1.Ingress:
		keep(s.ingresses, key, obj, c.New != nil)
	case *discoveryv1.EndpointSlice:
		service := client.ObjectKey{Namespace: obj.Namespace, Name: obj.Labels[discoveryv1.LabelServiceName]}
		if s.slices[service] == nil {
			s.slices[service] = map[string]*discoveryv1.EndpointSlice{}
		}
		keep(s.slices[service], obj.Name, obj, c.New != nil)
		key = service
	case *corev1.Pod:
		key = client.ObjectKey{Namespace: obj.Namespace, Name: obj.Labels["app"]}
		was, _ := c.Old.(*corev1.Pod)
		is, _ := c.New.(*corev1.Pod)
		s.ready[key] += counts(is) - counts(was)
		s.pods[key] += exists(is) - exists(was)
		if s.leaving[key] += leaves(is) - leaves(was); s.leaving[key] == 0 {
			delete(s.leaving, key)
		}
		if leaves(is) > leaves(was) {
			s.falls = append(s.falls, fall{is.DeletionTimestamp.Add(lingers - time.Duration(*is.DeletionGracePeriodSeconds)*time.Second), key})
		}
	case *batchv1.CronJob:
		keep(s.awake, key, true, c.New != nil && !ptr.Deref(obj.Spec.Suspend, false))
	case *admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding:
		s.ruled = true
		return
	default:
		return
	}
	s.dirty[key] = true
}

func keep[K comparable, V any](m map[K]V, key K, value V, there bool) {
	if there {
		m[key] = value
	} else {
		delete(m, key)
	}
}

func counts(pod *corev1.Pod) int32 {
	if pod == nil || pod.DeletionTimestamp != nil {
		return 0
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return 1
		}
	}
	return 0
}

func exists(pod *corev1.Pod) int32 {
	if pod == nil {
		return 0
	}
	return 1
}

// A fall is when a pod of an app ceases to answer.
type fall struct {
	at  time.Time
	app client.ObjectKey
}

// lingers is how long pods go on answering after they were told to stop.
const lingers = 10 * time.Second

// fell takes the falls that have come.
func (s *sight) fell(now time.Time) (apps []client.ObjectKey) {
	for len(s.falls) > 0 && !now.Before(s.falls[0].at) {
		apps = append(apps, s.falls[0].app)
		s.falls = s.falls[1:]
	}
	return apps
}

func leaves(pod *corev1.Pod) int32 {
	if pod == nil || pod.DeletionTimestamp == nil {
		return 0
	}
	return 1
}

// told is how many replicas the side is told to run, 0 if there is no such thing.
func (s *sight) told(key client.ObjectKey) int32 {
	if d := s.deployments[key]; d != nil {
		return ptr.Deref(d.Spec.Replicas, 1)
	}
	return 0
}

// addresses are the ready ones of a Service, over all slices.
func (s *sight) addresses(service client.ObjectKey) []string {
	var out []string
	for _, slice := range s.slices[service] {
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				out = append(out, e.Addresses...)
			}
		}
	}
	return out
}

// entry is the address of the app's public entry on this side, "" if it has none.
func (s *sight) entry(a *app) string {
	if a.balanced {
		if svc := s.services[a.key()]; svc != nil {
			for _, in := range svc.Status.LoadBalancer.Ingress {
				return in.IP
			}
		}
		return ""
	}
	if i := s.ingresses[a.key()]; i != nil {
		for _, in := range i.Status.LoadBalancer.Ingress {
			return in.IP
		}
	}
	return ""
}

// telling is true of changes that a reader of the trace wants to see.
func telling(c memory.Change) bool {
	if c.Cluster == "hub" {
		return false
	}
	switch c.Kind.Kind {
	case "Lease", "Pod", "ReplicaSet":
		return false
	}
	return c.User == engineUser || len(c.User) > 4 && c.User[:5] == "team-" || c.User == autoscalerUser
}

const autoscalerUser = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

// detail says what changed, for the kinds of which it matters.
func detail(c *memory.Change) string {
	switch is := c.New.(type) {
	case *appsv1.Deployment:
		was, _ := c.Old.(*appsv1.Deployment)
		if was == nil {
			return fmt.Sprintf(" replicas %d", *is.Spec.Replicas)
		}
		return fmt.Sprintf(" replicas %d -> %d (ready %d)", *was.Spec.Replicas, *is.Spec.Replicas, is.Status.ReadyReplicas)
	case *autoscalingv2.HorizontalPodAutoscaler:
		was, _ := c.Old.(*autoscalingv2.HorizontalPodAutoscaler)
		if was == nil {
			return fmt.Sprintf(" min %d", ptr.Deref(is.Spec.MinReplicas, 1))
		}
		return fmt.Sprintf(" min %d -> %d", ptr.Deref(was.Spec.MinReplicas, 1), ptr.Deref(is.Spec.MinReplicas, 1))
	case *discoveryv1.EndpointSlice:
		ready := 0
		for _, e := range is.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				ready++
			}
		}
		return fmt.Sprintf(" %d of %d ready", ready, len(is.Endpoints))
	}
	return ""
}
