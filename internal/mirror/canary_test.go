package mirror

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"crossfade.dev/internal/controltest"
)

// canary is what a Secret holds that must be seen nowhere but in Secrets.
const canary = "cAnArY-hunter2-7f3a"

// secretsStaySecret lets a mirror copy Secrets, drift, differ and be refused, and looks
// for their values in everything that comes out of it.
func secretsStaySecret(t *testing.T, s *servers) {
	var logged bytes.Buffer
	logger := funcr.New(func(prefix, args string) { fmt.Fprintln(&logged, prefix, args) }, funcr.Options{Verbosity: 9})
	log.SetLogger(logger)
	klog.SetLogger(logger)
	defer klog.ClearLogger()
	ctx := t.Context()
	s.restart()
	secret := func(name string, data map[string]string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, StringData: data}
	}
	kubectl(t, controltest.Kubeconfig(t, map[string]*rest.Config{"test": s.fromConfig}), "{apiVersion: v1, kind: Secret, metadata: {name: applied, namespace: shop}, stringData: {a: "+canary+"}}", "apply", "-f", "-")
	// The target refuses those that a policy of its own does not like, and says their value.
	policy := `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: loud}, spec: {
		matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}]},
		validations: [{expression: "!object.metadata.name.startsWith('refused')", messageExpression: "'no: ' + string(object.data.a)"}]}}`
	binding := `{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: loud}, spec: {policyName: loud, validationActions: [Deny]}}`
	for _, text := range []string{policy, binding} {
		if err := s.to.Create(ctx, manifest(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the policy refuses", func() bool {
		return s.to.Create(ctx, secret("refused-probe", map[string]string{"a": "x"}), client.DryRunAll) != nil
	})
	for _, name := range []string{"copied", "drifted", "refused"} {
		if err := s.from.Create(ctx, secret(name, map[string]string{"a": canary}), client.FieldOwner("helm")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.to.Create(ctx, secret("stranger", map[string]string{"a": canary + "-other"})); err != nil {
		t.Fatal(err)
	}
	if err := s.from.Create(ctx, secret("stranger", map[string]string{"a": canary})); err != nil {
		t.Fatal(err)
	}
	var out []string
	var report Report
	eventually(t, "the mirror holds two Secrets", func() bool {
		report = must(s.mirror.Sync(ctx))
		out = append(out, fmt.Sprintf("%+v", report))
		return len(report.Held) >= 2
	})
	change := client.RawPatch(types.MergePatchType, []byte(`{"stringData":{"a":"`+canary+`-drifted"}}`))
	if err := s.to.Patch(ctx, s.copyOf(manifest(t, `{apiVersion: v1, kind: Secret, metadata: {name: drifted, namespace: shop}}`)), change); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mirror sees the drift", func() bool {
		report = must(s.mirror.Sync(ctx))
		out = append(out, fmt.Sprintf("%+v", report))
		return len(report.Drift) > 0
	})
	found := must(s.mirror.Differences(ctx))
	if len(found) < 3 {
		t.Errorf("differences: %v", found)
	}
	ledger := must(json.Marshal(s.ledger))
	out = append(out, fmt.Sprintf("%+v", found), fmt.Sprint(found), string(ledger), logged.String())
	events := &corev1.EventList{}
	for _, c := range []client.Reader{s.from, s.to} {
		if err := c.List(ctx, events); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(events.Items))
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(canary))
	for _, text := range out {
		for _, value := range []string{canary, encoded[:len(encoded)-4]} {
			if at := strings.Index(text, value); at >= 0 {
				t.Errorf("the value of a Secret is shown: …%s…", text[max(0, at-200):min(len(text), at+60)])
			}
		}
	}
	t.Logf("looked at %d outputs of %d bytes", len(out), len(strings.Join(out, "")))
}
