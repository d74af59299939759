package bridge

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Reason is why the bridge does not serve a Service, or what its serving changes.
type Reason string

// Reasons for which a Service is blocked.
const (
	// ExternalName: the Service is an alias of a DNS name and has no endpoints.
	ExternalName Reason = "ExternalName"
	// NoSelector: the endpoints are written by a person or another tool.
	NoSelector Reason = "NoSelector"
	// InternalTrafficLocal: kube-proxy takes only pods of the client's own node.
	InternalTrafficLocal Reason = "InternalTrafficLocal"
	// ServiceMissing: the Service does not exist on that side.
	ServiceMissing Reason = "ServiceMissing"
	// FamilyMissing: the other side's pods have addresses of a family (IPv4, IPv6)
	// that the Service does not carry here.
	FamilyMissing Reason = "FamilyMissing"
)

// Reasons for which people should know that a Service is bridged.
const (
	// TopologyIgnored: bridged endpoints have no zone, and kube-proxy follows zone
	// hints only if every ready endpoint has one; so traffic crosses zones.
	TopologyIgnored Reason = "TopologyIgnored"
	// SessionAffinity: a client may be bound to a pod of the other cluster, and is
	// bound anew when that pod is given up.
	SessionAffinity Reason = "SessionAffinity"
	// ExternalTrafficLocal: node ports and balancers lead only to pods of the node
	// that they reach, so from outside the Service leads to its own cluster alone.
	ExternalTrafficLocal Reason = "ExternalTrafficLocal"
)

// A Finding is what people should know about one Service.
type Finding struct {
	// Side is where the cause stands.
	Side    v1.Side
	Service Key
	Reason  Reason
	Text    string
}

// facts is what is known of a Service when one way across is decided: here is the
// side whose clients are led to the other side, there.
type facts struct {
	place
	here, there *corev1.Service // nil if there is none
	// theirs are the slices of the endpoint controller there; ours and others are
	// those of the bridge and of third parties here.
	theirs, ours, others []*discoveryv1.EndpointSlice
}

// blocked says why the bridge cannot serve the Service, or nil. The second result
// is true if there is nothing to serve either, so that nobody needs to know.
func (f facts) blocked() (found *Finding, nothing bool) {
	finding := func(side v1.Side, reason Reason, text string, args ...any) (*Finding, bool) {
		return &Finding{Side: side, Service: f.key, Reason: reason, Text: fmt.Sprintf(text, args...)}, false
	}
	service := f.here
	if service == nil {
		if f.there == nil || f.there.Spec.Type == corev1.ServiceTypeExternalName || len(f.there.Spec.Selector) == 0 {
			return nil, true
		}
		return finding(f.side, ServiceMissing, "service %s does not exist in the %s, so its name leads nowhere there", f.key, f.side)
	}
	policy := service.Spec.InternalTrafficPolicy
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return finding(f.side, ExternalName, "service %s is an alias of %s and has no endpoints to add to", f.key, service.Spec.ExternalName)
	case len(service.Spec.Selector) == 0 && len(f.others) > 0:
		return finding(f.side, NoSelector, "service %s has no selector: its endpoints are written by somebody else", f.key)
	case len(service.Spec.Selector) == 0:
		return nil, true
	case policy != nil && *policy == corev1.ServiceInternalTrafficPolicyLocal:
		return finding(f.side, InternalTrafficLocal, "service %s has internalTrafficPolicy Local: clients reach pods of their own node alone", f.key)
	case f.there == nil && len(f.theirs) == 0:
		return finding(f.side.Other(), ServiceMissing, "service %s does not exist in the %s, so it has no pods there", f.key, f.side.Other())
	case f.foreignFamily():
		return finding(f.side, FamilyMissing, "service %s carries %v, its pods in the %s have addresses of another family", f.key, service.Spec.IPFamilies, f.side.Other())
	}
	return nil, false
}

// foreignFamily is true if there are endpoints, and none that the Service carries.
func (f facts) foreignFamily() bool {
	some := false
	for _, slice := range f.theirs {
		if len(slice.Endpoints) == 0 {
			continue
		}
		if carries(f.here, slice.AddressType) {
			return false
		}
		some = true
	}
	return some
}

// notes says what bridging changes for the users of the Service.
func (f facts) notes() []Finding {
	var out []Finding
	note := func(reason Reason, text string, args ...any) {
		out = append(out, Finding{Side: f.side, Service: f.key, Reason: reason, Text: fmt.Sprintf(text, args...)})
	}
	spec := f.here.Spec
	if mode := topology(f.here); mode != "" {
		note(TopologyIgnored, "service %s asks for %s: while it is bridged, traffic crosses zones", f.key, mode)
	}
	if spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		note(SessionAffinity, "service %s binds a client to one pod: a client bound to a pod that is given up is bound anew", f.key)
	}
	outside := spec.Type == corev1.ServiceTypeLoadBalancer || spec.Type == corev1.ServiceTypeNodePort
	if outside && spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		note(ExternalTrafficLocal, "service %s has externalTrafficPolicy Local: its balancer does not lead to pods of the %s", f.key, f.side.Other())
	}
	return out
}

func topology(service *corev1.Service) string {
	if wish := service.Spec.TrafficDistribution; wish != nil && *wish != "" {
		return "trafficDistribution " + *wish
	}
	for _, name := range []string{corev1.AnnotationTopologyMode, corev1.DeprecatedAnnotationTopologyAwareHints} {
		if mode := service.Annotations[name]; mode != "" && mode != "Disabled" && mode != "disabled" {
			return name + " " + mode
		}
	}
	return ""
}
