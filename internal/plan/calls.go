package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hostWords matches what may be the name of a Service in running text: a label, with
// a namespace and the cluster's domain or without.
var hostWords = regexp.MustCompile(`[a-z]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`)

// calls are the Services that a workload names in its environment and arguments, and
// in the ConfigMaps that become its environment.
func (r relating) calls(w Workload) []Relation {
	var out []Relation
	look := func(text, evidence string) {
		if len(text) > 4096 {
			return // a file, not a setting
		}
		for _, ref := range r.servicesIn(text, w.Namespace) {
			if ref.Namespace == w.Namespace && slices.Contains(w.Services, ref.Name) {
				continue
			}
			ref.Evidence = evidence
			out = append(out, ref)
		}
	}
	for _, c := range slices.Concat(w.Pod.Spec.InitContainers, w.Pod.Spec.Containers) {
		for _, e := range c.Env {
			look(e.Value, "variable "+e.Name)
		}
		for _, arg := range slices.Concat(c.Command, c.Args) {
			look(arg, "argument")
		}
		for _, f := range c.EnvFrom {
			if f.ConfigMapRef == nil {
				continue
			}
			for _, m := range r.configMaps(w.Namespace, f.ConfigMapRef.Name) {
				for key, value := range m {
					look(value, "ConfigMap "+f.ConfigMapRef.Name+", "+key)
				}
			}
		}
	}
	return out
}

func (r relating) configMaps(namespace, name string) []map[string]string {
	var out []map[string]string
	for _, m := range r.configs[namespace] {
		if m.Name == name {
			out = append(out, m.Data)
		}
	}
	return out
}

// servicesIn lists the Services that a text names. A bare word counts only where it
// stands as a host: alone, before a port, or after //, @ or a comma.
func (r relating) servicesIn(text, namespace string) []Relation {
	var out []Relation
	for _, at := range hostWords.FindAllStringIndex(text, -1) {
		parts := strings.Split(text[at[0]:at[1]], ".")
		ns := namespace
		if len(parts) > 1 {
			ns = parts[1]
		} else if !hostPlace(text, at) {
			continue
		}
		if r.names[ns+"/"+parts[0]] {
			out = append(out, Relation{Kind: "Service", Namespace: ns, Name: parts[0]})
		}
	}
	return out
}

func hostPlace(text string, at []int) bool {
	before, after := text[:at[0]], text[at[1]:]
	port := len(after) > 1 && after[0] == ':' && after[1] >= '0' && after[1] <= '9'
	switch {
	case before == "" && after == "", strings.HasSuffix(before, "//"), strings.HasSuffix(before, "@"):
		return true
	default:
		return port && (before == "" || strings.ContainsAny(before[len(before)-1:], ",= ;|"))
	}
}

// textOf is an object as text, to look for names in.
func textOf(obj Object) string {
	text, err := json.Marshal(obj)
	if err != nil {
		return ""
	}
	return string(text)
}

func mentionsAny(text string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return strings.Contains(text, `"`+n+`"`) || strings.Contains(text, `"`+n+`.`)
	})
}

func kindOf(obj Object) string { return obj.GetObjectKind().GroupVersionKind().Kind }

// targetOf names the workload that a scaler is about.
func targetOf(obj Object) string {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return ""
	}
	for _, path := range [][]string{{"spec", "scaleTargetRef", "name"}, {"spec", "targetRef", "name"}} {
		if name, _, _ := unstructured.NestedString(u.Object, path...); name != "" {
			return name
		}
	}
	return ""
}
