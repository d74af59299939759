package migration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// The role that people are told to apply grants everything that is asked for.
func TestTheRoleGrantsWhatPreflightAsksFor(t *testing.T) {
	text, err := os.ReadFile("../../config/rbac/engine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		role := &rbacv1.ClusterRole{}
		if err := documents.Decode(role); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			rules = append(rules, role.Rules...)
		}
	}
	has := func(all []string, one string) bool { return slices.Contains(all, one) || slices.Contains(all, "*") }
	for _, n := range needs {
		for _, resource := range n.resources {
			if n.sub != "" {
				resource += "/" + n.sub
			}
			for _, verb := range n.verbs {
				if !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
					return has(r.APIGroups, n.group) && has(r.Resources, resource) && has(r.Verbs, verb) &&
						(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, n.name))
				}) {
					t.Errorf("nothing grants %s %s of %q", verb, resource, n.group)
				}
			}
		}
	}
}

// narrow is a cluster that refuses one verb on one kind.
type narrow struct {
	cluster.API
	verb, resource string
	asked          int
}

func (n *narrow) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	err := n.API.Create(ctx, obj, opts...)
	if r, review := obj.(*authorizationv1.SelfSubjectAccessReview); review {
		n.asked++
		r.Status.Allowed = r.Spec.ResourceAttributes.Verb != n.verb || r.Spec.ResourceAttributes.Resource != n.resource
	}
	return err
}

func TestPreflightNamesWhatTheEngineMayNotDo(t *testing.T) {
	w := newWorld(t, serving("cart", 1), nil)
	east := &narrow{API: w.source, verb: "patch", resource: "deployments"}
	connect := w.Clusters
	w.Clusters = func(ctx context.Context, c *v1.Cluster) (Connection, error) {
		if c.Name == "east" {
			return Connection{east, w.source}, nil
		}
		return connect(ctx, c)
	}
	pass := func() Progress {
		t.Helper()
		p, err := w.preflight(t.Context(), w.visit())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := pass(); p.outcome != held || p.Reason != v1.PermissionMissing || !strings.Contains(p.Message, "patch deployments.apps in east") {
		t.Errorf("%s: %s; want it held, with what to grant", p.Reason, p.Message)
	}
	asked := east.asked
	pass()
	if east.asked != asked {
		t.Error("it asks again at once")
	}
	east.verb = ""
	w.pass(10 * time.Second)
	if p := pass(); p.outcome != done {
		t.Errorf("granted, and %s: %s", p.Reason, p.Message)
	}
}
