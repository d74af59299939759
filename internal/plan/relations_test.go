package plan

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRelationsOfAWorkload(t *testing.T) {
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }
	cart := deployment("cart", func(d *appsv1.Deployment) {
		d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argocd-controller"}, {Manager: "kube-controller-manager"}}
		c := &d.Spec.Template.Spec.Containers[0]
		c.Env = []corev1.EnvVar{
			{Name: "PAY_URL", Value: "http://pay.money:8080/v1"}, {Name: "STOCK_ADDR", Value: "stock:9000"}, {Name: "GREETING", Value: "welcome to stock"},
			{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "token"}}}},
		}
		c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
	})
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: in("cart")}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "cart"}
	o := Objects{
		Deployments: []*appsv1.Deployment{cart}, Autoscalers: []*autoscalingv2.HorizontalPodAutoscaler{hpa},
		Services: []*corev1.Service{
			service("cart"), service("stock"), service("mail"),
			{ObjectMeta: metav1.ObjectMeta{Namespace: "money", Name: "pay"}},
		},
		ConfigMaps: []*corev1.ConfigMap{{ObjectMeta: in("settings"), Data: map[string]string{"MAIL": "mail.shop.svc.cluster.local:25"}}},
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"example.com/team": "north"}}}},
		Ingresses: []*netv1.Ingress{{ObjectMeta: in("front"), Spec: netv1.IngressSpec{
			DefaultBackend: &netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: "cart"}}}}},
	}
	estate := Inventory(o, nil)
	estate.Relate(o)
	got := estate.Apps[0].Workloads[0].Relations
	for what, list := range map[string]struct {
		have []Relation
		want []string
	}{
		"needs":   {got.Needs, []string{"ConfigMap shop/settings", "Secret shop/token"}},
		"reached": {got.Reached, []string{"Ingress shop/front", "Service shop/cart"}},
		"calls":   {got.Calls, []string{"Service money/pay", "Service shop/mail", "Service shop/stock"}},
		"scaling": {got.Scaling, []string{"HorizontalPodAutoscaler shop/cart"}},
	} {
		if len(list.have) != len(list.want) {
			t.Errorf("%s = %+v, want %v", what, list.have, list.want)
			continue
		}
		for i, r := range list.have {
			if s := r.Kind + " " + r.Namespace + "/" + r.Name; s != list.want[i] {
				t.Errorf("%s[%d] = %s, want %s", what, i, s, list.want[i])
			}
		}
	}
	if got.Tenant != "north" || len(got.Deployers) != 1 || got.Deployers[0] != "Argo CD" {
		t.Errorf("tenant %q, deployers %q; want north and Argo CD", got.Tenant, got.Deployers)
	}
	if estate.Relate(o, "cost-centre"); estate.Apps[0].Workloads[0].Tenant != "" {
		t.Error("a tenant was read from a label that was not asked for")
	}
}
