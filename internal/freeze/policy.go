package freeze

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// systemUsers and systemGroups are Kubernetes itself. A controller manager without
// accounts of its own for each controller writes as the first of the users.
var (
	systemUsers = []string{
		"system:kube-controller-manager",
		"system:cloud-controller-manager",
		"system:kube-scheduler",
		"system:apiserver",
	}
	systemGroups = []string{
		"system:nodes",
		"system:serviceaccounts:kube-system",
	}
)

// untouched is what clusters keep for themselves, or what a person may need to do
// to a node while teams' changes are refused. Rules are by group and resources.
var untouched = []struct {
	group     string
	resources []string
}{
	{"", []string{"events", "endpoints", "bindings", "componentstatuses", "nodes", "persistentvolumes"}},
	{"events.k8s.io", []string{"*"}},
	{"coordination.k8s.io", []string{"*"}},
	{"discovery.k8s.io", []string{"*"}},
	{"authentication.k8s.io", []string{"*"}},
	{"authorization.k8s.io", []string{"*"}},
	{"certificates.k8s.io", []string{"*"}},
	{"flowcontrol.apiserver.k8s.io", []string{"*"}},
	{"internal.apiserver.k8s.io", []string{"*"}},
	{"storagemigration.k8s.io", []string{"*"}},
	{"storage.k8s.io", []string{"volumeattachments", "csinodes", "csistoragecapacities"}},
	{"networking.k8s.io", []string{"ipaddresses", "servicecidrs"}},
	{"resource.k8s.io", []string{"resourceslices"}},
	{"crossfade.dev", []string{"*"}},
}

// nameOf is the name of policy and binding; a cluster may be part of two migrations.
func nameOf(migration string) string { return "crossfade-freeze-" + migration }

// policy spells out what the API server would fill in, so that what stands can be
// compared with what is wanted.
func policy(n Notice) *admissionv1.ValidatingAdmissionPolicy {
	return &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metadata(n),
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			// An expression that cannot be evaluated refuses.
			FailurePolicy: new(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				MatchPolicy:          new(admissionv1.Equivalent),
				NamespaceSelector:    namespaces(n),
				ObjectSelector:       &metav1.LabelSelector{},
				ResourceRules:        []admissionv1.NamedRuleWithOperations{rule("*", "*", "*/scale")},
				ExcludeResourceRules: exclusions(),
			},
			MatchConditions: conditions(n),
			Validations: []admissionv1.Validation{{
				Expression: "false",
				Message:    n.Sentence(),
				Reason:     new(metav1.StatusReasonForbidden),
			}},
		},
	}
}

func binding(n Notice) *admissionv1.ValidatingAdmissionPolicyBinding {
	return &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metadata(n),
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        nameOf(n.Migration),
			ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
}

func metadata(n Notice) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:   nameOf(n.Migration),
		Labels: map[string]string{managedByLabel: managedBy, sideLabel: string(n.Side)},
		Annotations: map[string]string{
			migrationAnnotation: n.Migration,
			sinceAnnotation:     n.Since.UTC().Format(time.RFC3339Nano),
			sentenceAnnotation:  n.Sentence(),
		},
	}
}

// namespaces selects the estate by the label that every Namespace carries. A
// Namespace object is judged by its own labels, and everything else that has no
// namespace is always selected.
func namespaces(n Notice) *metav1.LabelSelector {
	by := metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: slices.Sorted(slices.Values(n.Namespaces))}
	if len(n.Namespaces) == 0 {
		by.Operator = metav1.LabelSelectorOpNotIn
		by.Values = slices.Sorted(slices.Values(append([]string{"kube-system", "kube-public", "kube-node-lease"}, n.Except...)))
	}
	by.Values = slices.Compact(by.Values)
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{by}}
}

// rule is about objects' creation, change and deletion; connecting to a pod (exec,
// logs, port-forward, proxy) changes nothing that is copied.
func rule(group string, resources ...string) admissionv1.NamedRuleWithOperations {
	return admissionv1.NamedRuleWithOperations{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete},
		Rule: admissionv1.Rule{
			APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: resources,
			Scope: new(admissionv1.AllScopes),
		},
	}}
}

func exclusions() []admissionv1.NamedRuleWithOperations {
	var out []admissionv1.NamedRuleWithOperations
	for _, kind := range untouched {
		out = append(out, rule(kind.group, kind.resources...))
	}
	return out
}

// conditions are what must hold for a write to be refused: nobody who is exempt
// asks, and it does not concern the cluster's own namespaces.
func conditions(n Notice) []admissionv1.MatchCondition {
	users := append(slices.Clone(systemUsers), n.Exempt...)
	groups := append(slices.Clone(systemGroups), n.ExemptGroups...)
	out := []admissionv1.MatchCondition{
		{Name: "not-an-exempt-user", Expression: "!(request.userInfo.username in " + list(users) + ")"},
		{Name: "not-of-an-exempt-group", Expression: "!has(request.userInfo.groups) || !request.userInfo.groups.exists(g, g in " + list(groups) + ")"},
	}
	if len(n.Namespaces) == 0 {
		out = append(out, admissionv1.MatchCondition{
			Name:       "not-of-the-cluster-itself",
			Expression: "!has(request.namespace) || !request.namespace.startsWith('kube-')",
		})
	}
	return out
}

// list writes strings as a CEL list, in order.
func list(words []string) string {
	words = slices.Compact(slices.Sorted(slices.Values(words)))
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.QuoteToASCII(word)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func samePolicy(have, want *admissionv1.ValidatingAdmissionPolicy) bool {
	// Mostly nothing differs, and that is told faster without regard to empty lists.
	return reflect.DeepEqual(&have.Spec, &want.Spec) || equality.Semantic.DeepEqual(have.Spec, want.Spec)
}

func sameBinding(have, want *admissionv1.ValidatingAdmissionPolicyBinding) bool {
	return equality.Semantic.DeepEqual(have.Spec, want.Spec)
}
