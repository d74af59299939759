package census

import (
	"context"
	"slices"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/plan/finding"
)

// A Reviewer asks for reviews: a way past the fence, which holds back real writes.
type Reviewer interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

// A need is something that the engine does in a cluster: to every object of a resource,
// or where it is named, to one, in one namespace if that is named.
type need struct {
	group, resource string
	verbs           []string
	namespace, name string
}

func (n need) String() string {
	text := strings.TrimSuffix(n.resource+"."+n.group, ".")
	if n.name != "" {
		text += " " + n.name
	}
	if n.namespace != "" {
		text += " in " + n.namespace
	}
	return text
}

// needs are the rights without which a stage would stop half-way. config/rbac/engine.yaml
// grants all of them, and a test of package app asks a real API server whether it does.
var needs = []need{
	{group: "apps", resource: "deployments", verbs: everything},
	{resource: "services", verbs: everything},
	{resource: "configmaps", verbs: everything},
	{resource: "secrets", verbs: everything},
	{resource: "namespaces", verbs: []string{"get", "list", "watch", "create", "update", "patch"}},
	{group: "networking.k8s.io", resource: "ingresses", verbs: everything},
	{group: "autoscaling", resource: "horizontalpodautoscalers", verbs: everything},
	{group: "batch", resource: "cronjobs", verbs: everything},
	{group: "discovery.k8s.io", resource: "endpointslices", verbs: []string{"get", "list", "watch", "create", "update", "delete"}},
	{group: "coordination.k8s.io", resource: "leases", verbs: []string{"create"}, namespace: cluster.LeaseNamespace},
	{group: "coordination.k8s.io", resource: "leases", verbs: []string{"get", "update"}, namespace: cluster.LeaseNamespace, name: cluster.LeaseName},
	{group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies", verbs: []string{"get", "create", "update", "delete"}},
	{group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicybindings", verbs: []string{"get", "create", "update", "delete"}},
	{group: "rbac.authorization.k8s.io", resource: "clusterroles", verbs: []string{"escalate", "bind"}},
	{resource: "users", verbs: []string{"impersonate"}, name: "crossfade:proof"}, // who tries whether a freeze refuses
}

var everything = []string{"get", "list", "watch", "create", "update", "patch", "delete"}

// Lacking asks the cluster which of the engine's rights the account of this
// connection does not have. An account that may do everything is asked once. What
// cannot be asked is unseen.
func Lacking(ctx context.Context, api Reviewer, side string) ([]finding.Right, []finding.Unseen) {
	if ok, err := may(ctx, api, "*", need{group: "*", resource: "*"}); err != nil {
		return nil, []finding.Unseen{{Verb: "create", Resource: "selfsubjectaccessreviews", Why: why(err)}}
	} else if ok {
		return nil, nil
	}
	var mu sync.Mutex
	var lacking []finding.Right
	var unseen []finding.Unseen
	var group sync.WaitGroup
	seats := make(chan struct{}, lists)
	for _, n := range needs {
		for _, verb := range n.verbs {
			group.Go(func() {
				seats <- struct{}{}
				defer func() { <-seats }()
				ok, err := may(ctx, api, verb, n)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					unseen = []finding.Unseen{{Verb: "create", Resource: "selfsubjectaccessreviews", Why: why(err)}}
				case !ok:
					lacking = append(lacking, finding.Right{Side: side, Verb: verb, Resource: n.String()})
				}
			})
		}
	}
	group.Wait()
	slices.SortFunc(lacking, func(a, b finding.Right) int { return strings.Compare(a.Resource+a.Verb, b.Resource+b.Verb) })
	return lacking, unseen
}

func may(ctx context.Context, api Reviewer, verb string, n need) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: n.group, Resource: n.resource, Namespace: n.namespace, Name: n.name,
		},
	}}
	err := api.Create(ctx, review)
	return review.Status.Allowed, err
}

// Level tells into which priority level the account's requests fall, as far as the
// flow schemas tell it by who asks; "" if that cannot be told.
func Level(ctx context.Context, api Reviewer, schemas []*flowcontrolv1.FlowSchema) string {
	review := &authenticationv1.SelfSubjectReview{}
	if len(schemas) == 0 || api.Create(ctx, review) != nil {
		return ""
	}
	ordered := slices.Clone(schemas)
	slices.SortFunc(ordered, func(a, b *flowcontrolv1.FlowSchema) int {
		if d := int(a.Spec.MatchingPrecedence) - int(b.Spec.MatchingPrecedence); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, s := range ordered {
		if slices.ContainsFunc(s.Spec.Rules, func(r flowcontrolv1.PolicyRulesWithSubjects) bool { return concerns(r, review.Status.UserInfo) }) {
			return s.Spec.PriorityLevelConfiguration.Name
		}
	}
	return ""
}

// concerns tells whether a rule is about all that a user asks of resources.
func concerns(r flowcontrolv1.PolicyRulesWithSubjects, user authenticationv1.UserInfo) bool {
	whole := slices.ContainsFunc(r.ResourceRules, func(x flowcontrolv1.ResourcePolicyRule) bool {
		return slices.Contains(x.Verbs, "*") && slices.Contains(x.Resources, "*") && slices.Contains(x.APIGroups, "*")
	})
	return whole && slices.ContainsFunc(r.Subjects, func(s flowcontrolv1.Subject) bool {
		switch {
		case s.User != nil:
			return s.User.Name == user.Username || s.User.Name == "*"
		case s.Group != nil:
			return slices.Contains(user.Groups, s.Group.Name) || s.Group.Name == "*"
		case s.ServiceAccount != nil:
			name, found := strings.CutPrefix(user.Username, "system:serviceaccount:"+s.ServiceAccount.Namespace+":")
			return found && (name == s.ServiceAccount.Name || s.ServiceAccount.Name == "*")
		}
		return false
	})
}
