package mirror

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/controltest"
	"crossfade.dev/internal/object"
)

// teamsManifests is what a team keeps in its repository.
const teamsManifests = `
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, namespace: shop, labels: {app: NAME}}
data: {level: info}
---
apiVersion: v1
kind: Secret
metadata: {name: NAME, namespace: shop}
stringData: {password: hunter2}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAME, namespace: shop}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NAME, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}
subjects: [{kind: ServiceAccount, name: NAME}]
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {type: LoadBalancer, selector: {app: NAME}, ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 81}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      serviceAccountName: NAME
      containers: [{name: web, image: "web:1", ports: [{containerPort: 8080}], env: [{name: A, value: "1"}], resources: {requests: {cpu: 500m}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: NAME, namespace: shop}
spec:
  serviceName: NAME
  selector: {matchLabels: {app: NAME-db}}
  template: {metadata: {labels: {app: NAME-db}}, spec: {containers: [{name: db, image: "db:1"}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: NAME, namespace: shop}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: NAME}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: NAME, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: NAME, namespace: shop}
spec: {schedule: "0 3 * * *", timeZone: Etc/UTC, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: "a:1"}]}}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: NAME, namespace: shop}
spec: {podSelector: {matchLabels: {app: NAME}}, ingress: [{}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: NAME, namespace: shop}
spec: {rules: [{host: NAME.example.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: NAME, port: {name: http}}}}]}}]}
`

// kubectl runs the real kubectl, as the sandbox has it.
func kubectl(t *testing.T, kubeconfig, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv(controltest.Binary), append([]string{"kubectl", "--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func documents(t *testing.T, name string) (text string, objects []*unstructured.Unstructured) {
	t.Helper()
	text = strings.ReplaceAll(teamsManifests, "NAME", name)
	for document := range strings.SplitSeq(text, "---\n") {
		objects = append(objects, manifest(t, document))
	}
	return text, objects
}

// toolsFindNothingToDo lets teams' tools run against the target after the move. They
// must do there what they do when they run against the source again: nothing, save that
// some of them write what they have written (a Secret's stringData, a StatefulSet's
// claims) whatever is there.
func toolsFindNothingToDo(t *testing.T, s *servers) {
	source, target := controltest.Kubeconfig(t, map[string]*rest.Config{"test": s.fromConfig}), controltest.Kubeconfig(t, map[string]*rest.Config{"test": s.toConfig})
	clientSide, byClient := documents(t, "client-side")
	serverSide, byServer := documents(t, "server-side")
	_, byTwo := documents(t, "by-two")
	all := slices.Concat(byClient, byServer, byTwo)
	run := func(kubeconfig string, c *cluster.Cluster) (said string, changed []string) {
		was := map[string]string{}
		for _, obj := range all {
			if live := seen(t, c, obj); live != nil {
				was[obj.GetKind()+" "+obj.GetName()] = live.GetResourceVersion()
			}
		}
		said = kubectl(t, kubeconfig, clientSide, "apply", "-f", "-") + kubectl(t, kubeconfig, serverSide, "apply", "--server-side", "-f", "-")
		for _, obj := range byTwo {
			s.applyAsTwo(t, c, obj)
		}
		for _, obj := range all {
			if name := obj.GetKind() + " " + obj.GetName(); read(t, c, obj).GetResourceVersion() != was[name] {
				changed = append(changed, name)
			}
		}
		return said, changed
	}
	run(source, s.from)
	saidAtHome, changedAtHome := run(source, s.from)
	before := s.counted.writes.Load()
	if report := s.follow(); !report.Level() {
		t.Fatalf("not level: %+v", report)
	}
	// What was applied server-side needs a second write, which says so.
	most := int64(len(byClient) + 2*len(byServer) + 2*len(byTwo))
	if wrote := s.counted.writes.Load() - before; wrote > most {
		t.Errorf("%d writes, want %d at most", wrote, most)
	}
	said, changed := run(target, s.to)
	if said != saidAtHome {
		t.Errorf("on the target the tools say\n%s\non the source\n%s", said, saidAtHome)
	}
	for _, name := range changed {
		// The API server notes a new time for fields that it does not keep as they were
		// applied, if the second has changed.
		if kind, _, _ := strings.Cut(name, " "); kind != "Secret" && kind != "StatefulSet" {
			t.Errorf("on the target the tools change %s", name)
		}
	}
	t.Logf("%d objects; written again by a second run at home: %q, by the first on the target: %q", len(all), changedAtHome, changed)
	for _, obj := range all {
		rule := builtIn(obj.GroupVersionKind().GroupKind())
		origin, copied := read(t, s.from, obj), s.copyOf(obj)
		for _, d := range object.Diff(rule.normal(origin), rule.normal(copied)) {
			t.Errorf("after the tools: %s %s: %s", obj.GetKind(), obj.GetName(), d)
		}
		if must(rule.ownership(origin)) != must(rule.ownership(copied)) {
			t.Errorf("after the tools: %s %s is owned by\n%s\non the source by\n%s", obj.GetKind(), obj.GetName(), s.owners(s.to, obj), s.owners(s.from, obj))
		}
	}
	if report := s.follow(); !report.Level() || len(report.Drift) > 0 {
		t.Errorf("after the tools: %+v", report)
	}
}

// seen is an object as it is, or nil.
func seen(t *testing.T, c *cluster.Cluster, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live := obj.DeepCopy()
	err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// applyAsTwo applies an object as Argo CD does, and a label of it as Flux does.
func (s *servers) applyAsTwo(t *testing.T, c *cluster.Cluster, obj *unstructured.Unstructured) {
	t.Helper()
	if _, err := apply(t.Context(), c.API, "argocd-controller", obj); err != nil {
		t.Errorf("apply %s as Argo CD: %v", obj.GetKind(), err)
	}
	label := &unstructured.Unstructured{}
	label.SetGroupVersionKind(obj.GroupVersionKind())
	label.SetNamespace(obj.GetNamespace())
	label.SetName(obj.GetName())
	label.SetLabels(map[string]string{"flux": "yes"})
	if _, err := apply(t.Context(), c.API, "kustomize-controller", label); err != nil {
		t.Errorf("apply %s as Flux: %v", obj.GetKind(), err)
	}
}
