package freeze_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/freeze"
)

// TestRealAPIServer holds the freeze against the CEL, the admission chain and the
// defaults of a real API server.
func TestRealAPIServer(t *testing.T) {
	config := controltest.Start(t)
	root := controltest.New(t, config)
	furnish(t, root)
	everybodyMayDoEverything(t, root)
	api := root.As(engine, "system:serviceaccounts", "system:authenticated")
	trial := freeze.Trial{Subjects: []freeze.Subject{freeze.Person, {User: "alice", Groups: []string{"system:authenticated"}}}, Namespaces: []string{"shop"}, Times: 3}

	await(t, "the write is accepted before", func() bool { return freeze.Prove(t.Context(), api, notice, trial).Accepted() })
	closed := time.Now()
	if err := freeze.Close(t.Context(), root, notice); err != nil {
		t.Fatal(err)
	}
	await(t, "the write is refused after", func() bool { return freeze.Prove(t.Context(), api, notice, trial).Refused() })
	t.Logf("refused after %s", time.Since(closed).Round(time.Millisecond))
	if _, err := freeze.Now(t.Context(), api, "shop"); err != nil {
		t.Errorf("the engine's own write: %v", err)
	}

	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			err := test.do(t.Context(), root.As(test.who.user, test.who.groups...))
			if test.refused && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), sentence)) {
				t.Errorf("got %v, want a refusal with the freeze's sentence", err)
			}
			if !test.refused && err != nil {
				t.Errorf("got %v, want it accepted", err)
			}
		})
	}
	t.Run("scale", func(t *testing.T) {
		web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		scale := func(api cluster.API) error {
			return api.(controltest.API).SubResource("scale").Update(t.Context(), web, client.WithSubResourceBody(&autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: autoscalingv1.ScaleSpec{Replicas: 2},
			}), &client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{DryRun: []string{metav1.DryRunAll}}})
		}
		if err := scale(root); !apierrors.IsForbidden(err) {
			t.Errorf("an administrator scales: %v, want a refusal", err)
		}
		if err := scale(api); err != nil {
			t.Errorf("the engine scales: %v", err)
		}
	})
	t.Run("a token is left alone", func(t *testing.T) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}}
		if err := api.Create(t.Context(), account); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if err := root.SubResource("token").Create(t.Context(), account, tokenRequest()); err != nil {
			t.Errorf("a token: %v", err)
		}
	})

	again(t, root)
	if err := freeze.Lift(t.Context(), root, notice.Migration); err != nil {
		t.Fatal(err)
	}
	await(t, "the write is accepted after lifting", func() bool { return freeze.Prove(t.Context(), api, notice, trial).Accepted() })
}

// again closes the freeze that stands once more, and fails if that writes anything:
// then the server fills in something that the policy does not spell out.
func again(t *testing.T, root controltest.API) {
	t.Helper()
	version := func() string {
		var policies admissionv1.ValidatingAdmissionPolicyList
		var bindings admissionv1.ValidatingAdmissionPolicyBindingList
		if err := root.List(t.Context(), &policies); err != nil {
			t.Fatal(err)
		}
		if err := root.List(t.Context(), &bindings); err != nil {
			t.Fatal(err)
		}
		return policies.Items[0].ResourceVersion + " " + bindings.Items[0].ResourceVersion
	}
	was := version()
	if err := freeze.Close(t.Context(), root, notice); err != nil {
		t.Fatal(err)
	}
	if now := version(); now != was {
		t.Errorf("closing a freeze that stands wrote it: versions %s, then %s", was, now)
	}
}

// TestRealAPIServerTakesALargeEstate lets the server compile the expressions of a
// freeze without names and of one with very many.
func TestRealAPIServerTakesALargeEstate(t *testing.T) {
	root := controltest.New(t, controltest.Start(t))
	open := notice
	open.Migration, open.Namespaces, open.Except = "open", nil, []string{"crossfade-system"}
	large := notice
	large.Migration, large.Namespaces = "large", nil
	for i := range 5000 {
		large.Namespaces = append(large.Namespaces, fmt.Sprintf("a-team-whose-name-is-rather-long-%d", i))
	}
	for i := range 300 {
		large.Exempt = append(large.Exempt, fmt.Sprintf("system:serviceaccount:operators:operator-%d", i))
	}
	for _, n := range []freeze.Notice{open, large} {
		if err := freeze.Close(t.Context(), root, n); err != nil {
			t.Errorf("migration %s: %v", n.Migration, err)
		}
		var policy admissionv1.ValidatingAdmissionPolicy
		if err := root.Get(t.Context(), client.ObjectKey{Name: "crossfade-freeze-" + n.Migration}, &policy); err != nil {
			t.Fatal(err)
		}
		if check := policy.Status.TypeChecking; check != nil && len(check.ExpressionWarnings) > 0 {
			t.Errorf("migration %s: %v", n.Migration, check.ExpressionWarnings)
		}
	}
}

func everybodyMayDoEverything(t *testing.T, root cluster.API) {
	t.Helper()
	create(t, root, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{
			{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:authenticated"},
			{APIGroup: rbacv1.GroupName, Kind: "User", Name: "lonely"},
			{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:nodes"},
			{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:serviceaccounts"},
		},
	})
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func tokenRequest() client.Object {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(600))}}
}
