// Package plan decides: what the estate consists of, what each workload is, what
// may be done next and what holds it. It is pure: it is given what was read and
// the time, and asks nobody.
package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// An Estate is the inventory: every app, ordered by namespace and name.
type Estate struct {
	Apps []App
}

// An App is the unit of inventory and of quarantine: the workloads of one
// namespace that share an instance label (see AppOf).
type App struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Workloads []Workload `json:"workloads"`
}

// A Workload is one thing that runs pods.
type Workload struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Replicas is what the team asks for; 0 for kinds that have no count.
	Replicas int32 `json:"replicas"`
	// Services are the names of the Services that lead to its pods.
	Services []string `json:"services,omitempty"`
	// Autoscaler is the name of the HorizontalPodAutoscaler that scales it.
	Autoscaler string             `json:"autoscaler,omitempty"`
	Traits     []v1.TraitEvidence `json:"traits"`
	Decide     v1.Decide          `json:"decide"`
	// Relations are what stands around it; empty before Relate.
	Relations `json:",inline"`
	// Pod is the template of its pods. It is shared and must not be changed.
	Pod *corev1.PodTemplateSpec `json:"-"`
	// app is the name of the app that it belongs to.
	app string
}

// ID is kind/namespace/name, as decisions write it.
func (w Workload) ID() string { return w.Kind + "/" + w.Namespace + "/" + w.Name }

// Inventory groups what was read into apps, gives each workload its traits with
// their evidence, and decides how it moves. Decisions overrule the traits.
func Inventory(o Objects, decisions []v1.Decision) Estate {
	return new(Known).Inventory(o, decisions)
}

// Inventory is the function of that name, which looks only at what has changed since
// it was called last.
func (k *Known) Inventory(o Objects, decisions []v1.Decision) Estate {
	context, decided := newContext(o), byWorkload(decisions)
	next := make(map[state]*shown, len(k.shown)) // without those that are gone
	shapes := o.shapes()
	workloads := make([]Workload, 0, len(shapes))
	for _, s := range shapes {
		w := Workload{
			Kind: s.kind, Namespace: s.meta.Namespace, Name: s.meta.Name, Replicas: s.replicas,
			Services: context.servicesOf(s), Autoscaler: context.autoscalerOf(s), app: AppOf(s.meta), Pod: s.pod,
		}
		w.Traits = traits(s, w, context, k.of(s.meta, len(w.Services) > 0, next))
		w.Decide = decide(w, decided)
		workloads = append(workloads, w)
	}
	k.shown = next
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

// Clone is an Estate of which Relate may fill in the relations without changing e.
func (e Estate) Clone() Estate {
	out := Estate{Apps: slices.Clone(e.Apps)}
	for i := range out.Apps {
		out.Apps[i].Workloads = slices.Clone(out.Apps[i].Workloads)
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
	// alone says why it never has a pod more than it asks for; "" if it may.
	alone string
	// claims are the claim templates of a StatefulSet.
	claims []corev1.PersistentVolumeClaim
}

func (o Objects) shapes() []shape {
	var out []shape
	for _, d := range o.Deployments {
		out = append(out, shape{
			kind: "Deployment", meta: &d.ObjectMeta, pod: &d.Spec.Template, replicas: count(d.Spec.Replicas), alone: whyAlone(d),
		})
	}
	for _, s := range o.StatefulSets {
		out = append(out, shape{
			kind: "StatefulSet", meta: &s.ObjectMeta, pod: &s.Spec.Template, replicas: count(s.Spec.Replicas), claims: s.Spec.VolumeClaimTemplates,
		})
	}
	for _, d := range o.DaemonSets {
		out = append(out, shape{kind: "DaemonSet", meta: &d.ObjectMeta, pod: &d.Spec.Template})
	}
	for _, c := range o.CronJobs {
		out = append(out, shape{kind: "CronJob", meta: &c.ObjectMeta, pod: &c.Spec.JobTemplate.Spec.Template})
	}
	return append(out, o.looseShapes()...)
}

// looseShapes are the kinds that another workload may have made: only those that
// none of them made are workloads of their own, though a custom resource may own them
// (an Argo Rollout its ReplicaSets, a StrimziPodSet its Pods).
func (o Objects) looseShapes() []shape {
	var out []shape
	for _, r := range o.ReplicaSets {
		if !made(r) {
			out = append(out, shape{kind: "ReplicaSet", meta: &r.ObjectMeta, pod: &r.Spec.Template, replicas: count(r.Spec.Replicas)})
		}
	}
	for _, j := range o.Jobs {
		if !made(j) {
			out = append(out, shape{kind: "Job", meta: &j.ObjectMeta, pod: &j.Spec.Template})
		}
	}
	for _, p := range o.Pods {
		if !made(p) {
			template := &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
			out = append(out, shape{kind: "Pod", meta: &p.ObjectMeta, pod: template, replicas: 1})
		}
	}
	return out
}

// made tells whether a workload that the inventory has, or a node, made an object.
func made(obj metav1.Object) bool {
	owner := metav1.GetControllerOf(obj)
	if owner == nil {
		return false
	}
	switch owner.Kind {
	case "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "CronJob", "Job", "Node":
		return true
	}
	return false
}

// whyAlone tells why a Deployment never has a pod more than it asks for, "" if it may.
func whyAlone(d *appsv1.Deployment) string {
	rolling := d.Spec.Strategy.RollingUpdate
	switch {
	case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		return "its strategy is Recreate: two of its pods must not run at once"
	case rolling != nil && rolling.MaxSurge != nil && rolling.MaxSurge.IntValue() == 0 && rolling.MaxSurge.String() != "":
		n, err := strconv.Atoi(strings.TrimSuffix(rolling.MaxSurge.String(), "%"))
		switch {
		case err != nil || n != 0:
			return ""
		case count(d.Spec.Replicas) == 1:
			return "one replica and maxSurge 0: its only pod ends before the next begins"
		}
		return "maxSurge 0: it never has more pods at once than it asks for"
	}
	return ""
}

func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
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
