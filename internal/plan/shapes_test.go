package plan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
)

// A labelled shape is a workload as testdata writes it (see its README.md).
type labelled struct {
	Name string
	// After is whose chart or documentation it follows.
	After string
	// Want are the traits that a person who knows the program names.
	Want []v1.Trait

	Kind          string // Deployment if empty
	Replicas      int32  // 1 if 0
	Image         string
	Command, Args []string
	Ports         []int32
	PortNames     map[string]int32
	Env           []string // NAME=value
	// Volumes are KIND:PATH, or KIND:PATH:ro; the kinds are claim, emptyDir and
	// hostPath, whose path is the same on the node.
	Volumes []string
	Claims  int // claim templates
	// Strategy is Recreate, or NoSurge.
	Strategy string
	Labels   map[string]string
	// Service is whether one leads to it, with Annotations and Affinity. Ingress
	// are the annotations of one that leads to the Service.
	Service     bool
	Annotations map[string]string
	Affinity    corev1.ServiceAffinity
	Ingress     map[string]string
	// Owner is the kind of its controller; Lease the holder of one in its namespace;
	// Keda the type of the trigger that scales it.
	Owner, Lease, Keda string
}

func shapesOf(t testing.TB, files ...string) []labelled {
	t.Helper()
	var all []labelled
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var some []labelled
		if err := yaml.UnmarshalStrict(text, &some); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, some...)
	}
	return all
}

// Every shape by which rules are written is told rightly.
func TestTraitsOfKnownShapes(t *testing.T) {
	all := shapesOf(t, "testdata/shapes.yaml")
	if wrong := toldWrongly(t, all); len(wrong) > 0 {
		t.Errorf("%d of %d told wrongly:\n%s", len(wrong), len(all), strings.Join(wrong, "\n"))
	}
	if len(all) < 150 {
		t.Errorf("%d shapes, want at least 150", len(all))
	}
}

// The bar is for shapes at which nobody who writes rules has looked: a third of all at
// least, of which 97 % are told rightly. They stand in files of their own.
func TestTraitsOfHeldOutShapes(t *testing.T) {
	files, err := filepath.Glob("testdata/heldout*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no testdata/heldout*.yaml")
	}
	known, held := shapesOf(t, "testdata/shapes.yaml"), shapesOf(t, files...)
	wrong := toldWrongly(t, held)
	t.Logf("%d held out, %d of them told wrongly:\n%s", len(held), len(wrong), strings.Join(wrong, "\n"))
	if len(wrong)*100 > len(held)*3 {
		t.Errorf("%d of %d held out are told wrongly, want at most 3 %%", len(wrong), len(held))
	}
	if len(held)*3 < len(held)+len(known) {
		t.Errorf("%d of %d are held out, want a third", len(held), len(held)+len(known))
	}
}

// TestTraitsOfGivenShapes scores the files that CROSSFADE_SHAPES lists (paths, with
// commas between), and prints every shape that is told wrongly.
func TestTraitsOfGivenShapes(t *testing.T) {
	list := os.Getenv("CROSSFADE_SHAPES")
	if list == "" {
		t.Skip("CROSSFADE_SHAPES lists no files")
	}
	for _, file := range strings.Split(list, ",") {
		all := shapesOf(t, file)
		wrong := toldWrongly(t, all)
		t.Logf("%s: %d of %d right (%.1f %%)\n%s", file, len(all)-len(wrong), len(all), 100-100*float64(len(wrong))/float64(len(all)), strings.Join(wrong, "\n"))
	}
}

// toldWrongly says of each shape whose traits are not those that it wants what was
// found, and by which evidence.
func toldWrongly(t *testing.T, all []labelled) []string {
	t.Helper()
	var wrong []string
	for _, shape := range all {
		got, evidence := shape.traits(t)
		if want := slices.Sorted(slices.Values(shape.Want)); !slices.Equal(got, want) {
			wrong = append(wrong, fmt.Sprintf("%s: %v, want %v; %s", shape.Name, got, want, evidence))
		}
	}
	return wrong
}

// BenchmarkTraits takes the inventory of 1,600 workloads that nothing is known of, and
// again when nothing has changed.
func BenchmarkTraits(b *testing.B) {
	var o Objects
	for i, shapes := 0, shapesOf(b, "testdata/shapes.yaml"); i < 1600; i++ {
		shape := shapes[i%len(shapes)]
		shape.Name = fmt.Sprint(shape.Name, "-", i)
		one := shape.objects()
		one.Each(func(obj Object) {
			obj.SetNamespace(fmt.Sprint("team-", i/4))
			obj.SetUID(types.UID(shape.Name))
			obj.SetGeneration(1)
			o.Add(obj)
		})
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			Inventory(o, nil)
		}
	})
	b.Run("known", func(b *testing.B) {
		known := new(Known)
		for b.Loop() {
			known.Inventory(o, nil)
		}
	})
}

// traits are those that the inventory finds, ordered, and their evidence.
func (l labelled) traits(t *testing.T) ([]v1.Trait, string) {
	t.Helper()
	estate := Inventory(l.objects(), nil)
	if len(estate.Apps) != 1 || len(estate.Apps[0].Workloads) != 1 {
		return nil, "not found to be one workload"
	}
	w := estate.Apps[0].Workloads[0]
	got, evidence := []v1.Trait{}, []string{}
	for _, x := range w.Traits {
		got = append(got, x.Trait)
		evidence = append(evidence, x.Evidence)
		if x.Evidence == "" {
			t.Errorf("%s: %s without evidence", l.Name, x.Trait)
		}
	}
	slices.Sort(got)
	return got, strings.Join(evidence, "; ")
}

func (l labelled) objects() Objects {
	meta := metav1.ObjectMeta{Namespace: "ns", Name: l.Name, Labels: map[string]string{"app": l.Name}}
	for k, v := range l.Labels {
		meta.Labels[k] = v
	}
	if l.Owner != "" {
		meta.OwnerReferences = []metav1.OwnerReference{{Kind: l.Owner, Name: "x", Controller: new(true)}}
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": l.Name}}, Spec: l.pod()}
	replicas := max(l.Replicas, 1)
	var o Objects
	switch l.Kind {
	case "", "Deployment":
		d := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template}}
		d.Spec.Strategy.Type = appsv1.DeploymentStrategyType(l.Strategy)
		if l.Strategy == "NoSurge" {
			d.Spec.Strategy = appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: new(intstr.FromInt32(0))}}
		}
		o.Deployments = append(o.Deployments, d)
	case "StatefulSet":
		s := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Template: template}}
		s.Spec.VolumeClaimTemplates = make([]corev1.PersistentVolumeClaim, l.Claims)
		o.StatefulSets = append(o.StatefulSets, s)
	case "DaemonSet":
		o.DaemonSets = append(o.DaemonSets, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}})
	case "ReplicaSet":
		o.ReplicaSets = append(o.ReplicaSets, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template}})
	case "CronJob":
		c := &batchv1.CronJob{ObjectMeta: meta}
		c.Spec.JobTemplate.Spec.Template = template
		o.CronJobs = append(o.CronJobs, c)
	case "Job":
		o.Jobs = append(o.Jobs, &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Template: template}})
	case "Pod":
		o.Pods = append(o.Pods, &corev1.Pod{ObjectMeta: meta, Spec: template.Spec})
	default:
		panic(l.Kind)
	}
	l.around(&o)
	return o
}

func (l labelled) around(o *Objects) {
	meta := metav1.ObjectMeta{Namespace: "ns", Name: l.Name, Annotations: l.Annotations}
	if l.Service {
		o.Services = append(o.Services, &corev1.Service{ObjectMeta: meta,
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": l.Name}, SessionAffinity: l.Affinity}})
	}
	if l.Ingress != nil {
		meta.Annotations = l.Ingress
		o.Ingresses = append(o.Ingresses, &netv1.Ingress{ObjectMeta: meta, Spec: netv1.IngressSpec{
			DefaultBackend: &netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: l.Name}}}})
	}
	if l.Lease != "" {
		o.Leases = append(o.Leases, &coordinationv1.Lease{ObjectMeta: meta, Spec: coordinationv1.LeaseSpec{HolderIdentity: &l.Lease}})
	}
	if l.Keda != "" {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
			"spec": map[string]any{"scaleTargetRef": map[string]any{"name": l.Name}, "triggers": []any{map[string]any{"type": l.Keda}}},
		}}
		u.SetNamespace("ns")
		u.SetName(l.Name)
		o.Others = append(o.Others, u)
	}
}

func (l labelled) pod() corev1.PodSpec {
	c := corev1.Container{Name: "main", Image: l.Image, Command: l.Command, Args: l.Args}
	for _, p := range l.Ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: p})
	}
	for name, p := range l.PortNames {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: name, ContainerPort: p})
	}
	for _, e := range l.Env {
		name, value, _ := strings.Cut(e, "=")
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	spec := corev1.PodSpec{}
	for i, v := range l.Volumes {
		kind, path, _ := strings.Cut(v, ":")
		path, ro, _ := strings.Cut(path, ":")
		volume := corev1.Volume{Name: fmt.Sprint("v", i)}
		switch kind {
		case "claim":
			volume.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: l.Name}
		case "hostPath":
			volume.HostPath = &corev1.HostPathVolumeSource{Path: path}
		default:
			volume.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
		spec.Volumes = append(spec.Volumes, volume)
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volume.Name, MountPath: path, ReadOnly: ro == "ro"})
	}
	spec.Containers = []corev1.Container{c}
	return spec
}
