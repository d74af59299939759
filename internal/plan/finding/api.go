package finding

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/plan"
)

var apiRules = []rule{
	{"CF-API-001", seeUnservedKinds},
	{"CF-API-002", seeUnservedVersions},
	{"CF-API-003", seeHelmReleases},
	{"CF-API-004", seeStoredVersions},
	{"CF-API-005", seeAggregated},
	{"CF-API-006", seeCustom},
	{"CF-OPS-001", seeOutside},
	{"CF-OPS-002", seeGitOps},
	{"CF-HOOK-001", seeCatchingHooks},
	{"CF-HOOK-002", seeHooksToSource},
}

// own is the group of Crossfade's own kinds.
const own = "crossfade.dev"

func seeUnservedKinds(l *look) {
	if l.ix.serves == nil {
		return
	}
	for k, n := range l.Source.Present {
		gk := k.GroupKind()
		if n == 0 || l.ix.serves[gk] || l.ix.defined[gk] || k.Group == own || moved[gk] {
			continue
		}
		l.say(gk.String(), "%d objects, and %s does not serve the kind in any version", n, l.Target.Name)
	}
}

// moved are kinds that went to another group, which is the one that is asked.
var moved = map[schema.GroupKind]bool{
	{Group: "extensions", Kind: "Deployment"}: true, {Group: "extensions", Kind: "DaemonSet"}: true,
	{Group: "extensions", Kind: "ReplicaSet"}: true, {Group: "extensions", Kind: "Ingress"}: true,
	{Group: "extensions", Kind: "NetworkPolicy"}: true, {Kind: "Event"}: true,
}

func seeUnservedVersions(l *look) {
	if l.ix.serves == nil {
		return
	}
	for k, n := range l.Source.Present {
		if gk := k.GroupKind(); n > 0 && !l.Target.Serves[k] && (l.ix.serves[gk] || moved[gk]) {
			l.say(k.GroupKind().String(), "%d objects are written in %s", n, k.GroupVersion())
		}
	}
	l.Source.Objects.Each(func(obj plan.Object) {
		applied := obj.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
		if applied == "" || !l.InEstate(obj.GetNamespace()) {
			return
		}
		var head struct{ APIVersion, Kind string }
		if json.Unmarshal([]byte(applied), &head) != nil || head.Kind == "" {
			return
		}
		gv, err := schema.ParseGroupVersion(head.APIVersion)
		if err == nil && !l.Target.Serves[gv.WithKind(head.Kind)] && !l.ix.defined[gv.WithKind(head.Kind).GroupKind()] {
			l.say(title(head.Kind, obj), "was last applied in %s", head.APIVersion)
		}
	})
}

// mostRelease is how many bytes of a Helm release are read, unpacked.
const mostRelease = 16 << 20

func seeHelmReleases(l *look) {
	if l.ix.serves == nil {
		return
	}
	for _, s := range l.Source.Objects.Secrets {
		if s.Type != "helm.sh/release.v1" || !l.InEstate(s.Namespace) || s.Labels["status"] == "superseded" {
			continue
		}
		manifest, err := releaseManifest(s.Data["release"])
		if err != nil {
			l.sayAs(Notes, title("Secret", s), "the Helm release cannot be read: %v", err)
			continue
		}
		for _, k := range kindsIn(manifest) {
			if !l.Target.Serves[k] && !l.ix.defined[k.GroupKind()] {
				l.say(title("Secret", s), "the release holds a %s in %s", k.Kind, k.GroupVersion())
			}
		}
	}
}

// releaseManifest unpacks what Helm 3 stores: base64, gzip, JSON
// (helm.sh/helm/v3/pkg/storage/driver).
func releaseManifest(data []byte) (string, error) {
	packed, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return "", fmt.Errorf("base64: %w", err)
	}
	text := packed
	if bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		unzip, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return "", fmt.Errorf("gzip: %w", err)
		}
		if text, err = io.ReadAll(io.LimitReader(unzip, mostRelease)); err != nil {
			return "", fmt.Errorf("gzip: %w", err)
		}
	}
	var release struct {
		Manifest string `json:"manifest"`
	}
	if err := json.Unmarshal(text, &release); err != nil {
		return "", fmt.Errorf("release: %w", err)
	}
	return release.Manifest, nil
}

// kindsIn lists the kinds of a rendered manifest, each once, by the lines that begin
// with apiVersion and kind.
func kindsIn(manifest string) []schema.GroupVersionKind {
	var out []schema.GroupVersionKind
	version, kind := "", ""
	flush := func() {
		if gv, err := schema.ParseGroupVersion(version); err == nil && version != "" && kind != "" && !slices.Contains(out, gv.WithKind(kind)) {
			out = append(out, gv.WithKind(kind))
		}
		version, kind = "", ""
	}
	for line := range strings.Lines(manifest) {
		line = strings.TrimRight(line, " \r\n")
		switch {
		case strings.HasPrefix(line, "---"):
			flush()
		case strings.HasPrefix(line, "apiVersion:"):
			version = strings.Trim(line[len("apiVersion:"):], ` "'`)
		case strings.HasPrefix(line, "kind:"):
			kind = strings.Trim(line[len("kind:"):], ` "'`)
		}
	}
	flush()
	return out
}

func seeStoredVersions(l *look) {
	if l.Target == nil {
		return
	}
	theirs := named(l.Target.Objects.Definitions)
	for _, d := range l.Source.Objects.Definitions {
		other := theirs[d.Name]
		if other == nil {
			continue
		}
		for _, v := range d.Status.StoredVersions {
			has := slices.ContainsFunc(other.Spec.Versions, func(x apiextensionsv1.CustomResourceDefinitionVersion) bool { return x.Name == v })
			if !has {
				l.say(title("CustomResourceDefinition", d), "stores %s; in %s it has %s", v, l.Target.Name, versionNames(other))
			}
		}
	}
}

func versionNames(d *apiextensionsv1.CustomResourceDefinition) string {
	var names []string
	for _, v := range d.Spec.Versions {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

func seeAggregated(l *look) {
	for _, u := range l.Source.Objects.Others {
		if u.GetKind() != "APIService" {
			continue
		}
		if name, _, _ := unstructured.NestedString(u.Object, "spec", "service", "name"); name != "" {
			ns, _, _ := unstructured.NestedString(u.Object, "spec", "service", "namespace")
			l.say("APIService "+u.GetName(), "is served by Service %s/%s", ns, name)
		}
	}
}

// harmless are groups whose objects do nothing when they are created, or are read
// only by those who serve the same app.
var harmless = []string{"gateway.networking.k8s.io", "snapshot.storage.k8s.io", "apiregistration.k8s.io", "metrics.k8s.io", "monitoring.coreos.com", own}

func seeCustom(l *look) {
	type count struct {
		n     int
		first string
	}
	counts := map[schema.GroupKind]*count{}
	for _, u := range l.Source.Objects.Others {
		gk := u.GroupVersionKind().GroupKind()
		if !l.InEstate(u.GetNamespace()) || slices.Contains(harmless, gk.Group) || outsideGroup(gk.Group) != "" || u.GetNamespace() == "" && !l.ix.defined[gk] {
			continue
		}
		if counts[gk] == nil {
			counts[gk] = &count{first: key(u.GetNamespace(), u.GetName())}
		}
		counts[gk].n++
	}
	for gk, c := range counts {
		l.say(gk.String(), "%d of them, first %s", c.n, c.first)
	}
}

// outsideGroup names the operator of a group whose objects stand for things outside
// the cluster; "" if it is none that is known.
func outsideGroup(group string) string {
	for _, o := range []struct{ suffix, who string }{
		{".services.k8s.aws", "AWS Controllers for Kubernetes"}, {".cnrm.cloud.google.com", "Config Connector"}, {".azure.com", "Azure Service Operator"},
		{".crossplane.io", "Crossplane"}, {".upbound.io", "Crossplane"}, {"infra.contrib.fluxcd.io", "the Terraform controller"},
		{"externaldns.k8s.io", "external-dns"}, {".cluster.x-k8s.io", "Cluster API"}, {"elbv2.k8s.aws", "the AWS load balancer controller"}, {"karpenter.sh", "Karpenter"},
	} {
		if strings.HasSuffix(group, o.suffix) {
			return o.who
		}
	}
	return ""
}

func seeOutside(l *look) {
	for _, u := range l.Source.Objects.Others {
		who := outsideGroup(u.GroupVersionKind().Group)
		if who == "" || !l.InEstate(u.GetNamespace()) {
			continue
		}
		l.say(title(u.GetKind(), u), "%s acts on it outside the cluster", who)
	}
}

func seeGitOps(l *look) {
	l.moving(func(w plan.Workload) {
		for _, who := range w.Deployers {
			if who == "Argo CD" || who == "Flux" {
				l.say(nameOf(w), "is applied by %s", who)
			}
		}
	})
	for _, u := range l.Source.Objects.Others {
		heals, _, _ := unstructured.NestedBool(u.Object, "spec", "syncPolicy", "automated", "selfHeal")
		if u.GetKind() == "Application" && heals {
			l.say(title("Application", u), "heals itself (syncPolicy.automated.selfHeal)")
		}
	}
}

// A hook is one webhook of either kind.
type hook struct {
	object string
	config admissionv1.WebhookClientConfig
	policy *admissionv1.FailurePolicyType
	rules  []admissionv1.RuleWithOperations
	// narrow is true if it looks at chosen objects only.
	narrow bool
}

func hooksOf(o plan.Objects) []hook {
	var out []hook
	for _, c := range o.Validating {
		for _, h := range c.Webhooks {
			out = append(out, hook{title("ValidatingWebhookConfiguration", c), h.ClientConfig, h.FailurePolicy, h.Rules, h.ObjectSelector != nil && len(h.ObjectSelector.MatchLabels) > 0})
		}
	}
	for _, c := range o.Mutating {
		for _, h := range c.Webhooks {
			out = append(out, hook{title("MutatingWebhookConfiguration", c), h.ClientConfig, h.FailurePolicy, h.Rules, h.ObjectSelector != nil && len(h.ObjectSelector.MatchLabels) > 0})
		}
	}
	return out
}

// catches tells which of the resources that the mirror writes a webhook looks at.
func (h hook) catches() string {
	if h.narrow || h.policy != nil && *h.policy == admissionv1.Ignore {
		return ""
	}
	for _, r := range h.rules {
		writes := slices.ContainsFunc(r.Operations, func(o admissionv1.OperationType) bool {
			return o == admissionv1.Create || o == admissionv1.Update || o == admissionv1.OperationAll
		})
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				builtIn := group == "" || group == "*" || group == "apps" || group == "batch" || group == "networking.k8s.io"
				if writes && builtIn && !strings.Contains(strings.TrimSuffix(resource, "/*"), "/") {
					return resource
				}
			}
		}
	}
	return ""
}

func seeCatchingHooks(l *look) {
	if l.Target == nil {
		return
	}
	for _, h := range hooksOf(l.Target.Objects) {
		if resource := h.catches(); resource != "" {
			l.say(h.object, "looks at every write of %s in %s and fails closed", resource, l.Target.Name)
		}
	}
}

func seeHooksToSource(l *look) {
	for _, h := range hooksOf(l.Source.Objects) {
		if h.config.URL == nil {
			continue
		}
		host := hostOf(*h.config.URL)
		svc := l.ix.byAddress[host]
		switch {
		case svc != nil:
			l.say(h.object, "leads to %s, the cluster IP of Service %s", *h.config.URL, key(svc.Namespace, svc.Name))
		case l.Source.Address != "" && host == l.Source.Address:
			l.say(h.object, "leads to %s, the source's API server", *h.config.URL)
		}
	}
}

// hostOf is the host of a URL, without port.
func hostOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, ':'); at >= 0 && !strings.HasSuffix(rest, "]") {
		rest = rest[:at]
	}
	return strings.Trim(rest, "[]")
}
