package plan

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Relations are what stands around a workload, as far as it is visible: each list
// is ordered and without repetition.
type Relations struct {
	// Needs are objects without which its pods do not start or do not work.
	Needs []Relation `json:"needs,omitempty"`
	// Reached is how its pods are reached, by name or from outside.
	Reached []Relation `json:"reached,omitempty"`
	// Calls are Services that it names in its environment or arguments.
	Calls []Relation `json:"calls,omitempty"`
	// Scaling is what changes how many pods it has, or bounds how few.
	Scaling []Relation `json:"scaling,omitempty"`
	// Tenant is who owns it, by a label of its namespace; "" if nothing says.
	Tenant string `json:"tenant,omitempty"`
	// Deployers are those who apply it, by its field managers and labels.
	Deployers []string `json:"deployers,omitempty"`
}

// A Relation is one object that a workload has to do with.
type Relation struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Evidence says where it was seen, or what kind of relation it is.
	Evidence string `json:"evidence,omitempty"`
}

// Relate fills in the Relations of every workload. Tenants are read from the first
// of tenantLabels that a namespace has; without any, from a label whose last part is
// team, tenant, owner or squad.
func (e Estate) Relate(o Objects, tenantLabels ...string) {
	r := newRelating(o, tenantLabels)
	for _, app := range e.Apps {
		for i := range app.Workloads {
			w := &app.Workloads[i]
			w.Relations = Relations{
				Needs: tidy(r.needs(*w)), Reached: tidy(r.reached(*w)), Calls: tidy(r.calls(*w)), Scaling: tidy(r.scaling(*w)),
				Tenant: r.tenants[w.Namespace], Deployers: r.deployers[w.ID()],
			}
		}
	}
}

func tidy(all []Relation) []Relation {
	slices.SortFunc(all, func(a, b Relation) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Evidence, b.Evidence))
	})
	return slices.CompactFunc(all, func(a, b Relation) bool { return a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name })
}

// relating is what Relate looks things up in.
type relating struct {
	context   context
	tenants   map[string]string
	deployers map[string][]string
	operators map[string]string // by controller kind, who serves it
	names     map[string]bool   // Services, as namespace/name
	routes    map[string][]Object
	configs   map[string][]*corev1.ConfigMap
	budgets   map[string][]*policyv1.PodDisruptionBudget
	others    map[string][]Object
}

func newRelating(o Objects, tenantLabels []string) relating {
	r := relating{
		context: newContext(o), tenants: map[string]string{}, deployers: map[string][]string{}, operators: map[string]string{},
		names: map[string]bool{}, routes: map[string][]Object{}, others: map[string][]Object{},
		budgets: byNamespace(o.Budgets), configs: byNamespace(o.ConfigMaps),
	}
	for _, n := range o.Namespaces {
		r.tenants[n.Name] = TenantOf(n.Labels, tenantLabels)
	}
	for _, s := range o.shapes() {
		r.deployers[s.kind+"/"+s.meta.Namespace+"/"+s.meta.Name] = DeployersOf(s.meta)
	}
	for _, d := range o.Definitions {
		r.operators[d.Spec.Names.Kind] = operatorOf(d, o)
	}
	for _, s := range o.Services {
		r.names[s.Namespace+"/"+s.Name] = true
	}
	for _, u := range o.Others {
		ns := u.GetNamespace()
		switch kind := u.GetKind(); {
		case strings.HasSuffix(kind, "Route") || kind == "VirtualService" || kind == "HTTPProxy" || kind == "Mapping":
			r.routes[ns] = append(r.routes[ns], u)
		case kind == "ScaledObject" || kind == "ScaledJob" || kind == "VerticalPodAutoscaler":
			r.others[ns] = append(r.others[ns], u)
		}
	}
	return r
}

var tenantLabel = regexp.MustCompile(`(^|[/.-])(team|tenant|owner|squad)$`)

// TenantOf tells who owns a namespace by its labels, "" if they do not say.
func TenantOf(nsLabels map[string]string, keys []string) string {
	for _, key := range keys {
		if v := nsLabels[key]; v != "" {
			return v
		}
	}
	if len(keys) > 0 {
		return ""
	}
	found := ""
	for key := range nsLabels {
		if tenantLabel.MatchString(key) && nsLabels[key] != "" && (found == "" || key < found) {
			found = key
		}
	}
	return nsLabels[found]
}

// deployerWords tell who applies an object by the names of field managers.
var deployerWords = []struct{ in, who string }{
	{"argocd", "Argo CD"}, {"kustomize-controller", "Flux"}, {"helm-controller", "Flux"}, {"flux", "Flux"}, {"helm", "Helm"},
	{"kubectl", "kubectl"}, {"terraform", "Terraform"}, {"pulumi", "Pulumi"}, {"spinnaker", "Spinnaker"}, {"kapp", "kapp"}, {"rancher", "Rancher"},
}

// DeployersOf names who applies an object, by its field managers, labels and
// annotations.
func DeployersOf(meta *metav1.ObjectMeta) []string {
	var out []string
	for _, m := range meta.ManagedFields {
		for _, d := range deployerWords {
			if m.Subresource == "" && strings.Contains(strings.ToLower(m.Manager), d.in) {
				out = append(out, d.who)
				break
			}
		}
	}
	has := func(yes bool, who string) {
		if yes {
			out = append(out, who)
		}
	}
	_, helm := meta.Annotations["meta.helm.sh/release-name"]
	_, applied := meta.Annotations[corev1.LastAppliedConfigAnnotation]
	_, argo := meta.Annotations["argocd.argoproj.io/tracking-id"]
	argoLabel := meta.Labels["argocd.argoproj.io/instance"] != ""
	flux := meta.Labels["kustomize.toolkit.fluxcd.io/name"] != "" || meta.Labels["helm.toolkit.fluxcd.io/name"] != ""
	has(helm || meta.Labels["app.kubernetes.io/managed-by"] == "Helm" || meta.Labels["heritage"] == "Helm", "Helm")
	has(argo || argoLabel, "Argo CD")
	has(flux, "Flux")
	has(applied && len(out) == 0, "kubectl")
	slices.Sort(out)
	return slices.Compact(out)
}

// operatorOf names the Deployment that most likely serves a kind: one whose account
// may write it can not be told from lists alone, so it is the one that the
// definition's labels or its webhook's Service lead to.
func operatorOf(d *apiextensionsv1.CustomResourceDefinition, o Objects) string {
	instance := LabelledApp(d.Labels)
	service := ""
	if c := d.Spec.Conversion; c != nil && c.Webhook != nil && c.Webhook.ClientConfig != nil && c.Webhook.ClientConfig.Service != nil {
		service = c.Webhook.ClientConfig.Service.Namespace + "/" + c.Webhook.ClientConfig.Service.Name
	}
	for _, dep := range o.Deployments {
		if instance != "" && LabelledApp(dep.Labels) == instance {
			return dep.Namespace + "/" + dep.Name
		}
		if service != "" && strings.HasPrefix(service, dep.Namespace+"/") && strings.Contains(service, dep.Name) {
			return dep.Namespace + "/" + dep.Name
		}
	}
	return ""
}

func (r relating) needs(w Workload) []Relation {
	var out []Relation
	add := func(kind, name, evidence string) {
		if name != "" {
			out = append(out, Relation{kind, w.Namespace, name, evidence})
		}
	}
	spec := &w.Pod.Spec
	add("ServiceAccount", spec.ServiceAccountName, "its account")
	for _, s := range spec.ImagePullSecrets {
		add("Secret", s.Name, "pulls its images")
	}
	for _, v := range spec.Volumes {
		needsOfVolume(v, add)
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, f := range c.EnvFrom {
			if f.ConfigMapRef != nil {
				add("ConfigMap", f.ConfigMapRef.Name, "environment of "+c.Name)
			}
			if f.SecretRef != nil {
				add("Secret", f.SecretRef.Name, "environment of "+c.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				add("ConfigMap", e.ValueFrom.ConfigMapKeyRef.Name, "variable "+e.Name)
			}
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				add("Secret", e.ValueFrom.SecretKeyRef.Name, "variable "+e.Name)
			}
		}
	}
	if spec.PriorityClassName != "" {
		out = append(out, Relation{Kind: "PriorityClass", Name: spec.PriorityClassName})
	}
	return append(out, r.operated(w)...)
}

func needsOfVolume(v corev1.Volume, add func(kind, name, evidence string)) {
	evidence := "volume " + v.Name
	if v.ConfigMap != nil {
		add("ConfigMap", v.ConfigMap.Name, evidence)
	}
	if v.Secret != nil {
		add("Secret", v.Secret.SecretName, evidence)
	}
	if v.PersistentVolumeClaim != nil {
		add("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, evidence)
	}
	if v.Projected != nil {
		for _, p := range v.Projected.Sources {
			if p.ConfigMap != nil {
				add("ConfigMap", p.ConfigMap.Name, evidence)
			}
			if p.Secret != nil {
				add("Secret", p.Secret.Name, evidence)
			}
		}
	}
}

// operated are the custom resource that owns a workload, and who serves its kind.
func (r relating) operated(w Workload) []Relation {
	for _, t := range w.Traits {
		kind, name, ok := strings.Cut(strings.TrimPrefix(t.Evidence, "controlled by "), " ")
		if by, known := r.operators[kind]; known && ok {
			return []Relation{{kind, w.Namespace, name, "its controller"}, {"CustomResourceDefinition", "", kind, cmp.Or(by, "nobody seen serves it")}}
		}
	}
	return nil
}

func (r relating) reached(w Workload) []Relation {
	var out []Relation
	for _, s := range r.context.servicesNamed(w) {
		how := "name inside the cluster"
		switch {
		case s.Spec.ClusterIP == corev1.ClusterIPNone:
			how = "headless name"
		case s.Spec.Type == corev1.ServiceTypeLoadBalancer:
			how = "LoadBalancer"
		case s.Spec.Type == corev1.ServiceTypeNodePort:
			how = "NodePort"
		}
		out = append(out, Relation{"Service", s.Namespace, s.Name, how})
	}
	for _, i := range r.context.ingressesTo(w) {
		var hosts []string
		for _, rule := range i.Spec.Rules {
			hosts = append(hosts, cmp.Or(rule.Host, "*"))
		}
		out = append(out, Relation{"Ingress", i.Namespace, i.Name, strings.Join(hosts, ", ")})
	}
	for _, route := range r.routes[w.Namespace] {
		if text := textOf(route); mentionsAny(text, w.Services) {
			out = append(out, Relation{kindOf(route), route.GetNamespace(), route.GetName(), ""})
		}
	}
	return out
}

func (r relating) scaling(w Workload) []Relation {
	var out []Relation
	if w.Autoscaler != "" {
		out = append(out, Relation{"HorizontalPodAutoscaler", w.Namespace, w.Autoscaler, ""})
	}
	for _, b := range r.budgets[w.Namespace] {
		if b.Spec.Selector == nil {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && s.Matches(labels.Set(w.Pod.Labels)) {
			out = append(out, Relation{"PodDisruptionBudget", b.Namespace, b.Name, ""})
		}
	}
	for _, obj := range r.others[w.Namespace] {
		if targetOf(obj) == w.Name {
			out = append(out, Relation{kindOf(obj), obj.GetNamespace(), obj.GetName(), ""})
		}
	}
	return out
}
