package mirror

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crossfade.dev/internal/object"
)

var update = flag.Bool("update", false, "write the generated parts of docs/concepts/mirror.md")

const mirrorPage = "../../docs/concepts/mirror.md"

// portableFields are the fields that package object leaves out, with the reason that
// the documentation gives.
var portableFields = []struct{ kind, field, why string }{
	{"every kind", "metadata.uid", "the API server writes it"},
	{"every kind", "metadata.resourceVersion", "the API server writes it"},
	{"every kind", "metadata.creationTimestamp", "the API server writes it"},
	{"every kind", "metadata.generation", "the API server writes it"},
	{"every kind", "metadata.selfLink", "the API server writes it"},
	{"every kind", "metadata.deletionTimestamp", "the API server writes it"},
	{"every kind", "metadata.deletionGracePeriodSeconds", "the API server writes it"},
	{"every kind", "metadata.ownerReferences[].uid", "it is made to point to the owner's copy"},
	{"every kind", "metadata.finalizers", "the controller that would remove it may not run there"},
	{"every kind", "status", "controllers write it"},
	{"every kind", "metadata.annotations: deployment.kubernetes.io/revision", "controllers write it"},
	{"every kind", "metadata.annotations: deprecated.daemonset.template.generation", "controllers write it"},
	{"every kind", "metadata.annotations: endpoints.kubernetes.io/last-change-trigger-time", "controllers write it"},
	{"every kind", "metadata.annotations: pv.kubernetes.io/bind-completed", "controllers write it"},
	{"every kind", "metadata.annotations: pv.kubernetes.io/bound-by-controller", "controllers write it"},
	{"every kind", "metadata.annotations: volume.kubernetes.io/selected-node", "controllers write it"},
	{"every kind", "metadata.annotations: control-plane.alpha.kubernetes.io/leader", "controllers write it"},
	{"Namespace", "spec.finalizers", "the API server writes it"},
	{"Service", "spec.clusterIP", "the cluster allocates it; `None` is copied"},
	{"Service", "spec.clusterIPs", "the cluster allocates it; `None` is copied"},
	{"Service", "spec.healthCheckNodePort", "the cluster allocates it; one that was declared is copied, but not compared"},
	{"Service", "spec.ports[].nodePort", "the cluster allocates it; one that was declared is copied, but not compared"},
	{"Secret", "data of service account tokens: token, ca.crt, namespace", "another cluster would not accept it; its controller fills it in again"},
	{"Secret", "metadata.annotations: kubernetes.io/service-account.uid", "it names the account of its own cluster"},
	{"ServiceAccount", "secrets[]: those that old clusters generate", "their tokens are not valid elsewhere"},
	{"PersistentVolumeClaim", "spec.volumeName", "it is bound on either side by itself"},
	{"PersistentVolume", "spec.claimRef.uid", "it is bound on either side by itself"},
	{"PersistentVolume", "spec.claimRef.resourceVersion", "it is bound on either side by itself"},
	{"StatefulSet", "spec.volumeClaimTemplates[].apiVersion", "the API server writes it, in some of its answers"},
	{"StatefulSet", "spec.volumeClaimTemplates[].kind", "the API server writes it, in some of its answers"},
	{"StatefulSet", "spec.volumeClaimTemplates[].status", "the API server writes it"},
	{"CustomResourceDefinition", "spec.preserveUnknownFields", "v1 no longer has it"},
}

var rankNames = [...]string{
	"definitions of custom resources", "namespaces", "classes", "roles and bindings", "service accounts", "contents", "limits",
	"networks", "workloads, with no replicas", "disruption budgets", "autoscalers", "schedules, suspended",
	"custom resources, and everything else", "quotas", "admission",
}

func TestDocumentationSaysWhatTheRulesSay(t *testing.T) {
	if len(rankNames) != int(ranks) {
		t.Fatalf("%d names for %d ranks", len(rankNames), ranks)
	}
	had, err := os.ReadFile(mirrorPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(had)
	for name, table := range map[string]string{"order": orderTable(), "never": neverTable(), "acts": actsTable(), "fields": fieldsTable()} {
		begin := fmt.Sprintf("<!-- generated from the rules: %s -->\n", name)
		before, rest, found := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !found || !closed {
			t.Fatalf("%s has no part %q", mirrorPage, name)
		}
		text = before + begin + table + "<!-- end -->" + after
	}
	if text == string(had) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the rules say: run go test ./internal/mirror -run Documentation -update", mirrorPage)
	}
	if err := os.WriteFile(mirrorPage, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kindName(r Rule) string {
	group := r.Group
	if r.Kind == "*" {
		if slices.ContainsFunc(BuiltIn, func(other Rule) bool { return other.Group == group && other.Kind != "*" }) {
			return "every other kind of " + group
		}
		return "every kind of " + group
	}
	if group == "" {
		return r.Kind
	}
	return fmt.Sprintf("%s (%s)", r.Kind, group)
}

func sorted(keep func(Rule) bool) []Rule {
	rules := slices.DeleteFunc(slices.Clone(BuiltIn), func(r Rule) bool { return !keep(r) })
	slices.SortStableFunc(rules, func(a, b Rule) int { return cmp.Compare(kindName(a), kindName(b)) })
	return rules
}

func orderTable() string {
	var out strings.Builder
	for rank := range ranks {
		var kinds []string
		for _, r := range sorted(func(r Rule) bool { return r.Never == "" && r.Rank == rank }) {
			kinds = append(kinds, kindName(r))
		}
		fmt.Fprintf(&out, "%d. %s", rank+1, rankNames[rank])
		if len(kinds) > 0 {
			fmt.Fprintf(&out, ": %s", strings.Join(kinds, ", "))
		}
		out.WriteString("\n")
	}
	return out.String()
}

func neverTable() string {
	var out strings.Builder
	out.WriteString("| what | why |\n|---|---|\n")
	for _, r := range sorted(func(r Rule) bool { return r.Never != "" }) {
		fmt.Fprintf(&out, "| %s | %s |\n", kindName(r), r.Never)
	}
	for _, r := range sorted(func(r Rule) bool { return r.Never == "" }) {
		for _, e := range r.Except {
			if !e.Controlled {
				fmt.Fprintf(&out, "| %s %s | %s |\n", kindName(r), exceptName(e), e.Why)
			}
		}
	}
	return out.String()
}

func exceptName(e Except) string {
	var parts []string
	for _, p := range []struct{ format, value string }{{"`%s`", e.Name}, {"`%s*`", e.Prefix}, {"`*%s`", e.Suffix}, {"with the label `%s`", e.Label}, {"of type `%s`", e.Type}} {
		if p.value != "" {
			parts = append(parts, fmt.Sprintf(p.format, p.value))
		}
	}
	return strings.Join(parts, " ")
}

func actsTable() string {
	var out strings.Builder
	out.WriteString("| what | why |\n|---|---|\n")
	for _, r := range sorted(func(r Rule) bool { return r.Acts != "" }) {
		fmt.Fprintf(&out, "| %s | %s |\n", kindName(r), r.Acts)
	}
	for _, r := range sorted(func(r Rule) bool { return len(r.ActsIf) > 0 }) {
		for _, a := range r.ActsIf {
			fmt.Fprintf(&out, "| %s where %s is `%s` | %s |\n", kindName(r), strings.Join(a.Field, "."), a.Value, a.Why)
		}
	}
	fmt.Fprintf(&out, "| every custom resource | %s |\n", customResource)
	return out.String()
}

func fieldsTable() string {
	var out strings.Builder
	out.WriteString("| kind | field | why |\n|---|---|---|\n")
	for _, f := range portableFields {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", f.kind, f.field, f.why)
	}
	for _, r := range sorted(func(r Rule) bool { return true }) {
		for _, e := range r.Engine {
			birth := "copied at first"
			if e.Birth != nil {
				birth = fmt.Sprintf("`%v` at first", e.Birth)
			}
			fmt.Fprintf(&out, "| %s | %s | %s; %s |\n", kindName(r), strings.Join(e.Field, "."), birth, e.Why)
		}
		for _, o := range r.Own {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", kindName(r), fieldName(o), o.Why)
		}
		if r.Carried != "" {
			fmt.Fprintf(&out, "| %s | status.%s | copied all the same, while the copy is suspended: a schedule that wakes must not run what has run |\n", kindName(r), r.Carried)
		}
	}
	return out.String()
}

func fieldName(o Own) string {
	name := strings.Join(o.Field, ".")
	if len(o.Field) == 3 && o.Field[1] == "annotations" {
		name = "metadata.annotations: " + o.Field[2]
	}
	switch {
	case o.Is != "":
		name += fmt.Sprintf(" where %s is `%s`", strings.Join(o.With, "."), o.Is)
	case o.With != nil:
		name += " where there is " + strings.Join(o.With, ".")
	}
	return name
}

// Every field that the documentation says is left to each side really is.
func TestDocumentedFieldsAreLeftToEachSide(t *testing.T) {
	for _, f := range portableFields {
		kind := map[string]string{"every kind": "v1/ConfigMap", "PersistentVolume": "v1/PersistentVolume", "PersistentVolumeClaim": "v1/PersistentVolumeClaim",
			"CustomResourceDefinition": "apiextensions.k8s.io/v1/CustomResourceDefinition"}[f.kind]
		kind = cmp.Or(kind, "v1/"+f.kind)
		at := strings.LastIndex(kind, "/")
		obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": kind[:at], "kind": kind[at+1:], "metadata": map[string]any{"name": "x"}}}
		if f.kind == "Secret" {
			obj.Object["type"] = "kubernetes.io/service-account-token"
		}
		parent, ok := place(obj, f.field)
		if !ok {
			continue // it has a test of its own in package object
		}
		rule := builtIn(obj.GroupVersionKind().GroupKind())
		with := rule.normal(obj)
		unstructured.RemoveNestedField(obj.Object, parent...)
		if diff := object.Diff(rule.normal(obj), with); len(diff) > 0 {
			t.Errorf("%s: %s is compared, though the documentation says it is not: %v", f.kind, f.field, diff)
		}
	}
}

// place gives a documented field a value, and returns its path. It returns false for
// those that are not plain paths.
func place(obj *unstructured.Unstructured, field string) ([]string, bool) {
	if key, annotation := strings.CutPrefix(field, "metadata.annotations: "); annotation {
		obj.SetAnnotations(map[string]string{key: "x"})
		return []string{"metadata", "annotations", key}, true
	}
	if strings.ContainsAny(field, "[:") || !strings.Contains(field, ".") && field != "status" {
		return nil, false
	}
	path := strings.Split(field, ".")
	return path, unstructured.SetNestedField(obj.Object, "x", path...) == nil
}
