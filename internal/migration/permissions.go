package migration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A need is something that the engine must be allowed to do in both clusters, as
// config/rbac/engine.yaml grants it.
type need struct {
	group     string
	resources []string
	sub, name string
	verbs     []string
}

var (
	reads  = []string{"get", "list", "watch"}
	writes = []string{"create", "update", "patch", "delete"}
)

// needs are those of every migration. Kinds that few estates have are not among them:
// the mirror names what it may not copy.
var needs = []need{
	{group: "*", resources: []string{"*"}, verbs: reads},
	{group: "", resources: []string{"namespaces", "serviceaccounts", "configmaps", "secrets", "limitranges", "services", "resourcequotas"}, verbs: writes},
	{group: "apps", resources: []string{"deployments", "statefulsets"}, verbs: writes},
	{group: "autoscaling", resources: []string{"horizontalpodautoscalers"}, verbs: writes},
	{group: "batch", resources: []string{"cronjobs"}, verbs: writes},
	{group: "batch", resources: []string{"cronjobs"}, sub: "status", verbs: []string{"patch"}},
	{group: "policy", resources: []string{"poddisruptionbudgets"}, verbs: writes},
	{group: "networking.k8s.io", resources: []string{"ingresses", "networkpolicies"}, verbs: writes},
	{group: "rbac.authorization.k8s.io", resources: []string{"roles", "clusterroles"}, verbs: append([]string{"escalate", "bind"}, writes...)},
	{group: "rbac.authorization.k8s.io", resources: []string{"rolebindings", "clusterrolebindings"}, verbs: writes},
	{group: "discovery.k8s.io", resources: []string{"endpointslices"}, verbs: []string{"create", "update", "delete"}},
	{
		group:     "admissionregistration.k8s.io",
		resources: []string{"validatingadmissionpolicies", "validatingadmissionpolicybindings"}, verbs: []string{"create", "update", "delete"},
	},
	{group: "", resources: []string{"users"}, name: "crossfade:proof", verbs: []string{"impersonate"}},
	{group: "", resources: []string{"groups"}, name: "system:masters", verbs: []string{"impersonate"}},
	{group: "", resources: []string{"groups"}, name: "system:authenticated", verbs: []string{"impersonate"}},
}

// permitted remembers what a cluster said that the engine may not do, because it is
// asked some two hundred questions.
type permitted struct {
	mu   sync.Mutex
	said map[types.UID]answer
}

type answer struct {
	at      time.Time
	missing []string
}

// believed is for how long an answer counts: shorter if somebody has to mend it.
func (a answer) believed() time.Duration {
	if len(a.missing) > 0 {
		return 5 * time.Second
	}
	return 5 * time.Minute
}

// missingPermissions asks both clusters what the engine may not do there.
func (e *Engine) missingPermissions(ctx context.Context, v *visit) (missing []string, err error) {
	for _, s := range []*site{&v.source, &v.target} {
		e.permitted.mu.Lock()
		known, asked := e.permitted.said[s.facts.UID()]
		e.permitted.mu.Unlock()
		if !asked || e.Clock.Since(known.at) >= known.believed() {
			known.at = e.Clock.Now()
			if known.missing, err = e.askPermissions(ctx, s); err != nil {
				return nil, fmt.Errorf("ask %s what the engine may do: %w", s.name, err)
			}
			e.permitted.mu.Lock()
			if e.permitted.said == nil {
				e.permitted.said = map[types.UID]answer{}
			}
			e.permitted.said[s.facts.UID()] = known
			e.permitted.mu.Unlock()
		}
		missing = append(missing, known.missing...)
	}
	return missing, nil
}

func (e *Engine) askPermissions(ctx context.Context, s *site) ([]string, error) {
	var reviews []*authorizationv1.SelfSubjectAccessReview
	for _, n := range needs {
		for _, resource := range n.resources {
			for _, verb := range n.verbs {
				reviews = append(reviews, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
					ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: n.group, Resource: resource, Subresource: n.sub, Name: n.name},
				}})
			}
		}
	}
	err := each(e.Workers, reviews, func(r *authorizationv1.SelfSubjectAccessReview) error { return s.api.Create(ctx, r) })
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, r := range reviews {
		if !r.Status.Allowed {
			missing = append(missing, lacking(*r.Spec.ResourceAttributes, s.name))
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// lacking says a permission as people grant it: "patch deployments.apps in west".
func lacking(a authorizationv1.ResourceAttributes, where string) string {
	what := a.Resource
	if a.Subresource != "" {
		what += "/" + a.Subresource
	}
	if a.Group != "" {
		what += "." + a.Group
	}
	if a.Name != "" {
		what += " " + a.Name
	}
	return fmt.Sprintf("%s %s in %s", a.Verb, what, where)
}
