package mirror

import (
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// keepDeclaredPorts gives out, a copy of the Service src, those node ports that
// somebody asked for by number. API servers allocate the others after they have
// noted who owns which field, so an allocated port is owned by nobody.
func keepDeclaredPorts(src, out *unstructured.Unstructured) {
	owned := ownedServiceFields(src)
	from, _, _ := unstructured.NestedSlice(src.Object, "spec", "ports")
	into, _, _ := unstructured.NestedSlice(out.Object, "spec", "ports")
	declared := false
	for i, item := range from {
		port, _ := item.(map[string]any)
		number, allocated := port["nodePort"]
		if !allocated || i >= len(into) || !owned.port(port["port"], port["protocol"]) {
			continue
		}
		into[i].(map[string]any)["nodePort"] = number
		declared = true
	}
	if declared {
		set(out, into, []string{"spec", "ports"})
	}
	if number, found, _ := unstructured.NestedFieldCopy(src.Object, "spec", "healthCheckNodePort"); found && owned.healthCheck() {
		set(out, number, []string{"spec", "healthCheckNodePort"})
	}
}

// ownedFields are the fields of a Service that some manager owns.
type ownedFields []struct {
	Spec struct {
		Ports       map[string]map[string]json.RawMessage `json:"f:ports"`
		HealthCheck *struct{}                             `json:"f:healthCheckNodePort"`
	} `json:"f:spec"`
}

func ownedServiceFields(src *unstructured.Unstructured) ownedFields {
	all := slices.DeleteFunc(managers(src), func(e metav1.ManagedFieldsEntry) bool { return e.FieldsV1 == nil })
	owned := make(ownedFields, len(all))
	for i, entry := range all {
		// A set of another form owns nothing that is looked for here.
		_ = json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned[i])
	}
	return owned
}

func (o ownedFields) port(number, protocol any) bool {
	if protocol == nil {
		protocol = "TCP"
	}
	key := fmt.Sprintf(`k:{"port":%v,"protocol":"%v"}`, number, protocol)
	for _, manager := range o {
		if _, owns := manager.Spec.Ports[key]["f:nodePort"]; owns {
			return true
		}
	}
	return false
}

func (o ownedFields) healthCheck() bool {
	for _, manager := range o {
		if manager.Spec.HealthCheck != nil {
			return true
		}
	}
	return false
}
