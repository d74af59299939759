package snapshot_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/snapshot"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// definition makes kinds Show and Stage of a group of a team's own.
const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shows.media.example}
spec:
  group: media.example
  scope: Namespaced
  names: {plural: shows, singular: show, kind: Show, listKind: ShowList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// estate is one of everything, in two namespaces of the estate and one that is not.
const estate = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Namespace
metadata: {name: video}
---
apiVersion: v1
kind: Namespace
metadata: {name: platform}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: not-of-the-estate, namespace: platform}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, annotations: {owner: "<shop> & co"}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1", ports: [{containerPort: 8080}]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: shop}
spec:
  replicas: 2
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: store, image: "store:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: video}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "agent:1"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: video}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: "job:1"}]}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: elsewhere-1, namespace: shop, labels: {kubernetes.io/service-name: elsewhere}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints: [{addresses: [192.0.2.7]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, finalizers: [media.example/keep]}
data: {text: "line\nline"}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: shop, annotations: {note: "the password is hunter2"}}
type: Opaque
stringData: {password: hunter2}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: shop}
imagePullSecrets: [{name: registry}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: shop-reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: shop-reader}
subjects: [{kind: ServiceAccount, name: web, namespace: shop}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 9}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: v1
kind: Pod
metadata: {name: by-hand, namespace: video}
spec: {containers: [{name: p, image: "p:1"}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader, namespace: video}
spec: {holderIdentity: somebody}
---
apiVersion: media.example/v1
kind: Show
metadata: {name: news, namespace: video}
spec: {title: News, seats: 3}
`

// owned belongs to the Show, whose kind is restored later, and to a Lease, which is
// not restored at all.
const owned = `
apiVersion: v1
kind: ConfigMap
metadata: {name: of-the-show, namespace: video}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-the-lease, namespace: video}
`

func inEstate(namespace string) bool { return namespace == "shop" || namespace == "video" }

func objects(t testing.TB, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, document := range strings.Split(text, "\n---\n") {
		obj := &unstructured.Unstructured{}
		data, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if err := obj.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		out = append(out, obj)
	}
	return out
}

// newCluster is a cluster in memory whose controllers act whenever it is asked
// something.
func newCluster(number int) *memory.Cluster {
	clock := clocktesting.NewFakePassiveClock(start)
	c := memory.New(memory.Options{Name: fmt.Sprint("cluster-", number), Number: number, Seed: uint64(number), Clock: clock, User: "engine"})
	c.SetFaults(alive(c, clock, nil))
	return c
}

func alive(c *memory.Cluster, clock *clocktesting.FakePassiveClock, then memory.Faults) memory.Faults {
	return func(op memory.Op) memory.Fault {
		clock.SetTime(clock.Now().Add(100 * time.Millisecond))
		c.Tick()
		if then == nil {
			return memory.Fault{}
		}
		return then(op)
	}
}

// furnish puts the estate into a cluster in memory or a real one.
func furnish(t testing.TB, c snapshot.Cluster) {
	t.Helper()
	create := func(obj *unstructured.Unstructured) {
		for deadline := time.Now().Add(3 * time.Second); ; {
			err := c.Create(t.Context(), obj)
			if err == nil {
				return
			}
			if obj.GetKind() == "ServiceAccount" && obj.GetName() == "default" {
				overwrite(t, c, obj)
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("create %s %s: %v", obj.GetKind(), obj.GetName(), err)
			}
		}
	}
	for _, obj := range objects(t, definition) {
		create(obj)
	}
	for _, obj := range objects(t, estate) {
		create(obj)
	}
	for i, obj := range objects(t, owned) {
		owner := &unstructured.Unstructured{}
		owner.SetAPIVersion([]string{"media.example/v1", "coordination.k8s.io/v1"}[i])
		owner.SetKind([]string{"Show", "Lease"}[i])
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "video", Name: []string{"news", "leader"}[i]}, owner); err != nil {
			t.Fatal(err)
		}
		obj.Object["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{
			"apiVersion": owner.GetAPIVersion(), "kind": owner.GetKind(), "name": owner.GetName(), "uid": string(owner.GetUID()),
		}}
		create(obj)
	}
}

func overwrite(t testing.TB, c snapshot.Cluster, obj *unstructured.Unstructured) {
	t.Helper()
	have := &unstructured.Unstructured{}
	have.SetGroupVersionKind(obj.GroupVersionKind())
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), have); err != nil {
		t.Fatal(err)
	}
	obj.SetUID(have.GetUID())
	obj.SetResourceVersion(have.GetResourceVersion())
	if err := c.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

// everything is what stands in a cluster: each object's kind and name, and its
// resourceVersion unless it is what controllers make.
func everything(t testing.TB, c *memory.Cluster) map[string]string {
	t.Helper()
	out := map[string]string{}
	kinds, err := c.Kinds(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind.GroupVersionKind)
		if err := c.List(context.Background(), &list); err != nil {
			continue // cannot be listed
		}
		for _, obj := range list.Items {
			out[kind.Kind+" "+obj.GetNamespace()+"/"+obj.GetName()] = obj.GetResourceVersion()
		}
	}
	return out
}

type keys struct {
	identity  *age.X25519Identity
	recipient age.Recipient
}

func newKeys(t testing.TB) keys {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return keys{identity, identity.Recipient()}
}

func options(recipients ...age.Recipient) snapshot.Options {
	return snapshot.Options{Namespaces: inEstate, Name: "a", Recipients: recipients, Clock: clocktesting.NewFakePassiveClock(start)}
}

// take archives the estate of a new cluster under the name "a".
func take(t testing.TB, store *blobtest.Store, recipients ...age.Recipient) (*memory.Cluster, snapshot.Manifest) {
	t.Helper()
	source := newCluster(1)
	furnish(t, source)
	m, err := snapshot.Take(t.Context(), source, store.Bucket(), options(recipients...))
	if err != nil {
		t.Fatal(err)
	}
	return source, m
}

// impatient is a clock whose waits end at once.
type impatient struct{ *clocktesting.FakeClock }

func (impatient) After(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- start
	return c
}

func into(workers int) snapshot.Into {
	return snapshot.Into{Clock: impatient{clocktesting.NewFakeClock(start)}, Workers: workers}
}
