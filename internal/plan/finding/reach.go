package finding

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crossfade.dev/internal/plan"
)

// reachRules are about how clients get to pods.
var reachRules = []rule{
	{"CF-SVC-001", seeNodePorts},
	{"CF-SVC-002", seeFixedBalancers},
	{"CF-SVC-003", seeNearness},
	{"CF-NET-001", seePolicies},
	{"CF-NET-002", seeMesh},
	{"CF-NET-003", seeUnreached},
	{"CF-DNS-001", seeExternalDNS},
	{"CF-DNS-002", seeCertificates},
	{"CF-DNS-003", seeSigned},
	{"CF-DNS-004", seeLongTTLs},
}

// services are those of the estate.
func (l *look) services(do func(*corev1.Service)) {
	for _, s := range l.Source.Objects.Services {
		if l.InEstate(s.Namespace) {
			do(s)
		}
	}
}

func seeNodePorts(l *look) {
	if l.Target == nil {
		return
	}
	taken := map[int32]*corev1.Service{}
	for _, s := range l.Target.Objects.Services {
		for _, p := range s.Spec.Ports {
			if p.NodePort != 0 {
				taken[p.NodePort] = s
			}
		}
	}
	l.services(func(s *corev1.Service) {
		for _, p := range s.Spec.Ports {
			other := taken[p.NodePort]
			if p.NodePort == 0 || other == nil || other.Namespace == s.Namespace && other.Name == s.Name {
				continue
			}
			severity := Blocks
			if s.Spec.Type != corev1.ServiceTypeNodePort {
				severity = Notes // a balancer's port is given out anew
			}
			l.sayAs(severity, title("Service", s), "has node port %d, which Service %s has in %s", p.NodePort, key(other.Namespace, other.Name), l.Target.Name)
		}
	})
}

// fixed are annotations by which a Service names one balancer, or one address, that
// there is only once.
var fixed = []string{
	"service.beta.kubernetes.io/aws-load-balancer-name", "service.beta.kubernetes.io/aws-load-balancer-eip-allocations",
	"service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses", "service.beta.kubernetes.io/azure-load-balancer-ipv4",
	"service.beta.kubernetes.io/azure-pip-name", "networking.gke.io/load-balancer-ip-addresses", "kubernetes.digitalocean.com/load-balancer-id",
	"service.beta.kubernetes.io/do-loadbalancer-id", "load-balancer.hetzner.cloud/name", "loadbalancer.openstack.org/load-balancer-id",
	"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id", "service.beta.kubernetes.io/oci-load-balancer-reserved-ip", "metallb.io/loadBalancerIPs",
	"metallb.universe.tf/loadBalancerIPs", "kube-vip.io/loadbalancerIPs", "lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips",
}

func seeFixedBalancers(l *look) {
	l.services(func(s *corev1.Service) {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			return
		}
		if s.Spec.LoadBalancerIP != "" {
			l.say(title("Service", s), "asks for the address %s", s.Spec.LoadBalancerIP)
		}
		for _, a := range fixed {
			if v := s.Annotations[a]; v != "" {
				l.say(title("Service", s), "%s: %s", a, v)
			}
		}
	})
}

func seeNearness(l *look) {
	l.services(func(s *corev1.Service) {
		mode := s.Annotations["service.kubernetes.io/topology-mode"] + s.Annotations["service.kubernetes.io/topology-aware-hints"]
		switch {
		case s.Spec.TrafficDistribution != nil:
			l.say(title("Service", s), "trafficDistribution: %s", *s.Spec.TrafficDistribution)
		case mode != "" && !strings.EqualFold(mode, "disabled"):
			l.say(title("Service", s), "topology mode %s", mode)
		case s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal:
			l.say(title("Service", s), "internalTrafficPolicy: Local")
		case s.Spec.Type != corev1.ServiceTypeClusterIP && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal:
			l.say(title("Service", s), "externalTrafficPolicy: Local")
		}
	})
}

func seePolicies(l *look) {
	for _, p := range l.Source.Objects.NetworkPolicies {
		if !l.InEstate(p.Namespace) {
			continue
		}
		in, out := policyWays(p.Spec)
		switch {
		case in && len(p.Spec.Ingress) == 0:
			l.sayAs(Notes, title("NetworkPolicy", p), "lets nobody in; another policy has to")
		case in && !slices.ContainsFunc(p.Spec.Ingress, admitsAddresses):
			l.say(title("NetworkPolicy", p), "lets in by labels of pods and namespaces only")
		}
		switch {
		case out && len(p.Spec.Egress) == 0:
			l.sayAs(Notes, title("NetworkPolicy", p), "lets nobody out; another policy has to")
		case out && !slices.ContainsFunc(p.Spec.Egress, leadsToAddresses):
			l.say(title("NetworkPolicy", p), "lets out by labels of pods and namespaces only")
		}
	}
	for _, u := range l.Source.Objects.Others {
		group := u.GroupVersionKind().Group
		if (group == "cilium.io" || group == "crd.projectcalico.org" || group == "projectcalico.org") && strings.HasSuffix(u.GetKind(), "NetworkPolicy") && l.InEstate(u.GetNamespace()) {
			l.say(title(u.GetKind(), u), "its rules are not read here, so whom it lets in is unknown")
		}
	}
}

// policyWays tells whether a policy is about connections in and out (the defaults are
// those of NetworkPolicySpec.policyTypes).
func policyWays(s netv1.NetworkPolicySpec) (in, out bool) {
	if len(s.PolicyTypes) == 0 {
		return true, len(s.Egress) > 0
	}
	return slices.Contains(s.PolicyTypes, netv1.PolicyTypeIngress), slices.Contains(s.PolicyTypes, netv1.PolicyTypeEgress)
}

func isRange(p netv1.NetworkPolicyPeer) bool { return p.IPBlock != nil }

// admitsAddresses tells whether a rule lets in anybody, or a range of addresses.
func admitsAddresses(r netv1.NetworkPolicyIngressRule) bool {
	return len(r.From) == 0 || slices.ContainsFunc(r.From, isRange)
}

// leadsToAddresses tells whether a rule lets out to anybody, or to a range of
// addresses. Names alone (port 53) are let out nearly everywhere, and lead to no pod.
func leadsToAddresses(r netv1.NetworkPolicyEgressRule) bool {
	names := len(r.Ports) > 0 && !slices.ContainsFunc(r.Ports, func(p netv1.NetworkPolicyPort) bool {
		return p.Port == nil || p.Port.IntValue() != 53
	})
	return !names && (len(r.To) == 0 || slices.ContainsFunc(r.To, isRange))
}

func seeMesh(l *look) {
	for _, u := range l.Source.Objects.Others {
		mode, _, _ := unstructured.NestedString(u.Object, "spec", "mtls", "mode")
		if u.GetKind() == "PeerAuthentication" && mode == "STRICT" {
			l.say(title("PeerAuthentication", u), "mode STRICT")
		}
	}
	for _, n := range l.Source.Objects.Namespaces {
		if l.InEstate(n.Name) && n.Annotations["config.linkerd.io/default-inbound-policy"] == "all-authenticated" {
			l.say(title("Namespace", n), "linkerd lets in authenticated callers only")
		}
	}
}

func seeUnreached(l *look) {
	for _, way := range l.Unreached {
		l.say("bridge", "%s", way)
	}
}

// externalDNS maps the owner id of each external-dns of a side to who it is.
func externalDNS(o plan.Objects) map[string]string {
	out := map[string]string{}
	for _, d := range o.Deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			if !strings.Contains(c.Image, "external-dns") {
				continue
			}
			owner := "default" // the program's own default of --txt-owner-id
			args := slices.Concat(c.Command, c.Args)
			for i, a := range args {
				if v, ok := strings.CutPrefix(a, "--txt-owner-id="); ok {
					owner = v
				} else if a == "--txt-owner-id" && i+1 < len(args) {
					owner = args[i+1]
				}
			}
			for _, e := range c.Env {
				if e.Name == "EXTERNAL_DNS_TXT_OWNER_ID" && e.Value != "" {
					owner = e.Value
				}
			}
			out[owner] = title("Deployment", d)
		}
	}
	return out
}

func seeExternalDNS(l *look) {
	if l.Target == nil {
		return
	}
	theirs := externalDNS(l.Target.Objects)
	for owner, who := range externalDNS(l.Source.Objects) {
		if other := theirs[owner]; other != "" {
			l.say(who, "owns records as %q, and so does %s in %s", owner, other, l.Target.Name)
		}
	}
}

func seeCertificates(l *look) {
	for _, u := range l.Source.Objects.Others {
		if u.GetKind() != "Certificate" || !strings.HasPrefix(u.GroupVersionKind().Group, "cert-manager.io") || !l.InEstate(u.GetNamespace()) {
			continue
		}
		secret, _, _ := unstructured.NestedString(u.Object, "spec", "secretName")
		if l.ix.secrets[key(u.GetNamespace(), secret)] == nil {
			l.sayAs(Warns, title("Certificate", u), "its Secret %s does not exist yet", secret)
			continue
		}
		l.say(title("Certificate", u), "its Secret is %s", secret)
	}
}

func seeSigned(l *look) {
	if l.Names != nil && l.Names.Signed {
		l.say("zone "+l.Names.Zone, "the parent holds DS records for it")
	}
}

func seeLongTTLs(l *look) {
	if l.Names == nil {
		return
	}
	for _, set := range l.Names.Long {
		l.say("zone "+l.Names.Zone, "%s", set)
	}
}
