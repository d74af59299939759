// Package plan decides: what the estate consists of, what each workload is, what
// may be done next and what holds it. It is pure: it is given what was read and
// the time, and asks nobody.
package plan

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	v1 "crossfade.dev/api/v1alpha1"
)

// Objects is what was read of one cluster, in any order. Objects outside the
// estate's namespaces are not part of it.
type Objects struct {
	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	DaemonSets   []*appsv1.DaemonSet
	ReplicaSets  []*appsv1.ReplicaSet
	CronJobs     []*batchv1.CronJob
	Jobs         []*batchv1.Job
	Pods         []*corev1.Pod
	Services     []*corev1.Service
	Ingresses    []*netv1.Ingress
	Autoscalers  []*autoscalingv2.HorizontalPodAutoscaler
}

// An Estate is the inventory: every app, ordered by namespace and name.
type Estate struct {
	Apps []App
}

// An App is the unit of inventory and of quarantine: the workloads of one
// namespace that share an instance label (see AppOf).
type App struct {
	Namespace string
	Name      string
	Workloads []Workload
}

// A Workload is one thing that runs pods.
type Workload struct {
	Kind      string
	Namespace string
	Name      string
	// Replicas is what the team asks for; 0 for kinds that have no count.
	Replicas int32
	// Services are the names of the Services that lead to its pods.
	Services []string
	// Autoscaler is the name of the HorizontalPodAutoscaler that scales it.
	Autoscaler string
	Traits     []v1.TraitEvidence
	Decide     v1.Decide
	// Owner is the app that it belongs to.
	app string
}

// ID is kind/namespace/name, as decisions write it.
func (w Workload) ID() string { return w.Kind + "/" + w.Namespace + "/" + w.Name }

// Inventory groups what was read into apps, gives each workload its traits with
// their evidence, and decides how it moves. Decisions overrule the traits.
func Inventory(o Objects, decisions []v1.Decision) Estate {
	context := newContext(o)
	var workloads []Workload
	for _, s := range o.shapes() {
		w := Workload{
			Kind: s.kind, Namespace: s.meta.Namespace, Name: s.meta.Name, Replicas: s.replicas,
			Services: context.servicesOf(s), Autoscaler: context.autoscalerOf(s), app: AppOf(s.meta),
		}
		w.Traits = traits(s, w, context)
		w.Decide = decide(w, decisions)
		workloads = append(workloads, w)
	}
	return group(workloads)
}

// AppOf names the app that a workload belongs to: app.kubernetes.io/instance, else
// app.kubernetes.io/name, else app, else the workload's own name.
func AppOf(meta *metav1.ObjectMeta) string {
	if app := LabelledApp(meta.Labels); app != "" {
		return app
	}
	return meta.Name
}

// LabelledApp is the app that labels name, "" if they name none.
func LabelledApp(labels map[string]string) string {
	for _, key := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/name", "app"} {
		if app := labels[key]; app != "" {
			return app
		}
	}
	return ""
}

// Workloads lists the workloads of every app that the filter accepts.
func (e Estate) Workloads(accept func(Workload) bool) []Workload {
	var out []Workload
	for _, app := range e.Apps {
		for _, w := range app.Workloads {
			if accept(w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// Moving tells whether a workload changes sides.
func Moving(w Workload) bool { return w.Decide == v1.DecideMove }

// NeedsDecision tells whether a workload waits for a person's decision.
func NeedsDecision(w Workload) bool { return w.Decide == v1.Undecided }

// A shape is what every kind of workload has in common.
type shape struct {
	kind     string
	meta     *metav1.ObjectMeta
	pod      *corev1.PodTemplateSpec
	replicas int32
	recreate bool
}

func (o Objects) shapes() []shape {
	var out []shape
	for _, d := range o.Deployments {
		out = append(out, shape{"Deployment", &d.ObjectMeta, &d.Spec.Template, count(d.Spec.Replicas),
			d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType})
	}
	for _, s := range o.StatefulSets {
		out = append(out, shape{"StatefulSet", &s.ObjectMeta, &s.Spec.Template, count(s.Spec.Replicas), false})
	}
	for _, d := range o.DaemonSets {
		out = append(out, shape{"DaemonSet", &d.ObjectMeta, &d.Spec.Template, 0, false})
	}
	for _, c := range o.CronJobs {
		out = append(out, shape{"CronJob", &c.ObjectMeta, &c.Spec.JobTemplate.Spec.Template, 0, false})
	}
	return append(out, o.looseShapes()...)
}

// looseShapes are the kinds that another workload may have made: only those that
// nobody owns are workloads of their own.
func (o Objects) looseShapes() []shape {
	var out []shape
	for _, r := range o.ReplicaSets {
		if metav1.GetControllerOf(r) == nil {
			out = append(out, shape{"ReplicaSet", &r.ObjectMeta, &r.Spec.Template, count(r.Spec.Replicas), false})
		}
	}
	for _, j := range o.Jobs {
		if metav1.GetControllerOf(j) == nil {
			out = append(out, shape{"Job", &j.ObjectMeta, &j.Spec.Template, 0, false})
		}
	}
	for _, p := range o.Pods {
		if metav1.GetControllerOf(p) == nil {
			template := &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
			out = append(out, shape{"Pod", &p.ObjectMeta, template, 1, false})
		}
	}
	return out
}

func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// context answers what stands around a workload, by namespace.
type context struct {
	services    map[string][]*corev1.Service
	autoscalers map[string]string
}

func newContext(o Objects) context {
	c := context{services: map[string][]*corev1.Service{}, autoscalers: map[string]string{}}
	for _, s := range o.Services {
		if len(s.Spec.Selector) > 0 {
			c.services[s.Namespace] = append(c.services[s.Namespace], s)
		}
	}
	for _, h := range o.Autoscalers {
		ref := h.Spec.ScaleTargetRef
		c.autoscalers[ref.Kind+"/"+h.Namespace+"/"+ref.Name] = h.Name
	}
	return c
}

func (c context) servicesOf(s shape) []string {
	var names []string
	for _, svc := range c.services[s.meta.Namespace] {
		if labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(s.pod.Labels)) {
			names = append(names, svc.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (c context) autoscalerOf(s shape) string {
	return c.autoscalers[s.kind+"/"+s.meta.Namespace+"/"+s.meta.Name]
}

// affine tells whether a Service of the workload pins clients to pods.
func (c context) affine(w Workload) (service string, yes bool) {
	for _, svc := range c.services[w.Namespace] {
		if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP && slices.Contains(w.Services, svc.Name) {
			return svc.Name, true
		}
	}
	return "", false
}

func group(workloads []Workload) Estate {
	slices.SortFunc(workloads, func(a, b Workload) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.app, b.app),
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	var estate Estate
	for _, w := range workloads {
		last := len(estate.Apps) - 1
		if last < 0 || estate.Apps[last].Namespace != w.Namespace || estate.Apps[last].Name != w.app {
			estate.Apps = append(estate.Apps, App{Namespace: w.Namespace, Name: w.app})
			last++
		}
		estate.Apps[last].Workloads = append(estate.Apps[last].Workloads, w)
	}
	return estate
}
