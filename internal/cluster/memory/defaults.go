package memory

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// setDefaults completes obj as an API server does, for the fields that workloads
// and their friends commonly leave out. Old is nil for a creation.
func (c *Cluster) setDefaults(obj, old Object) {
	switch o := obj.(type) {
	case *corev1.Namespace:
		defaultNamespace(o, old == nil)
	case *appsv1.Deployment:
		defaultDeployment(&o.Spec)
	case *appsv1.StatefulSet:
		defaultStatefulSet(&o.Spec)
	case *appsv1.DaemonSet:
		preset(&o.Spec.RevisionHistoryLimit, 10)
		presetWord(&o.Spec.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		preset(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *batchv1.CronJob:
		preset(&o.Spec.Suspend, false)
		presetWord(&o.Spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
		defaultPod(&o.Spec.JobTemplate.Spec.Template.Spec)
	case *batchv1.Job:
		preset(&o.Spec.Suspend, false)
		defaultPod(&o.Spec.Template.Spec)
	case *autoscalingv2.HorizontalPodAutoscaler:
		preset(&o.Spec.MinReplicas, 1)
	case *corev1.Pod:
		defaultPod(&o.Spec)
		if old == nil {
			o.Status.Phase = corev1.PodPending
		}
	case *corev1.PersistentVolumeClaim:
		if old == nil {
			o.Status.Phase = corev1.ClaimPending
		}
	case *corev1.Secret:
		presetWord(&o.Type, corev1.SecretTypeOpaque)
		for key, value := range o.StringData {
			if o.Data == nil {
				o.Data = map[string][]byte{}
			}
			o.Data[key] = []byte(value)
		}
		o.StringData = nil
	case *corev1.Service:
		was, _ := old.(*corev1.Service)
		defaultService(o, was)
	case *discoveryv1.EndpointSlice:
		for i := range o.Ports {
			preset(&o.Ports[i].Protocol, corev1.ProtocolTCP)
			preset(&o.Ports[i].Name, "")
		}
	case *networkingv1.NetworkPolicy:
		if len(o.Spec.PolicyTypes) == 0 {
			o.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}
	case *rbacv1.RoleBinding:
		presetWord(&o.RoleRef.APIGroup, rbacv1.GroupName)
	case *rbacv1.ClusterRoleBinding:
		presetWord(&o.RoleRef.APIGroup, rbacv1.GroupName)
	}
}

func preset[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func presetWord[T comparable](field *T, value T) {
	var empty T
	if *field == empty {
		*field = value
	}
}

func defaultNamespace(ns *corev1.Namespace, created bool) {
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[corev1.LabelMetadataName] = ns.Name
	if created {
		ns.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
		ns.Status.Phase = corev1.NamespaceActive
	}
}

func defaultDeployment(spec *appsv1.DeploymentSpec) {
	preset(&spec.Replicas, 1)
	preset(&spec.RevisionHistoryLimit, 10)
	preset(&spec.ProgressDeadlineSeconds, 600)
	presetWord(&spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		preset(&spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		preset(&spec.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		preset(&spec.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	defaultPod(&spec.Template.Spec)
}

func defaultStatefulSet(spec *appsv1.StatefulSetSpec) {
	preset(&spec.Replicas, 1)
	preset(&spec.RevisionHistoryLimit, 10)
	presetWord(&spec.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	presetWord(&spec.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		preset(&spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		preset(&spec.UpdateStrategy.RollingUpdate.Partition, 0)
	}
	defaultPod(&spec.Template.Spec)
}

func defaultPod(spec *corev1.PodSpec) {
	presetWord(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	presetWord(&spec.DNSPolicy, corev1.DNSClusterFirst)
	presetWord(&spec.SchedulerName, corev1.DefaultSchedulerName)
	preset(&spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	preset(&spec.SecurityContext, corev1.PodSecurityContext{})
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			presetWord(&containers[i].TerminationMessagePath, corev1.TerminationMessagePathDefault)
			presetWord(&containers[i].TerminationMessagePolicy, corev1.TerminationMessageReadFile)
			presetWord(&containers[i].ImagePullPolicy, corev1.PullIfNotPresent)
			for j := range containers[i].Ports {
				presetWord(&containers[i].Ports[j].Protocol, corev1.ProtocolTCP)
			}
		}
	}
}

// defaultService also keeps what the cluster allocated, where an update leaves it out.
func defaultService(s, old *corev1.Service) {
	presetWord(&s.Spec.Type, corev1.ServiceTypeClusterIP)
	presetWord(&s.Spec.SessionAffinity, corev1.ServiceAffinityNone)
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		presetWord(&p.Protocol, corev1.ProtocolTCP)
		presetWord(&p.TargetPort, intstr.FromInt32(p.Port))
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	preset(&s.Spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	preset(&s.Spec.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
	if s.Spec.IPFamilies == nil {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	if outside(s) {
		presetWord(&s.Spec.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		preset(&s.Spec.AllocateLoadBalancerNodePorts, true)
	}
	if old == nil || old.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	presetWord(&s.Spec.ClusterIP, old.Spec.ClusterIP)
	if s.Spec.ClusterIPs == nil {
		s.Spec.ClusterIPs = old.Spec.ClusterIPs
	}
	for i := range s.Spec.Ports {
		for _, was := range old.Spec.Ports {
			if outside(s) && was.Port == s.Spec.Ports[i].Port && was.Protocol == s.Spec.Ports[i].Protocol {
				presetWord(&s.Spec.Ports[i].NodePort, was.NodePort)
			}
		}
	}
}

// outside is true of a Service that has node ports.
func outside(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// replicasOf returns spec.replicas; nil for kinds without it.
func replicasOf(obj Object) *int32 {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return o.Spec.Replicas
	case *appsv1.StatefulSet:
		return o.Spec.Replicas
	case *appsv1.ReplicaSet:
		return o.Spec.Replicas
	}
	return nil
}

func setReplicas(obj Object, n int32) {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		o.Spec.Replicas = &n
	case *appsv1.StatefulSet:
		o.Spec.Replicas = &n
	case *appsv1.ReplicaSet:
		o.Spec.Replicas = &n
	}
}

// graceOf is how many seconds a pod is given to end.
func graceOf(pod *corev1.Pod, asked *int64) int64 {
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return 0
	}
	return ptr.Deref(asked, ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds))
}

func secondsOf(n int64) time.Duration { return time.Duration(n) * time.Second }

func owner(obj Object, k *kind) metav1.OwnerReference {
	return *metav1.NewControllerRef(obj, k.GroupVersionKind)
}
