package room

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Schedulable tells whether a node is one that a pod may go to: by its selector, its
// required affinity, and the node's taints.
func Schedulable(spec *corev1.PodSpec, n *corev1.Node) bool {
	return Selects(spec, n) && Tolerates(spec, n)
}

// Selects tells whether a node meets a pod's selector and required affinity. A label
// beta.kubernetes.io/os or arch is met by its successor: kubelets set both.
func Selects(spec *corev1.PodSpec, n *corev1.Node) bool {
	if len(spec.NodeSelector) == 0 && requiredAffinity(spec) == nil {
		return true
	}
	return selects(spec, n, labelsOf(n))
}

func selects(spec *corev1.PodSpec, n *corev1.Node, have labels.Set) bool {
	for k, v := range spec.NodeSelector {
		if have[k] != v {
			return false
		}
	}
	required := requiredAffinity(spec)
	return required == nil ||
		slices.ContainsFunc(required.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool { return termMet(t, n, have) })
}

func requiredAffinity(spec *corev1.PodSpec) *corev1.NodeSelector {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

func labelsOf(n *corev1.Node) map[string]string {
	out := map[string]string{}
	for old, now := range map[string]string{
		"beta.kubernetes.io/os": corev1.LabelOSStable, "beta.kubernetes.io/arch": corev1.LabelArchStable,
		"failure-domain.beta.kubernetes.io/zone": ZoneLabel, "beta.kubernetes.io/instance-type": corev1.LabelInstanceTypeStable,
	} {
		if v, ok := n.Labels[now]; ok {
			out[old] = v
		}
	}
	for k, v := range n.Labels {
		out[k] = v
	}
	return out
}

func termMet(t corev1.NodeSelectorTerm, n *corev1.Node, have labels.Set) bool {
	for _, e := range t.MatchExpressions {
		if !expressionMet(e, have) {
			return false
		}
	}
	for _, f := range t.MatchFields {
		if f.Key == metav1.ObjectNameField && slices.Contains(f.Values, n.Name) != (f.Operator == corev1.NodeSelectorOpIn) {
			return false
		}
	}
	return len(t.MatchExpressions)+len(t.MatchFields) > 0
}

func expressionMet(e corev1.NodeSelectorRequirement, have labels.Set) bool {
	op, ok := map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
		corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
	}[e.Operator]
	if !ok {
		return false
	}
	r, err := labels.NewRequirement(e.Key, op, e.Values)
	return err == nil && r.Matches(have)
}

// Tolerates tells whether a pod tolerates the taints that keep pods off a node.
// Taints that a node has only while something is wrong with it do not count.
func Tolerates(spec *corev1.PodSpec, n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectPreferNoSchedule || strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/") {
			continue
		}
		if !slices.ContainsFunc(spec.Tolerations, func(x corev1.Toleration) bool { return tolerates(x, t) }) {
			return false
		}
	}
	return true
}

func tolerates(x corev1.Toleration, t corev1.Taint) bool {
	if x.Effect != "" && x.Effect != t.Effect || x.Key != "" && x.Key != t.Key {
		return false
	}
	return x.Operator == corev1.TolerationOpExists || x.Key != "" && x.Value == t.Value
}
