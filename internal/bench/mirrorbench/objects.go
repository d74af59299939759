package mirrorbench

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// appsPerNamespace is how many apps a team has.
const appsPerNamespace = 8

// Objects that the measurement of lag changes stand in the first team's namespace.
const (
	changingNamespace = "team-000"
	changing          = "bench.crossfade.dev/changing"
	objectsChanged    = 200
)

// app is what one app consists of: 11 kinds.
const app = `
{apiVersion: v1, kind: ServiceAccount}
---
{apiVersion: v1, kind: ConfigMap, data: {application.yaml: "server: {port: 8080}\nfeatures: {live: true, replay: false}\n"}}
---
{apiVersion: v1, kind: Secret, stringData: {password: correct-horse-battery-staple}}
---
apiVersion: v1
kind: Service
spec: {selector: {app: NAME}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
spec:
  replicas: 3
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      serviceAccountName: NAME
      containers:
      - name: app
        image: registry.example.test/NAME:1.42.0
        ports: [{name: http, containerPort: 8080}]
        envFrom: [{configMapRef: {name: NAME}}, {secretRef: {name: NAME}}]
        readinessProbe: {httpGet: {path: /ready, port: http}}
        resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}
  minReplicas: 3
  maxReplicas: 12
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {maxUnavailable: 1, selector: {matchLabels: {app: NAME}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
spec: {podSelector: {matchLabels: {app: NAME}}, ingress: [{ports: [{port: 8080}]}], policyTypes: [Ingress]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, watch]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}
subjects: [{kind: ServiceAccount, name: NAME, namespace: NAMESPACE}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
spec:
  rules: [{host: NAME.example.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: NAME, port: {name: http}}}}]}}]
`

// team is what a namespace has once.
const team = `
{apiVersion: v1, kind: Namespace}
---
{apiVersion: v1, kind: LimitRange, spec: {limits: [{type: Container, defaultRequest: {cpu: 50m}}]}}
---
apiVersion: batch/v1
kind: CronJob
spec:
  schedule: "17 4 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: registry.example.test/report:3}]}}}}
`

// estate is so many apps, in namespaces of teams: 14 kinds. The first team has some
// objects more, which change while lag is measured.
func estate(apps int) []*unstructured.Unstructured {
	var objects []*unstructured.Unstructured
	for i := range apps {
		namespace := fmt.Sprintf("team-%03d", i/appsPerNamespace)
		if i%appsPerNamespace == 0 {
			objects = append(objects, render(team, namespace, "daily")...)
		}
		objects = append(objects, render(app, namespace, fmt.Sprintf("app-%04d", i))...)
	}
	for i := range objectsChanged {
		obj := render(`{apiVersion: v1, kind: ConfigMap, data: {turn: none}}`, changingNamespace, fmt.Sprintf("changing-%03d", i))[0]
		obj.SetLabels(map[string]string{changing: "true"})
		objects = append(objects, obj)
	}
	return objects
}

// secrets are n Secrets of 512 bytes in a namespace of their own, which counts as one
// of them.
func secrets(namespace string, n int) []*unstructured.Unstructured {
	objects := render(`{apiVersion: v1, kind: Namespace}`, namespace, "")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Secret, stringData: {value: %q}}`, strings.Repeat("x", 512))
	for i := 1; i < n; i++ {
		objects = append(objects, render(text, namespace, fmt.Sprintf("secret-%05d", i))...)
	}
	return objects
}

// render reads manifests in which NAME and NAMESPACE stand for those of one app. It
// panics if they are not manifests: they are written here.
func render(text, namespace, name string) []*unstructured.Unstructured {
	text = strings.NewReplacer("NAMESPACE", namespace, "NAME", name).Replace(text)
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(text, "---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &obj.Object); err != nil {
			panic(fmt.Errorf("%w in %s", err, document))
		}
		obj.SetName(name)
		if obj.SetNamespace(namespace); obj.GetKind() == "Namespace" {
			obj.SetName(namespace)
			obj.SetNamespace("")
		}
		objects = append(objects, obj)
	}
	return objects
}

// kinds counts the kinds of objects.
func kinds(objects []*unstructured.Unstructured) int {
	seen := map[string]bool{}
	for _, obj := range objects {
		seen[obj.GetKind()] = true
	}
	return len(seen)
}
