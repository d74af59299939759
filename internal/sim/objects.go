package sim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// objects are what a team has applied for an app.
func (a *app) objects() []client.Object {
	out := []client.Object{
		&corev1.ConfigMap{ObjectMeta: a.meta("-config"), Data: map[string]string{"level": "info"}},
		&corev1.Secret{ObjectMeta: a.meta("-secret"), Data: map[string][]byte{"token": []byte(a.name)}},
		&corev1.ServiceAccount{ObjectMeta: a.meta("")},
	}
	switch a.kind {
	case stateful:
		out = append(out, a.service(true), a.statefulSet())
	case scheduled:
		return append(out, a.cronJob())
	default:
		out = append(out, a.deployment())
		if a.kind != worker {
			out = append(out, a.service(false))
		}
	}
	if a.host != "" && !a.balanced {
		out = append(out, a.ingress())
	}
	if a.autoscaled {
		out = append(out, a.autoscaler())
	}
	if a.guarded {
		out = append(out, a.budget(), a.policy(), a.role(), a.binding())
	}
	return out
}

func (a *app) meta(suffix string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: a.namespace, Name: a.name + suffix, Labels: map[string]string{"app": a.name}}
}

func (a *app) template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": a.name}},
		Spec: corev1.PodSpec{
			ServiceAccountName: a.name,
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.test/" + a.name + ":1",
				Ports:   []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: a.name + "-config"}}}},
			}},
		},
	}
}

func (a *app) deployment() *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: a.meta(""), Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To(a.wanted), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": a.name}}, Template: a.template(),
	}}
	if a.kind == singleton {
		d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	}
	return d
}

func (a *app) statefulSet() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: a.meta(""), Spec: appsv1.StatefulSetSpec{
		Replicas: ptr.To(a.wanted), ServiceName: a.name,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": a.name}}, Template: a.template(),
	}}
}

func (a *app) cronJob() *batchv1.CronJob {
	template := a.template()
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.CronJob{ObjectMeta: a.meta(""), Spec: batchv1.CronJobSpec{
		Schedule: "*/10 * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
	}}
}

func (a *app) service(headless bool) *corev1.Service {
	s := &corev1.Service{ObjectMeta: a.meta(""), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": a.name},
		Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
	}}
	switch {
	case headless:
		s.Spec.ClusterIP = corev1.ClusterIPNone
	case a.balanced:
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
	}
	return s
}

func (a *app) ingress() *networkingv1.Ingress {
	return &networkingv1.Ingress{ObjectMeta: a.meta(""), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
		Host: a.host,
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
			Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix),
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: a.name, Port: networkingv1.ServiceBackendPort{Number: 80},
			}},
		}}}},
	}}}}
}

func (a *app) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: a.meta(""), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: a.name},
		MinReplicas:    ptr.To(a.minimum), MaxReplicas: a.minimum + 8,
	}}
}

func (a *app) budget() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: a.meta(""), Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": a.name}},
	}}
}

func (a *app) policy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: a.meta(""), Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": a.name}},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	}}
}

func (a *app) role() *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: a.meta(""), Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}}}}
}

func (a *app) binding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: a.meta(""), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: a.name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: a.namespace, Name: a.name}},
	}
}

// foreign are objects that other people had in the target before.
func foreign(namespace string) []client.Object {
	return []client.Object{
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}, Data: map[string]string{"owner": "somebody else"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}, Data: map[string][]byte{"owner": []byte("somebody else")}},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs", Labels: map[string]string{"app": "theirs"}},
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "theirs"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "theirs"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.test/theirs:1"}}},
				},
			},
		},
	}
}

func (a *app) String() string {
	return fmt.Sprintf("%s/%s (%s, %d wanted)", a.namespace, a.name, a.kind, a.wanted)
}
