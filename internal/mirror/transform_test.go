package mirror

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/randfill"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// mirroredKinds lists the kinds with a Go type that are ever copied.
func mirroredKinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for kind := range cluster.Scheme().AllKnownTypes() {
		made, err := cluster.Scheme().New(kind)
		if err != nil || kind.Version == runtime.APIVersionInternal || kind.Group == "crossfade.dev" {
			continue
		}
		if _, isObject := made.(client.Object); isObject && builtIn(kind.GroupKind()).Never == "" {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return kinds
}

// random fills an object of a kind with whatever its type allows.
func random(t *rapid.T, kind schema.GroupVersionKind, label string) *unstructured.Unstructured {
	source := rand.NewSource(rapid.Int64().Draw(t, label))
	codecs := serializer.NewCodecFactory(cluster.Scheme())
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, func(serializer.CodecFactory) []any {
		return []any{
			func(raw *runtime.RawExtension, _ randfill.Continue) { raw.Raw = []byte(`{"a":1}`) },
			// A schema holds schemas, without end.
			func(schema *apiextensionsv1.JSONSchemaProps, _ randfill.Continue) { schema.Type = "object" },
			func(fields *metav1.FieldsV1, _ randfill.Continue) {
				fields.SetRawString(`{"f:spec":{"f:replicas":{}}}`)
			},
		}
	}), source, codecs)
	obj, err := cluster.Scheme().New(kind)
	if err != nil {
		t.Fatal(err)
	}
	filler.Fill(obj)
	made := obj.(client.Object)
	made.SetName("name")
	made.SetNamespace("namespace")
	out, err := fieldsOf(kind, made)
	if err != nil {
		t.Skip(err) // a value that its type can hold and JSON can't
	}
	return out
}

func TestTransform(t *testing.T) {
	kinds := mirroredKinds()
	if len(kinds) < 40 {
		t.Fatalf("only %d kinds", len(kinds))
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		rule := builtIn(kind.GroupKind())
		src, live := random(t, kind, "src"), random(t, kind, "live")
		given, givenLive := src.DeepCopy(), live.DeepCopy()

		born := rule.birth(src)
		same(t, "birth says what its origin says", rule.normal(src), rule.normal(born))
		again := born.DeepCopy()
		again.SetManagedFields(src.GetManagedFields())
		same(t, "birth is a fixed point", born, rule.birth(again))
		for _, engine := range rule.Engine {
			if value, _, _ := unstructured.NestedFieldCopy(born.Object, engine.Field...); engine.Birth != nil && value != engine.Birth {
				t.Errorf("%v is %v at birth, want %v", engine.Field, value, engine.Birth)
			}
		}

		changed := rule.change(src, live)
		same(t, "a change says what its origin says", rule.normal(src), rule.normal(changed))
		same(t, "a change of the change changes nothing", changed, rule.change(src, changed))
		for _, field := range slices.Concat(rule.ignored(src), []object.Field{{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"status"}}) {
			got, _, _ := unstructured.NestedFieldNoCopy(changed.Object, field...)
			want, _, _ := unstructured.NestedFieldNoCopy(live.Object, field...)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("a change wrote %v of the cluster: %v, was %v", field, got, want)
			}
		}

		// There and back: what went to the other side and comes back, unchanged, over
		// what it once was, makes it exactly that again.
		same(t, "there and back", withoutManagers(src), rule.change(born, src))

		same(t, "the origin itself is untouched", given, src)
		same(t, "the live object itself is untouched", givenLive, live)
	})
}

func withoutManagers(obj *unstructured.Unstructured) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	unstructured.RemoveNestedField(obj.Object, "metadata", "managedFields")
	return obj
}

func same(t *rapid.T, what string, want, got *unstructured.Unstructured) {
	t.Helper()
	if diff := object.Diff(dropNulls(want), dropNulls(got)); len(diff) > 0 {
		t.Errorf("%s: %s: %v", what, want.GetKind(), diff)
	}
}

// dropNulls leaves out null and empty metadata, which mean nothing.
func dropNulls(obj *unstructured.Unstructured) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	prune(obj.Object)
	for _, field := range []string{"labels", "annotations", "ownerReferences", "finalizers"} {
		dropEmpty(obj, "metadata", field)
	}
	return obj
}

func prune(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if field == nil {
				delete(value, key)
			} else {
				prune(field)
			}
		}
	case []any:
		for _, item := range value {
			prune(item)
		}
	}
}

func TestRules(t *testing.T) {
	objectOfKind := func(apiVersion, kind, rest string) *unstructured.Unstructured {
		return manifest(t, fmt.Sprintf("{apiVersion: %s, kind: %s, %s}", apiVersion, kind, rest))
	}
	tests := []struct {
		name string
		obj  *unstructured.Unstructured
		want string // why it is not mirrored; empty if it is
	}{
		{"a certificate of its own cluster", objectOfKind("v1", "ConfigMap", "metadata: {name: kube-root-ca.crt}"), "certificate"},
		{"another ConfigMap", objectOfKind("v1", "ConfigMap", "metadata: {name: kube-root}"), ""},
		{"a bootstrap token", objectOfKind("v1", "Secret", "metadata: {name: b}, type: bootstrap.kubernetes.io/token"), "join"},
		{"a Helm release", objectOfKind("v1", "Secret", "metadata: {name: sh.helm.release.v1.x.v1}, type: helm.sh/release.v1"), ""},
		{"the API server's Service", objectOfKind("v1", "Service", "metadata: {name: kubernetes, labels: {provider: kubernetes}}"), "API server"},
		{"a system role", objectOfKind("rbac.authorization.k8s.io/v1", "ClusterRole", "metadata: {name: system:node}"), "every cluster"},
		{"a default role", objectOfKind("rbac.authorization.k8s.io/v1", "ClusterRole", "metadata: {name: view, labels: {kubernetes.io/bootstrapping: rbac-defaults}}"), "every cluster"},
		{"a team's role", objectOfKind("rbac.authorization.k8s.io/v1", "ClusterRole", "metadata: {name: viewer}"), ""},
		{"Crossfade's role", objectOfKind("rbac.authorization.k8s.io/v1", "ClusterRole", "metadata: {name: crossfade-engine}"), "Crossfade"},
		{"a Deployment's ReplicaSet", objectOfKind("apps/v1", "ReplicaSet", "metadata: {name: r, ownerReferences: [{kind: Deployment, name: d, uid: u, controller: true}]}"), "again"},
		{"a bare ReplicaSet", objectOfKind("apps/v1", "ReplicaSet", "metadata: {name: r}"), ""},
		{"a system priority", objectOfKind("scheduling.k8s.io/v1", "PriorityClass", "metadata: {name: system-node-critical}"), "every cluster"},
		{"the platform's namespace", objectOfKind("v1", "Namespace", "metadata: {name: kube-system}"), "platform"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rule := builtIn(test.obj.GroupVersionKind().GroupKind())
			if got := rule.excepted(test.obj); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("excepted because %q, want %q", got, test.want)
			}
		})
	}
}

func TestRuleForKinds(t *testing.T) {
	tests := []struct {
		group, kind string
		never, acts bool
		rank        Rank
	}{
		{"", "Pod", true, false, 0},
		{"batch", "Job", true, false, 0},
		{"", "Event", true, false, 0},
		{"coordination.k8s.io", "Lease", true, false, 0},
		{"discovery.k8s.io", "EndpointSlice", true, false, 0},
		{"crossfade.dev", "Migration", true, false, 0},
		{"apps", "DaemonSet", false, true, Workloads},
		{"admissionregistration.k8s.io", "MutatingWebhookConfiguration", false, true, Admission},
		{"cert-manager.io", "Certificate", false, true, Customs},
		{"", "PersistentVolumeClaim", false, true, Contents},
		{"apps", "Deployment", false, false, Workloads},
		{"resource.k8s.io", "DeviceClass", false, false, Customs},
	}
	for _, test := range tests {
		rule := builtIn(schema.GroupKind{Group: test.group, Kind: test.kind})
		if (rule.Never != "") != test.never || (rule.Acts != "") != test.acts || !test.never && rule.Rank != test.rank {
			t.Errorf("%s.%s: %+v", test.kind, test.group, rule)
		}
	}
}

func TestLoadBalancerDoesNotTakeTheAddressOfTheOtherSide(t *testing.T) {
	src := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: {metallb.io/loadBalancerIPs: 10.1.240.1, team: shop}},
		spec: {type: LoadBalancer, loadBalancerIP: 10.1.240.1, externalIPs: [10.1.0.2], clusterIP: 10.101.3.4, clusterIPs: [10.101.3.4],
			ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, ports: [{port: 80, nodePort: 31000}]}}`)
	want := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: {team: shop}},
		spec: {type: LoadBalancer, ports: [{port: 80}]}}`)
	rule := builtIn(src.GroupVersionKind().GroupKind())
	if diff := object.Diff(want, rule.birth(src)); len(diff) > 0 {
		t.Errorf("%v", diff)
	}
	live := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, uid: u, annotations: {metallb.io/loadBalancerIPs: 10.2.240.1}},
		spec: {type: LoadBalancer, clusterIP: 10.102.0.9, clusterIPs: [10.102.0.9], ports: [{port: 80, nodePort: 32000}]}}`)
	want = manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, uid: u, annotations: {team: shop, metallb.io/loadBalancerIPs: 10.2.240.1}},
		spec: {type: LoadBalancer, clusterIP: 10.102.0.9, clusterIPs: [10.102.0.9], ports: [{port: 80, nodePort: 32000}]}}`)
	if diff := object.Diff(want, rule.change(src, live)); len(diff) > 0 {
		t.Errorf("%v", diff)
	}
}

func TestDeclaredNodePortsAreKept(t *testing.T) {
	src := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web, managedFields: [{manager: helm, operation: Update, fieldsV1:
		{"f:spec": {"f:healthCheckNodePort": {}, "f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}, 'k:{"port":80,"protocol":"UDP"}': {"f:port": {}}}}}}]},
		spec: {healthCheckNodePort: 31000, ports: [{port: 80, protocol: UDP, nodePort: 30081}, {port: 80, protocol: TCP, nodePort: 30080}]}}`)
	want := manifest(t, `{apiVersion: v1, kind: Service, metadata: {name: web},
		spec: {healthCheckNodePort: 31000, ports: [{port: 80, protocol: UDP}, {port: 80, protocol: TCP, nodePort: 30080}]}}`)
	rule := builtIn(src.GroupVersionKind().GroupKind())
	if diff := object.Diff(want, rule.birth(src)); len(diff) > 0 {
		t.Errorf("%v", diff)
	}
}
