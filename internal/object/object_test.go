package object

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

func parse(t interface{ Fatal(...any) }, text string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := obj.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestFormsLeaveOutWhatIsTheClusters(t *testing.T) {
	tests := []struct {
		name                     string
		in, portable, canonical_ string
	}{
		{
			name: "what the server and its controllers wrote",
			in: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, uid: u1, resourceVersion: "7",
				generation: 3, creationTimestamp: "2026-01-01T00:00:00Z", managedFields: [{manager: kubectl}],
				annotations: {deployment.kubernetes.io/revision: "2", team: shop},
				finalizers: [foregroundDeletion, example.com/keep],
				ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: u0}]},
				spec: {replicas: 3, template: {metadata: {creationTimestamp: null, labels: {app: web}}, spec: {volumes: [{name: d, emptyDir: {}}]}}},
				status: {replicas: 3}}`,
			portable: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop,
				annotations: {team: shop}, finalizers: [example.com/keep],
				ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: u0}]},
				spec: {replicas: 3, template: {metadata: {labels: {app: web}}, spec: {volumes: [{name: d, emptyDir: {}}]}}}}`,
			canonical_: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop,
				annotations: {team: shop}, finalizers: [example.com/keep],
				ownerReferences: [{apiVersion: v1, kind: X, name: x}]},
				spec: {replicas: 3, template: {metadata: {labels: {app: web}}, spec: {volumes: [{name: d, emptyDir: {}}]}}}}`,
		},
		{
			name: "allocated addresses and ports of a Service",
			in: `{apiVersion: v1, kind: Service, metadata: {name: web, finalizers: [service.kubernetes.io/load-balancer-cleanup]},
				spec: {clusterIP: 10.1.2.3, clusterIPs: [10.1.2.3], healthCheckNodePort: 31000, ports: [{port: 80, nodePort: 30080}]}}`,
			portable:   `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}`,
			canonical_: `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}`,
		},
		{
			name: "a declared node port is copied, but not compared; headless stays headless",
			in: `{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"ports":[{"port":80,"nodePort":30080}]}}'}},
				spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80, nodePort: 30080}, {port: 81, nodePort: 30081}]}}`,
			portable: `{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"ports":[{"port":80,"nodePort":30080}]}}'}},
				spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80, nodePort: 30080}, {port: 81}]}}`,
			canonical_: `{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"spec":{"ports":[{"port":80,"nodePort":30080}]}}'}},
				spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}, {port: 81}]}}`,
		},
		{
			name: "a service account's token",
			in: `{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t,
				annotations: {kubernetes.io/service-account.name: app, kubernetes.io/service-account.uid: u2}}, data: {token: YQ==, ca.crt: YQ==, namespace: YQ==}}`,
			portable:   `{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: app}}}`,
			canonical_: `{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, annotations: {kubernetes.io/service-account.name: app}}}`,
		},
		{
			name:       "the token Secrets that a service account lists",
			in:         `{apiVersion: v1, kind: ServiceAccount, metadata: {name: app}, secrets: [{name: app-token-x7k2p}, {name: registry}]}`,
			portable:   `{apiVersion: v1, kind: ServiceAccount, metadata: {name: app}, secrets: [{name: registry}]}`,
			canonical_: `{apiVersion: v1, kind: ServiceAccount, metadata: {name: app}, secrets: [{name: registry}]}`,
		},
		{
			name: "what only JSON says of a StatefulSet's claims",
			in: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {volumeClaimTemplates: [
				{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}, status: {phase: Pending}}]}}`,
			portable: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {volumeClaimTemplates: [
				{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}, status: {phase: Pending}}]}}`,
			canonical_: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {volumeClaimTemplates: [
				{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]}}`,
		},
		{
			name: "the binding of a volume",
			in: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d, annotations: {pv.kubernetes.io/bind-completed: "yes"}, finalizers: [kubernetes.io/pvc-protection]},
				spec: {volumeName: pv1, accessModes: [ReadWriteOnce]}}`,
			portable:   `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d}, spec: {volumeName: pv1, accessModes: [ReadWriteOnce]}}`,
			canonical_: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := parse(t, test.in)
			before := in.DeepCopy()
			if diff := Diff(parse(t, test.portable), Portable(in)); len(diff) > 0 {
				t.Errorf("Portable differs from what is wanted: %v", diff)
			}
			if diff := Diff(parse(t, test.canonical_), Canonical(in)); len(diff) > 0 {
				t.Errorf("Canonical differs from what is wanted: %v", diff)
			}
			if len(Diff(before, in)) > 0 {
				t.Error("the object itself was changed")
			}
		})
	}
}

func TestCanonicalLeavesOutTheFieldsOfTheEngine(t *testing.T) {
	source := parse(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 3, paused: true}}`)
	target := parse(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, paused: true}}`)
	if Digest(Canonical(source)) == Digest(Canonical(target)) {
		t.Error("different replicas have the same digest")
	}
	if Digest(Canonical(source, Replicas)) != Digest(Canonical(target, Replicas)) {
		t.Error("the digests differ though only replicas do")
	}
}

func TestDiff(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       []string
	}{
		{"equal", `{kind: X, a: 1}`, `{kind: X, a: 1}`, nil},
		{"integer and float of one value", `{kind: X, a: 1}`, `{kind: X, a: 1.0}`, nil},
		{"changed, added, gone", `{kind: X, a: 1, b: {c: x}}`, `{kind: X, a: 2, d: [1]}`,
			[]string{`a: 1 -> 2`, `b: {"c":"x"} -> absent`, `d: absent -> [1]`}},
		{"in a list of the same length", `{kind: X, a: [{i: 1}, {i: 2}]}`, `{kind: X, a: [{i: 1}, {i: 3}]}`, []string{`a[1].i: 2 -> 3`}},
		{"lists of two lengths", `{kind: X, a: [1]}`, `{kind: X, a: [1, 2]}`, []string{`a: [1] -> [1,2]`}},
		{"a name with dots", `{kind: X, metadata: {labels: {a.b/c: x}}}`, `{kind: X, metadata: {labels: {a.b/c: z}}}`, []string{`metadata.labels["a.b/c"]: "x" -> "z"`}},
		{"what a Secret hides", `{kind: Secret, data: {p: c2VjcmV0}, metadata: {annotations: {l: hunter2}, labels: {l: x}}}`,
			`{kind: Secret, data: {p: c2VjcmV1}, metadata: {annotations: {l: hunter3}, labels: {l: z}}}`,
			[]string{`data.p: (10 bytes) -> (10 bytes)`, `metadata.annotations.l: (9 bytes) -> (9 bytes)`, `metadata.labels.l: "x" -> "z"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, diff := range Diff(parse(t, test.a), parse(t, test.b)) {
				got = append(got, diff.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestDiffCutsLongValuesAtARune(t *testing.T) {
	a := parse(t, `{kind: X, a: "`+strings.Repeat("ü", 200)+`"}`)
	got := Diff(a, parse(t, `{kind: X}`))
	if len(got) != 1 || len(got[0].A) > shown+len("…") || !strings.HasSuffix(got[0].A, "ü…") {
		t.Errorf("got %v", got)
	}
}

func TestUnstructuredSharesNothing(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Labels: map[string]string{"a": "b"}}}
	u, err := Unstructured(secret)
	if err != nil {
		t.Fatal(err)
	}
	u.SetLabels(map[string]string{"a": "c"})
	if secret.Labels["a"] != "b" {
		t.Error("the typed object changed with its fields")
	}
}

// someObject draws objects of the kinds that have rules of their own, with fields
// that the rules concern.
func someObject(t *rapid.T) *unstructured.Unstructured {
	kind := rapid.SampledFrom([]string{"v1 Service", "v1 Secret", "v1 ServiceAccount", "v1 Namespace", "v1 PersistentVolumeClaim", "v1 PersistentVolume", "apps/v1 Deployment"}).Draw(t, "kind")
	version, name, _ := strings.Cut(kind, " ")
	obj := parse(t, fmt.Sprintf(`{apiVersion: %s, kind: %s, metadata: {name: x}}`, version, name))
	fields := []string{
		`{metadata: {uid: u, resourceVersion: "1", labels: {}, annotations: {kubernetes.io/service-account.uid: u}}}`,
		`{metadata: {finalizers: [kubernetes.io/pv-protection, a.b/c], ownerReferences: [{name: o, uid: u}]}}`,
		`{spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 1, nodePort: 30001}]}}`,
		`{spec: {clusterIP: None, claimRef: {uid: u, name: c}, volumeName: v}}`,
		`{type: kubernetes.io/service-account-token, data: {token: dA==}}`,
		`{secrets: [{name: x-token-abcde}]}`,
		`{status: {a: 1}, spec: {finalizers: [kubernetes], replicas: 1, a: null}}`,
	}
	for i, text := range fields {
		if !rapid.Bool().Draw(t, fmt.Sprintf("field %d", i)) {
			continue
		}
		for top, value := range parse(t, "{kind: x, "+text[1:]).Object {
			if top == "kind" {
				continue
			}
			have, both := obj.Object[top].(map[string]any)
			if add, ok := value.(map[string]any); ok && both {
				for key, field := range add {
					have[key] = field
				}
				continue
			}
			obj.Object[top] = value
		}
	}
	return obj
}

func TestFormsAreFixedPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obj := someObject(t)
		portable, canonical := Portable(obj), Canonical(obj)
		if diff := Diff(portable, Portable(portable)); len(diff) > 0 {
			t.Errorf("Portable of Portable: %v", diff)
		}
		if diff := Diff(canonical, Canonical(canonical)); len(diff) > 0 {
			t.Errorf("Canonical of Canonical: %v", diff)
		}
		if diff := Diff(canonical, Canonical(portable)); len(diff) > 0 {
			t.Errorf("Canonical of Portable: %v", diff)
		}
		if Digest(canonical) != Digest(Canonical(portable)) {
			t.Error("no difference, but another digest")
		}
	})
}
