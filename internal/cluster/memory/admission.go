package memory

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// policies refuse writes as the cluster's ValidatingAdmissionPolicies say. Every
// request of people, of the engine and of controllers passes them.
type policies struct {
	c        *Cluster
	compiled map[types.UID]*policy
	// effective is when a policy or binding begins to count: not at once, as in life.
	effective map[types.UID]time.Time
	// selectors are those of stored policies, as they were read.
	selectors map[*metav1.LabelSelector]labels.Selector
}

// A policy is one ValidatingAdmissionPolicy, ready to be asked.
type policy struct {
	spec       *admissionv1.ValidatingAdmissionPolicy
	conditions []expression
	variables  []expression
	rules      []validation
}

// A validation is one rule: what must hold, and what is said when it does not.
type validation struct {
	admissionv1.Validation
	holds   expression
	message *expression
}

func newPolicies(c *Cluster) *policies {
	return &policies{
		c: c, compiled: map[types.UID]*policy{}, effective: map[types.UID]time.Time{}, selectors: map[*metav1.LabelSelector]labels.Selector{},
	}
}

// changed notes that a policy or binding was written; new is nil when it is gone.
func (p *policies) changed(old, new Object) {
	clear(p.selectors)
	switch {
	case new == nil:
		delete(p.effective, old.GetUID())
		delete(p.compiled, old.GetUID())
	case old == nil:
		lag := p.c.between(100*time.Millisecond, 500*time.Millisecond, "admission", new.GetName())
		p.effective[new.GetUID()] = p.c.options.Clock.Now().Add(lag)
	default:
		delete(p.compiled, new.GetUID())
	}
}

// admit returns the refusal of the first policy that refuses a write. Old is nil
// for a creation, new for a deletion.
func (p *policies) admit(k *kind, old, new Object, w write) error {
	bound := p.c.tables[bindings].order
	if len(bound) == 0 || k.Group == admission.Group {
		return nil // writes of admission itself are exempt, so that a bad policy can be removed
	}
	r := &request{c: p.c, kind: k, old: old, new: new, write: w}
	for _, b := range bound {
		binding := b.obj.(*admissionv1.ValidatingAdmissionPolicyBinding)
		spec, _ := p.c.tables[admission].get(types.NamespacedName{Name: binding.Spec.PolicyName}).(*admissionv1.ValidatingAdmissionPolicy)
		if spec == nil || !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny) || !p.counts(spec, binding) {
			continue
		}
		if !r.within(spec.Spec.MatchConstraints) || binding.Spec.MatchResources != nil && !r.within(binding.Spec.MatchResources) {
			continue
		}
		if err := p.policy(spec).judge(r, binding.Name); err != nil {
			return err
		}
	}
	return nil
}

func (p *policies) counts(objects ...Object) bool {
	now := p.c.options.Clock.Now()
	return !slices.ContainsFunc(objects, func(o Object) bool { return now.Before(p.effective[o.GetUID()]) })
}

func (p *policies) policy(spec *admissionv1.ValidatingAdmissionPolicy) *policy {
	ready := p.compiled[spec.UID]
	if ready == nil {
		ready = compilePolicy(spec)
		p.compiled[spec.UID] = ready
	}
	return ready
}

func compilePolicy(spec *admissionv1.ValidatingAdmissionPolicy) *policy {
	p := &policy{spec: spec}
	for _, c := range spec.Spec.MatchConditions {
		p.conditions = append(p.conditions, compile(c.Name, c.Expression))
	}
	for _, v := range spec.Spec.Variables {
		p.variables = append(p.variables, compile(v.Name, v.Expression))
	}
	for _, v := range spec.Spec.Validations {
		rule := validation{Validation: v, holds: compile("", v.Expression)}
		if v.MessageExpression != "" {
			message := compile("", v.MessageExpression)
			rule.message = &message
		}
		p.rules = append(p.rules, rule)
	}
	return p
}

// judge returns the refusal of one policy; nil if it lets the request through.
func (p *policy) judge(r *request, binding string) error {
	vars := r.variables(p.variables)
	for _, c := range p.conditions {
		holds, err := c.truth(vars)
		if err != nil {
			return p.broken(r, binding, err)
		}
		if !holds {
			return nil
		}
	}
	for _, rule := range p.rules {
		holds, err := rule.holds.truth(vars)
		if err != nil {
			if broken := p.broken(r, binding, err); broken != nil {
				return broken
			}
			continue
		}
		if holds {
			continue
		}
		message := rule.Message
		if rule.message != nil {
			if said, err := rule.message.text(vars); err == nil && said != "" {
				message = said
			}
		}
		if message == "" {
			message = "failed expression: " + strings.TrimSpace(rule.Expression)
		}
		reason := metav1.StatusReasonInvalid
		if rule.Reason != nil {
			reason = *rule.Reason
		}
		return refusal(r, p.spec.Name, binding, message, reason)
	}
	return nil
}

// broken is what happens when an expression can't be evaluated.
func (p *policy) broken(r *request, binding string, err error) error {
	if f := p.spec.Spec.FailurePolicy; f != nil && *f == admissionv1.Ignore {
		return nil
	}
	return refusal(r, p.spec.Name, binding, err.Error(), metav1.StatusReasonInvalid)
}

// refusal is the error of a real server, word for word.
func refusal(r *request, policy, binding, message string, reason metav1.StatusReason) error {
	sentence := fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", policy, binding, message)
	err := apierrors.NewForbidden(r.kind.groupResource(), r.object().GetName(), errors.New(sentence))
	err.ErrStatus.Reason = reason
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: message})
	switch reason {
	case metav1.StatusReasonForbidden:
	case metav1.StatusReasonUnauthorized:
		err.ErrStatus.Code = http.StatusUnauthorized
	case metav1.StatusReasonRequestEntityTooLarge:
		err.ErrStatus.Code = http.StatusRequestEntityTooLarge
	default:
		err.ErrStatus.Code = http.StatusUnprocessableEntity
	}
	return err
}

// A request is one write as admission sees it.
type request struct {
	c        *Cluster
	kind     *kind
	old, new Object
	write    write
}

// object is what is written, or deleted.
func (r *request) object() Object {
	if r.new != nil {
		return r.new
	}
	return r.old
}

// within is true when the constraints concern the request.
func (r *request) within(m *admissionv1.MatchResources) bool {
	if m == nil {
		return true
	}
	if len(m.ResourceRules) > 0 && !slices.ContainsFunc(m.ResourceRules, r.named) || slices.ContainsFunc(m.ExcludeResourceRules, r.named) {
		return false
	}
	return r.selectedBy(m.ObjectSelector, r.old, r.new) && r.inSelectedNamespace(m.NamespaceSelector)
}

func (r *request) named(rule admissionv1.NamedRuleWithOperations) bool {
	if len(rule.ResourceNames) > 0 && !slices.Contains(rule.ResourceNames, r.object().GetName()) {
		return false
	}
	if scope := rule.Scope; scope != nil && *scope != admissionv1.AllScopes && (*scope == admissionv1.NamespacedScope) != r.kind.namespaced {
		return false
	}
	return oneOf(rule.APIGroups, r.kind.Group) && oneOf(rule.APIVersions, r.kind.Version) &&
		(slices.Contains(rule.Operations, admissionv1.OperationAll) || slices.Contains(rule.Operations, admissionv1.OperationType(r.write.operation))) &&
		slices.ContainsFunc(rule.Resources, func(pattern string) bool {
			resource, sub, _ := strings.Cut(pattern, "/")
			return (resource == "*" || resource == r.kind.resource) && (sub == "*" || sub == r.write.subresource)
		})
}

func oneOf(patterns []string, word string) bool {
	return slices.Contains(patterns, "*") || slices.Contains(patterns, word)
}

// selector reads a selector of a stored policy, once.
func (p *policies) selector(stored *metav1.LabelSelector) (labels.Selector, error) {
	if s := p.selectors[stored]; s != nil {
		return s, nil
	}
	s, err := metav1.LabelSelectorAsSelector(stored)
	if err == nil {
		p.selectors[stored] = s
	}
	return s, err
}

// selectedBy is true when the selector matches the object before or after.
func (r *request) selectedBy(selector *metav1.LabelSelector, objects ...Object) bool {
	if selector == nil {
		return true
	}
	s, err := r.c.policies.selector(selector)
	if err == nil && s.Empty() {
		return true
	}
	return err == nil && slices.ContainsFunc(objects, func(o Object) bool { return o != nil && s.Matches(labelSet(o.GetLabels())) })
}

// inSelectedNamespace is true of what has no namespace, a Namespace itself excepted.
func (r *request) inSelectedNamespace(selector *metav1.LabelSelector) bool {
	if r.kind.GroupKind() == namespaces {
		return r.selectedBy(selector, r.object())
	}
	if !r.kind.namespaced {
		return true
	}
	return r.selectedBy(selector, r.c.tables[namespaces].get(types.NamespacedName{Name: r.object().GetNamespace()}))
}
