package estate

import (
	"encoding/base64"
	"fmt"
	"maps"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	platform      = "streaming-platform"
	unitLabel     = "platform.example.com/business-unit"
	teamLabel     = "platform.example.com/team"
	partOf        = "app.kubernetes.io/part-of"
	hostnameNote  = "external-dns.alpha.kubernetes.io/hostname"
	quotaHolder   = "billing" // the one namespace with a quota
	namespaceName = "kubernetes.io/metadata.name"
)

// surroundings are what apps stand in together: their namespaces, and what
// belongs to no single one.
func surroundings(apps []app) []runtime.Object {
	var objects []runtime.Object
	seen := map[string]bool{}
	for _, a := range apps {
		if a.has(critical) && !seen[priorityClass] {
			seen[priorityClass] = true
			objects = append(objects, &schedulingv1.PriorityClass{
				TypeMeta:    kind("scheduling.k8s.io/v1", "PriorityClass"),
				ObjectMeta:  metav1.ObjectMeta{Name: priorityClass, Labels: map[string]string{partOf: platform}},
				Value:       100000,
				Description: "What viewers notice within a second.",
			})
		}
		if seen[a.namespace] {
			continue
		}
		seen[a.namespace] = true
		objects = append(objects, &corev1.Namespace{
			TypeMeta: kind("v1", "Namespace"),
			ObjectMeta: metav1.ObjectMeta{Name: a.namespace, Labels: map[string]string{
				partOf: platform, unitLabel: a.unit, teamLabel: a.team,
			}},
		})
		if a.namespace == quotaHolder {
			objects = append(objects, quota(a.namespace)...)
		}
	}
	return objects
}

func quota(namespace string) []runtime.Object {
	quantities := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse(cpu),
			corev1.ResourceMemory: resource.MustParse(memory),
		}
	}
	hard := corev1.ResourceList{
		corev1.ResourceRequestsCPU:    resource.MustParse("4"),
		corev1.ResourceRequestsMemory: resource.MustParse("8Gi"),
		corev1.ResourcePods:           resource.MustParse("60"),
	}
	return []runtime.Object{
		&corev1.ResourceQuota{
			TypeMeta:   kind("v1", "ResourceQuota"),
			ObjectMeta: metav1.ObjectMeta{Name: "team", Namespace: namespace},
			Spec:       corev1.ResourceQuotaSpec{Hard: hard},
		},
		&corev1.LimitRange{
			TypeMeta:   kind("v1", "LimitRange"),
			ObjectMeta: metav1.ObjectMeta{Name: "defaults", Namespace: namespace},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type:           corev1.LimitTypeContainer,
				Default:        quantities("500m", "256Mi"),
				DefaultRequest: quantities("10m", "16Mi"),
			}}},
		},
	}
}

// access is who a's pods are, and what they may read.
func (a *app) access() []runtime.Object {
	if !a.has(accounted) {
		return nil
	}
	account := &corev1.ServiceAccount{TypeMeta: kind("v1", "ServiceAccount"), ObjectMeta: a.meta(a.name)}
	if a.has(pullsPrivate) {
		account.ImagePullSecrets = []corev1.LocalObjectReference{{Name: registrySecret}}
	}
	objects := []runtime.Object{account}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: a.name, Namespace: a.namespace}}
	reads := func(kinds ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: kinds, Verbs: []string{"get", "list", "watch"}}}
	}
	if a.has(readsConfig) {
		name := a.name + "-reads-config"
		objects = append(objects,
			&rbacv1.Role{TypeMeta: kind("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: a.meta(name), Rules: reads("configmaps")},
			&rbacv1.RoleBinding{
				TypeMeta: kind("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: a.meta(name), Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			})
	}
	if a.has(readsNodes) {
		meta := a.meta(a.namespace + "-" + a.name)
		meta.Namespace = ""
		objects = append(objects,
			&rbacv1.ClusterRole{TypeMeta: kind("rbac.authorization.k8s.io/v1", "ClusterRole"), ObjectMeta: meta, Rules: reads("nodes", "pods")},
			&rbacv1.ClusterRoleBinding{
				TypeMeta: kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
			})
	}
	return objects
}

// settings are a's ConfigMaps and Secrets.
func (a *app) settings() []runtime.Object {
	var objects []runtime.Object
	if a.has(configured) {
		objects = append(objects, &corev1.ConfigMap{
			TypeMeta: kind("v1", "ConfigMap"), ObjectMeta: a.meta(a.name),
			Data: map[string]string{
				"LOG_LEVEL":  []string{"info", "warn", "debug"}[int(a.memoryMi)%3],
				"CACHE_SIZE": fmt.Sprintf("%dMi", a.memoryMi/2),
				"REGION":     "north",
			},
		})
	}
	if a.has(secretive) {
		objects = append(objects, &corev1.Secret{
			TypeMeta: kind("v1", "Secret"), ObjectMeta: a.meta(a.name), Type: corev1.SecretTypeOpaque,
			Data: map[string][]byte{"token": []byte(a.randomSecret)},
		})
	}
	if a.has(pullsPrivate) {
		credentials := base64.StdEncoding.EncodeToString([]byte("puller:" + a.randomSecret))
		config := fmt.Sprintf(`{"auths":{"registry.example.com":{"auth":%q}}}`, credentials)
		objects = append(objects, &corev1.Secret{
			TypeMeta: kind("v1", "Secret"), ObjectMeta: a.meta(registrySecret), Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
		})
	}
	return objects
}

func (a *app) services() []runtime.Object {
	if a.has(queueClient | daemonSet | cronJob | job) {
		return nil
	}
	number := int32(80)
	if a.port != 8080 || a.role == API {
		number = a.port
	}
	port := corev1.ServicePort{Name: a.portName(), Port: number, TargetPort: intstr.FromString(a.portName())}
	if a.has(grpc) {
		port.AppProtocol = new("kubernetes.io/h2c")
	}
	service := &corev1.Service{
		TypeMeta: kind("v1", "Service"), ObjectMeta: a.meta(a.name),
		Spec: corev1.ServiceSpec{Selector: a.selector(), Ports: []corev1.ServicePort{port}},
	}
	if a.has(balancer) {
		service.Spec.Type = corev1.ServiceTypeLoadBalancer
		service.Annotations = map[string]string{hostnameNote: a.host()}
	}
	if a.has(statefulSet) {
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
	objects := []runtime.Object{service}
	if a.has(peers) {
		headless := service.DeepCopy()
		headless.Name += "-peers"
		headless.Spec.ClusterIP = corev1.ClusterIPNone
		headless.Spec.Ports[0].Port = a.port
		objects = append(objects, headless)
	}
	if a.has(ingress) {
		objects = append(objects, a.ingress())
	}
	return objects
}

func (a *app) ingress() *networkingv1.Ingress {
	prefix := networkingv1.PathTypePrefix
	path := func(path, service string) networkingv1.HTTPIngressPath {
		return networkingv1.HTTPIngressPath{Path: path, PathType: &prefix, Backend: networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: "http"}},
		}}
	}
	rule := &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{path("/", a.name)}}
	if a.has(paths) {
		rule.Paths = append(rule.Paths, path("/manifest", "manifest"))
	}
	return &networkingv1.Ingress{
		TypeMeta: kind("networking.k8s.io/v1", "Ingress"), ObjectMeta: a.meta(a.name),
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: a.host(), IngressRuleValue: networkingv1.IngressRuleValue{HTTP: rule},
		}}},
	}
}

// policies are what bounds a from outside.
func (a *app) policies() []runtime.Object {
	var objects []runtime.Object
	if a.has(scaled) {
		objects = append(objects, &autoscalingv2.HorizontalPodAutoscaler{
			TypeMeta: kind("autoscaling/v2", "HorizontalPodAutoscaler"), ObjectMeta: a.meta(a.name),
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: a.name},
				MinReplicas:    new(max(1, a.replicas-1)),
				MaxReplicas:    a.replicas * 3,
				Metrics: []autoscalingv2.MetricSpec{{
					Type: autoscalingv2.ResourceMetricSourceType,
					Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(70)),
					}},
				}},
			},
		})
	}
	if a.has(disrupted) {
		objects = append(objects, &policyv1.PodDisruptionBudget{
			TypeMeta: kind("policy/v1", "PodDisruptionBudget"), ObjectMeta: a.meta(a.name),
			Spec: policyv1.PodDisruptionBudgetSpec{
				MaxUnavailable: new(intstr.FromInt32(1)),
				Selector:       &metav1.LabelSelector{MatchLabels: a.selector()},
			},
		})
	}
	if a.has(guarded) {
		objects = append(objects, a.networkPolicy())
	}
	return objects
}

// networkPolicy lets in the callers that a is meant for, by their namespaces.
func (a *app) networkPolicy() *networkingv1.NetworkPolicy {
	callers := []string{a.namespace, "edge"}
	if a.role == Store {
		callers = []string{a.namespace, "live"}
	}
	var from []networkingv1.NetworkPolicyPeer
	for _, namespace := range callers {
		from = append(from, networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{namespaceName: namespace}},
		})
	}
	port := intstr.FromInt32(a.port)
	return &networkingv1.NetworkPolicy{
		TypeMeta: kind("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: a.meta(a.name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: a.selector()},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: from, Ports: []networkingv1.NetworkPolicyPort{{Port: &port}}}},
		},
	}
}

func (a *app) host() string { return a.name + "." + a.zone }

func (a *app) selector() map[string]string {
	return map[string]string{"app.kubernetes.io/name": a.name, "app.kubernetes.io/instance": a.name}
}

func (a *app) labels() map[string]string {
	labels := maps.Clone(a.selector())
	labels["app.kubernetes.io/version"] = a.version
	labels[partOf] = platform
	return labels
}

func (a *app) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: a.namespace, Labels: a.labels()}
}

func kind(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}
