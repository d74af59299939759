package memory_test

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkFrozen is what a write costs that a policy looks at and lets through.
func BenchmarkFrozen(b *testing.B) {
	c, pass := estate(b)
	seed(b, c, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "freeze"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.OperationAll},
				Rule:       admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			}}}},
			MatchConditions: []admissionv1.MatchCondition{
				{Name: "not-a-controller", Expression: "!('system:serviceaccounts:kube-system' in request.userInfo.groups)"},
				{Name: "not-a-node", Expression: "!('system:nodes' in request.userInfo.groups)"},
				{Name: "not-the-engine", Expression: "request.userInfo.username != 'system:serviceaccount:crossfade-system:crossfade'"},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "closed"}},
		},
	}, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "freeze"},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "freeze", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	})
	pass(time.Second)
	d := get(b, c, "team-0", "app-0", &appsv1.Deployment{})
	for b.Loop() {
		d.Spec.Replicas = new(1 + *d.Spec.Replicas%9)
		if err := c.Update(context.Background(), d); err != nil {
			b.Fatal(err)
		}
	}
}
