package app

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/census"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/freeze"
	"crossfade.dev/internal/mirror"
)

const engineAccount = "system:serviceaccount:crossfade-system:crossfade"

// TestEngineRole holds config/rbac/engine.yaml against a real API server: with it
// the engine may do all that it does in a cluster, and no writes beside that.
func TestEngineRole(t *testing.T) {
	admin := controltest.Start(t)
	api := controltest.New(t, admin)
	applyRole(t, api)
	if err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}); err != nil {
		t.Fatal(err)
	}
	config := asEngine(t, admin)
	engine, err := cluster.Connect(t.Context(), cluster.Options{Config: config, Identity: "role-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	if err := engine.Fence.Hold(t.Context()); err != nil {
		t.Fatalf("fence: %v", err)
	}
	if err := engine.Fence.Hold(t.Context()); err != nil {
		t.Fatalf("renew the fence: %v", err)
	}
	t.Run("mirror", func(t *testing.T) { mayMirror(t, engine, kubernetes.NewForConfigOrDie(config)) })
	t.Run("roles that grant more", func(t *testing.T) { copiesRoles(t, engine) })
	t.Run("freeze", func(t *testing.T) { freezes(t, engine) })
	t.Run("a plan misses none of it", func(t *testing.T) {
		if lacking, unseen := census.Lacking(t.Context(), engine.Unfenced(), "east"); len(lacking)+len(unseen) > 0 {
			t.Errorf("it lacks %+v; not seen: %+v", lacking, unseen)
		}
	})
	t.Run("no more than that", func(t *testing.T) { mayNot(t, kubernetes.NewForConfigOrDie(config)) })
}

// applyRole creates the file's objects.
func applyRole(t *testing.T, api cluster.API) {
	t.Helper()
	text, err := os.ReadFile("../../config/rbac/engine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		obj := &unstructured.Unstructured{}
		err := documents.Decode(obj)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = api.Create(t.Context(), obj)
		}
		if err != nil {
			t.Fatalf("%s %s: %v", obj.GetKind(), obj.GetName(), err)
		}
	}
}

// asEngine is the engine's way to the cluster, by a token of its account.
func asEngine(t *testing.T, admin *rest.Config) *rest.Config {
	t.Helper()
	token, err := kubernetes.NewForConfigOrDie(admin).CoreV1().ServiceAccounts("crossfade-system").
		CreateToken(t.Context(), "crossfade", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = token.Status.Token
	config.QPS = -1
	return config
}

// mayMirror asks for every kind that the server serves whether the engine may do to
// it what the mirror's rules make it do.
func mayMirror(t *testing.T, engine *cluster.Cluster, client kubernetes.Interface) {
	kinds, err := engine.Kinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		if !slices.Contains(kind.Verbs, "list") || !slices.Contains(kind.Verbs, "watch") {
			continue
		}
		verbs := []string{"get", "list", "watch"}
		if copied(kind) {
			verbs = append(verbs, "create", "update", "patch", "delete")
		}
		for _, verb := range verbs {
			if !may(t, client, verb, kind.Group, kind.Resource, "", "") {
				t.Errorf("the engine may not %s %s.%s", verb, kind.Resource, kind.Group)
			}
		}
	}
	if !may(t, client, "patch", "batch", "cronjobs", "status", "") {
		t.Error("the engine may not patch cronjobs/status.batch")
	}
}

// copied is true for kinds whose objects the mirror writes: the built-in ones with
// no rule against it.
func copied(kind cluster.Kind) bool {
	for _, name := range []string{kind.Kind, "*"} {
		for _, rule := range mirror.BuiltIn {
			if rule.Group == kind.Group && rule.Kind == name {
				return rule.Never == "" && rule.Acts == ""
			}
		}
	}
	return cluster.Scheme().Recognizes(kind.GroupVersionKind) && slices.Contains(kind.Verbs, "create")
}

func copiesRoles(t *testing.T, engine *cluster.Cluster) {
	for _, obj := range []*unstructured.Unstructured{
		{Object: map[string]any{
			"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "ClusterRole", "metadata": map[string]any{"name": "operator"},
			"rules": []any{map[string]any{"apiGroups": []any{"*"}, "resources": []any{"*"}, "verbs": []any{"*"}}},
		}},
		{Object: map[string]any{
			"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "RoleBinding", "metadata": map[string]any{"name": "operator", "namespace": "shop"},
			"roleRef":  map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "operator"},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "operator", "namespace": "shop"}},
		}},
	} {
		if err := engine.Create(t.Context(), obj); err != nil {
			t.Errorf("%s: %v", obj.GetKind(), err)
		}
	}
}

func freezes(t *testing.T, engine *cluster.Cluster) {
	notice := freeze.Notice{Migration: "demo", Side: v1.Source, Namespaces: []string{"shop"}, Reason: "a test", Contact: "nobody",
		Exempt: []string{engineAccount}, Since: time.Now()}
	trial := freeze.Trial{Subjects: []freeze.Subject{freeze.Person}, Namespaces: []string{"shop"}, Times: 1}
	proof := freeze.Prove(t.Context(), engine, notice, trial)
	if !proof.Accepted() {
		t.Fatalf("before: %s", proof.Odd(freeze.Accepted))
	}
	if err := freeze.Close(t.Context(), engine, notice); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if proof = freeze.Prove(t.Context(), engine, notice, trial); proof.Refused() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after: %s", proof.Odd(freeze.Refused))
		}
	}
	if _, err := freeze.Now(t.Context(), engine, "shop"); err != nil {
		t.Errorf("the engine's own write: %v", err)
	}
	if err := freeze.Lift(t.Context(), engine, notice.Migration); err != nil {
		t.Error(err)
	}
}

// mayNot lists writes that the engine never makes.
func mayNot(t *testing.T, client kubernetes.Interface) {
	for _, w := range []struct{ verb, group, resource, sub, name string }{
		{"create", "", "pods", "", ""},
		{"delete", "", "pods", "", ""},
		{"create", "", "pods", "exec", ""},
		{"create", "", "serviceaccounts", "token", ""},
		{"update", "", "nodes", "", ""},
		{"delete", "", "persistentvolumes", "", ""},
		{"delete", "", "persistentvolumeclaims", "", ""},
		{"create", "apps", "daemonsets", "", ""},
		{"create", "batch", "jobs", "", ""},
		{"update", "coordination.k8s.io", "leases", "", "another"},
		{"create", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", ""},
		{"update", "certificates.k8s.io", "certificatesigningrequests", "approval", ""},
		{"impersonate", "", "users", "", "alice"},
		{"create", "example.com", "widgets", "", ""},
	} {
		if may(t, client, w.verb, w.group, w.resource, w.sub, w.name) {
			t.Errorf("the engine may %s %s/%s.%s %s", w.verb, w.resource, w.sub, w.group, w.name)
		}
	}
}

// may asks the API server whether the client's user may do something.
func may(t *testing.T, client kubernetes.Interface, verb, group, resource, sub, name string) bool {
	t.Helper()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: sub, Name: name},
	}}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Allowed
}
