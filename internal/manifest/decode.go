package manifest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	netv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"crossfade.dev/internal/plan"
)

// An object is one that was decoded. obj is nil if it is counted and not kept.
type object struct {
	kind  schema.GroupVersionKind
	obj   plan.Object
	known bool
}

type decoded struct {
	objects []object
	// serves are the kinds of a discovery document.
	serves []schema.GroupVersionKind
	err    error
}

// A knownKind is one that is read by type.
type knownKind struct {
	fresh      func() plan.Object
	namespaced bool
}

func typed[T any, P interface {
	*T
	plan.Object
}](namespaced bool) knownKind {
	return knownKind{fresh: func() plan.Object { return P(new(T)) }, namespaced: namespaced}
}

// known holds, by group and kind, what is read by type. Older versions are read as
// the present ones: of what changed between them (an Ingress's backends, the metrics
// of an autoscaler) a plan needs nothing but what kept its name, and the version as
// it was written is a finding.
var known = map[schema.GroupKind]knownKind{
	{Group: "apps", Kind: "Deployment"}:                                             typed[appsv1.Deployment](true),
	{Group: "extensions", Kind: "Deployment"}:                                       typed[appsv1.Deployment](true),
	{Group: "apps", Kind: "StatefulSet"}:                                            typed[appsv1.StatefulSet](true),
	{Group: "apps", Kind: "DaemonSet"}:                                              typed[appsv1.DaemonSet](true),
	{Group: "extensions", Kind: "DaemonSet"}:                                        typed[appsv1.DaemonSet](true),
	{Group: "apps", Kind: "ReplicaSet"}:                                             typed[appsv1.ReplicaSet](true),
	{Group: "extensions", Kind: "ReplicaSet"}:                                       typed[appsv1.ReplicaSet](true),
	{Group: "batch", Kind: "CronJob"}:                                               typed[batchv1.CronJob](true),
	{Group: "batch", Kind: "Job"}:                                                   typed[batchv1.Job](true),
	{Kind: "Pod"}:                                                                   typed[corev1.Pod](true),
	{Kind: "Service"}:                                                               typed[corev1.Service](true),
	{Group: "networking.k8s.io", Kind: "Ingress"}:                                   typed[netv1.Ingress](true),
	{Group: "extensions", Kind: "Ingress"}:                                          typed[netv1.Ingress](true),
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:                         typed[autoscalingv2.HorizontalPodAutoscaler](true),
	{Kind: "Namespace"}:                                                             typed[corev1.Namespace](false),
	{Kind: "ConfigMap"}:                                                             typed[corev1.ConfigMap](true),
	{Kind: "Secret"}:                                                                typed[corev1.Secret](true),
	{Kind: "ServiceAccount"}:                                                        typed[corev1.ServiceAccount](true),
	{Kind: "PersistentVolumeClaim"}:                                                 typed[corev1.PersistentVolumeClaim](true),
	{Kind: "PersistentVolume"}:                                                      typed[corev1.PersistentVolume](false),
	{Kind: "Node"}:                                                                  typed[corev1.Node](false),
	{Kind: "ResourceQuota"}:                                                         typed[corev1.ResourceQuota](true),
	{Kind: "LimitRange"}:                                                            typed[corev1.LimitRange](true),
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 typed[storagev1.StorageClass](false),
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             typed[schedulingv1.PriorityClass](false),
	{Group: "policy", Kind: "PodDisruptionBudget"}:                                  typed[policyv1.PodDisruptionBudget](true),
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:                             typed[netv1.NetworkPolicy](true),
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                              typed[netv1.IngressClass](false),
	{Group: "coordination.k8s.io", Kind: "Lease"}:                                   typed[coordinationv1.Lease](true),
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              typed[rbacv1.Role](true),
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                       typed[rbacv1.RoleBinding](true),
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                       typed[rbacv1.ClusterRole](false),
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                typed[rbacv1.ClusterRoleBinding](false),
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: typed[admissionv1.ValidatingWebhookConfiguration](false),
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   typed[admissionv1.MutatingWebhookConfiguration](false),
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               typed[apiextensionsv1.CustomResourceDefinition](false),
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "FlowSchema"}:                     typed[flowcontrolv1.FlowSchema](false),
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "PriorityLevelConfiguration"}:     typed[flowcontrolv1.PriorityLevelConfiguration](false),
}

// passing are kinds that others make again and again, and of which a plan needs
// nothing: they are counted, not kept.
var passing = map[schema.GroupKind]bool{
	{Kind: "Event"}: true, {Group: "events.k8s.io", Kind: "Event"}: true, {Kind: "Endpoints"}: true,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}: true, {Group: "apps", Kind: "ControllerRevision"}: true,
	{Group: "metrics.k8s.io", Kind: "PodMetrics"}: true, {Group: "metrics.k8s.io", Kind: "NodeMetrics"}: true,
	{Kind: "ComponentStatus"}: true, {Group: "storage.k8s.io", Kind: "VolumeAttachment"}: true, {Group: "storage.k8s.io", Kind: "CSINode"}: true,
}

func (p piece) decode() decoded {
	text := p.text
	if p.yaml {
		var err error
		if text, err = yaml.YAMLToJSON(p.text); err != nil {
			if p.whole != nil {
				return p.fromWhole()
			}
			return decoded{err: p.refuseYAML(err)}
		}
	}
	if string(text) == "null" {
		return decoded{}
	}
	return p.objects(text)
}

// fromWhole finds an item that does not parse alone in the document that it was cut
// from: it may lean on an anchor there. If the document does not parse either, that
// is where the error's line is right.
func (p piece) fromWhole() decoded {
	all, err := yaml.YAMLToJSON(p.whole.text)
	if err != nil {
		return decoded{err: p.whole.refuseYAML(err)}
	}
	siblings := items(*p.whole)
	pieces, err := cutJSON(p.file, all)
	if err != nil || len(pieces) != len(siblings) {
		return decoded{err: p.refuse(p.line, "an item of the list does not stand for itself")}
	}
	for i, s := range siblings {
		if s.line == p.line {
			return p.objects(pieces[i].text)
		}
	}
	return decoded{err: p.refuse(p.line, "an item of the list does not stand for itself")}
}

var errorLine = regexp.MustCompile(`\bline (\d+)`)

// lineIn is the line that a YAML error names, which its library tells in no other
// way; 1 if it names none.
func lineIn(err error) int {
	m := errorLine.FindStringSubmatch(err.Error())
	if m == nil {
		return 1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 1
	}
	return n
}

// objects decodes one JSON value: an object, or a list of them.
func (p piece) objects(text []byte) decoded {
	version, kind, err := header(text)
	if err != nil {
		return decoded{err: p.refuse(p.line+lineOf(text, err)-1, "%w", err)}
	}
	if _, discovery := discoveryKinds[kind]; discovery {
		kinds, err := served(kind, text)
		if err != nil {
			return decoded{err: p.refuse(p.line, "%s: %w", kind, err)}
		}
		return decoded{serves: kinds}
	}
	if strings.HasSuffix(kind, "List") {
		if pieces, err := cutJSON(p.file, text); err == nil && (len(pieces) != 1 || len(pieces[0].text) != len(text)) {
			var out decoded
			for _, item := range pieces {
				one := piece{file: p.file, document: p.document, line: p.line}.objects(item.text)
				out.objects, out.err = append(out.objects, one.objects...), errors.Join(out.err, one.err)
			}
			return out
		}
	}
	if version == "" || kind == "" {
		return decoded{err: p.refuse(p.line, "apiVersion %q, kind %q: a Kubernetes object has both", version, kind)}
	}
	gv, err := schema.ParseGroupVersion(version)
	if err != nil {
		return decoded{err: p.refuse(p.line, "apiVersion %q: %v", version, err)}
	}
	one := object{kind: gv.WithKind(kind)}
	if passing[one.kind.GroupKind()] {
		return decoded{objects: []object{one}}
	}
	if err := one.fill(text); err != nil {
		return decoded{err: p.refuse(p.lineOfType(text, err), "%s: %w", kind, plainly(err))}
	}
	return decoded{objects: []object{one}}
}

// fill decodes an object into its type, or keeps it as it is.
func (o *object) fill(text []byte) error {
	k, known := known[o.kind.GroupKind()]
	if !known {
		u := &unstructured.Unstructured{}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &u.Object); err != nil {
			return err
		}
		o.obj = u
		return nameless(u)
	}
	obj := k.fresh()
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, obj); err != nil {
		return err
	}
	if k.namespaced && obj.GetNamespace() == "" {
		obj.SetNamespace("default")
	}
	o.obj, o.known = obj, true
	switch obj := obj.(type) {
	case *corev1.Pod:
		o.drop(metav1.GetControllerOf(obj) != nil)
	case *appsv1.ReplicaSet:
		o.drop(metav1.GetControllerOf(obj) != nil)
	case *corev1.Secret:
		for key, value := range obj.StringData {
			if obj.Data == nil {
				obj.Data = map[string][]byte{}
			}
			obj.Data[key] = []byte(value)
		}
	}
	return nameless(obj)
}

// lineOfType is the line of a value of the wrong type. YAML was made one line of JSON
// by then, so it is the line of the field's name, if only one line has that name, and
// else where the object begins.
func (p piece) lineOfType(text []byte, err error) int {
	var wrong *json.UnmarshalTypeError
	if !p.yaml || !errors.As(err, &wrong) || wrong.Field == "" {
		return p.line + lineOf(text, err) - 1
	}
	name := regexp.QuoteMeta(wrong.Field[strings.LastIndex(wrong.Field, ".")+1:])
	at := regexp.MustCompile(`(^|[\s{,"'])`+name+`["']?:`).FindAllIndex(p.text, -1)
	if len(at) != 1 {
		return p.line
	}
	return p.line + lineAt(p.text, at[0][1]) - 1
}

// plainly names the field and what was found in it, where a decoder speaks of Go's
// types. The decoder names the field by its path, behind the name of a struct.
func plainly(err error) error {
	var wrong *json.UnmarshalTypeError
	var encoded base64.CorruptInputError
	switch {
	case errors.As(err, &encoded):
		return fmt.Errorf("a value of data is not base64 (at its byte %d); stringData takes plain text", int64(encoded))
	case !errors.As(err, &wrong):
		return err
	}
	return fmt.Errorf("%s is a %s, want %s", cmp.Or(wrong.Field, "it"), wrong.Value, jsonKind(wrong.Type))
}

func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Pointer:
		return jsonKind(t.Elem())
	}
	return "a whole number"
}

// drop keeps only the count.
func (o *object) drop(yes bool) {
	if yes {
		o.obj = nil
	}
}

func nameless(obj plan.Object) error {
	if obj.GetName() == "" && obj.GetGenerateName() == "" {
		return errors.New("metadata.name is missing")
	}
	return nil
}

// header reads apiVersion and kind. It reads no more of the text than it has to.
func header(text []byte) (version, kind string, err error) {
	if len(text) == 0 || text[0] != '{' {
		return "", "", errors.New("it is no Kubernetes object, but a bare value; kubectl get prints objects with -o yaml or -o json")
	}
	s := scanner{text: text}
	errFound := errors.New("found")
	err = s.object(func(key []byte) error {
		from := s.at
		if err := s.value(); err != nil {
			return err
		}
		var into *string
		switch string(key) {
		case "apiVersion":
			into = &version
		case "kind":
			into = &kind
		default:
			return nil
		}
		if err := json.Unmarshal(text[from:s.at], into); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if version != "" && kind != "" {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return version, kind, err
}

// lineOf is the line in text that an error of a JSON decoder speaks of.
func lineOf(text []byte, err error) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return lineAt(text, int(syntax.Offset))
	case errors.As(err, &kind):
		return lineAt(text, int(kind.Offset))
	}
	return 1
}
