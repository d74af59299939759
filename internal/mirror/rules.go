package mirror

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// A Rule says how objects of one kind are mirrored, where that differs from "copy
// every field that is the team's". Rules are data: docs/concepts/mirror.md is
// checked against them.
type Rule struct {
	// Group and Kind are what the rule is for. The kind "*" stands for every kind of
	// the group that has no rule of its own.
	Group, Kind string
	// Rank is when the kind is written, and, backwards, when it is removed.
	Rank Rank
	// Never says why no object of the kind is mirrored; empty if they are.
	Never string
	// Acts says what a new object of the kind does by itself. If it is not empty,
	// the kind's objects are Held unless a Choice of the migration matches.
	Acts string
	// ActsIf lists what makes single objects of the kind act: they are Held as well.
	ActsIf []ActsIf
	// Except lists objects of the kind that are not mirrored.
	Except []Except
	// Engine lists the fields that the engine sets on either side: they have a value
	// at birth, and after that the mirror neither writes nor compares them.
	Engine []Engine
	// Own lists fields that each cluster has for itself, beyond those that package
	// object knows: they are not copied, not overwritten and not compared.
	Own []Own
	// Furnished names objects that a cluster makes by itself. While nobody has
	// changed it, such an object is overwritten though the mirror did not create it.
	// It is never deleted.
	Furnished []string
	// Remade is true if an object that can't be changed in place may be deleted and
	// made again: nothing runs or is reached by it.
	Remade bool
	// Incidental objects do not count as what a namespace holds.
	Incidental bool
	// Carried names a field of the status that is written to the copy before anyone
	// may need it.
	Carried string

	// choices are what people have decided about objects of the kind.
	choices []Choice
	// turned is true on the way from the target to the source.
	turned bool
	// inline is true if the kind has no status subresource.
	inline bool
}

// An ActsIf tells objects that do something by themselves.
type ActsIf struct {
	Field object.Field
	Value string
	Why   string
}

// An Except tells objects that are not mirrored. Every field that is set must match.
type Except struct {
	Name   string // the whole name
	Prefix string // how the name begins
	Suffix string // how the name ends
	Label  string // a label, as key=value, or key for any value
	Type   string // the field type, of Secrets
	// Controlled is true for objects that belong to a controller.
	Controlled bool
	Why        string
}

// Engine is a field that the engine owns.
type Engine struct {
	Field object.Field
	// Birth is the value on the receiving side when the mirror creates the object; nil
	// for that of its origin.
	Birth any
	Why   string
}

// Own is a field that each cluster has for itself.
type Own struct {
	Field object.Field
	Why   string
	// With limits it to objects that have another field, with the value Is if that is set.
	With object.Field
	Is   string
}

// A Rank is a place in the order of writing. Ranks are written one after the
// other, the objects of one rank at once.
type Rank int

// The ranks. What an object names stands before it, so that nothing crash-loops for
// want of a neighbour.
const (
	Definitions Rank = iota
	Namespaces
	Classes
	Access
	Accounts
	Contents
	Limits
	Networks
	Workloads
	Budgets
	Scalers
	Schedules
	Customs
	Quotas
	Admission
	ranks
)

const (
	madeAgain    = "its controller makes it again"
	ofTheCluster = "it tells of the cluster it stands in"
	perRequest   = "it is an answer, not an object"
)

var (
	replicasAtZero = Engine{object.Replicas, int64(0), "capacity is led over by the engine, pod by pod"}
	controlled     = Except{Controlled: true, Why: madeAgain}
	defaultClass   = Except{Prefix: "system-", Why: "every cluster has its own"}
)

// BuiltIn lists the rules for the kinds that Kubernetes itself serves. Kinds of
// Kubernetes without a rule are copied in rank Customs; kinds of others are custom
// resources, and Held.
var BuiltIn = []Rule{
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Rank: Definitions, Except: []Except{ours("", ".crossfade.dev")},
		ActsIf: []ActsIf{{object.Field{"spec", "conversion", "strategy"}, "Webhook", "until its webhook answers there, it stops garbage collection in the whole cluster"}}},
	{Kind: "Namespace", Rank: Namespaces, Furnished: []string{"default"}, Except: []Except{
		{Prefix: "kube-", Why: "it is the platform's own"}}},

	{Group: "scheduling.k8s.io", Kind: "PriorityClass", Rank: Classes, Remade: true, Except: []Except{defaultClass}},
	{Group: "storage.k8s.io", Kind: "StorageClass", Rank: Classes, Remade: true},
	{Group: "networking.k8s.io", Kind: "IngressClass", Rank: Classes, Remade: true},
	{Group: "node.k8s.io", Kind: "RuntimeClass", Rank: Classes},

	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Rank: Access, Except: systemRBAC, Own: []Own{
		{Field: object.Field{"rules"}, With: object.Field{"aggregationRule"}, Why: "its controller gathers them from the roles of its cluster"}}},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding", Rank: Access, Remade: true, Except: systemRBAC},
	{Group: "rbac.authorization.k8s.io", Kind: "Role", Rank: Access},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding", Rank: Access, Remade: true},
	{Kind: "ServiceAccount", Rank: Accounts, Furnished: []string{"default"}},

	{Kind: "ConfigMap", Rank: Contents, Remade: true, Except: []Except{
		{Name: "kube-root-ca.crt", Why: "it holds the certificate of its own cluster"},
		{Name: "openshift-service-ca.crt", Why: "it holds the certificate of its own cluster"}}},
	{Kind: "Secret", Rank: Contents, Remade: true, Except: []Except{
		{Type: "bootstrap.kubernetes.io/token", Why: "it lets nodes join its own cluster"}}},
	{Kind: "PodTemplate", Rank: Contents},
	{Kind: "LimitRange", Rank: Limits},

	{Kind: "Service", Rank: Networks, Own: serviceOwn, Except: []Except{
		{Name: "kubernetes", Label: "provider=kubernetes", Why: "it leads to the API server of its own cluster"}}},
	{Group: "networking.k8s.io", Kind: "NetworkPolicy", Rank: Networks},
	{Group: "networking.k8s.io", Kind: "Ingress", Rank: Networks, Own: ingressOwn},

	{Group: "apps", Kind: "Deployment", Rank: Workloads, Engine: []Engine{replicasAtZero}, Except: []Except{controlled}},
	{Group: "apps", Kind: "StatefulSet", Rank: Workloads, Engine: []Engine{replicasAtZero}, Except: []Except{controlled}},
	{Group: "apps", Kind: "ReplicaSet", Rank: Workloads, Engine: []Engine{replicasAtZero}, Except: []Except{controlled}},
	{Kind: "ReplicationController", Rank: Workloads, Engine: []Engine{replicasAtZero}, Except: []Except{controlled}},
	{Group: "apps", Kind: "DaemonSet", Rank: Workloads, Except: []Except{controlled},
		Acts: "it starts a pod on every node at once"},

	{Group: "policy", Kind: "PodDisruptionBudget", Rank: Budgets},
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler", Rank: Scalers, Except: []Except{controlled},
		Engine: []Engine{{object.Field{"spec", "minReplicas"}, nil, "the engine divides it between the sides while capacity is led over"}}},
	{Group: "batch", Kind: "CronJob", Rank: Schedules, Carried: "lastScheduleTime", Except: []Except{controlled},
		Engine: []Engine{{object.Suspend, true, "a schedule has one owner; the engine hands it over"}}},
	{Kind: "ResourceQuota", Rank: Quotas},

	{Group: "admissionregistration.k8s.io", Kind: "*", Rank: Admission, Except: []Except{ours("crossfade", "")},
		Acts: "it may refuse every write of its cluster as long as its backend is not there"},
	{Kind: "PersistentVolumeClaim", Rank: Contents, Acts: "it makes a new, empty volume"},
	{Kind: "PersistentVolume", Rank: Classes, Acts: "it lets a second cluster attach the same volume"},
	{Group: "storage.k8s.io", Kind: "CSIDriver", Never: "the driver makes it where it runs"},

	{Kind: "Pod", Never: "bare pods act at once, the others are made again by their controllers"},
	{Group: "batch", Kind: "Job", Never: "it runs as soon as it exists"},
	{Kind: "Node", Never: ofTheCluster},
	{Kind: "Event", Never: ofTheCluster, Incidental: true},
	{Group: "events.k8s.io", Kind: "*", Never: ofTheCluster, Incidental: true},
	{Kind: "Endpoints", Never: madeAgain, Incidental: true},
	{Group: "discovery.k8s.io", Kind: "EndpointSlice", Never: madeAgain, Incidental: true},
	{Group: "apps", Kind: "ControllerRevision", Never: madeAgain},
	{Group: "coordination.k8s.io", Kind: "*", Never: "it names a holder in its own cluster", Incidental: true},
	{Kind: "ComponentStatus", Never: ofTheCluster},
	{Group: "storage.k8s.io", Kind: "CSINode", Never: ofTheCluster},
	{Group: "storage.k8s.io", Kind: "VolumeAttachment", Never: ofTheCluster},
	{Group: "storage.k8s.io", Kind: "CSIStorageCapacity", Never: ofTheCluster},
	{Group: "certificates.k8s.io", Kind: "*", Never: "it asks the authority of its own cluster"},
	{Group: "apiregistration.k8s.io", Kind: "*", Never: "it leads to a backend that must stand first"},
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "*", Never: "every API server has its own"},
	{Group: "internal.apiserver.k8s.io", Kind: "*", Never: ofTheCluster},
	{Group: "storagemigration.k8s.io", Kind: "*", Never: ofTheCluster},
	{Group: "networking.k8s.io", Kind: "IPAddress", Never: ofTheCluster},
	{Group: "networking.k8s.io", Kind: "ServiceCIDR", Never: ofTheCluster},
	{Group: "resource.k8s.io", Kind: "ResourceSlice", Never: ofTheCluster},
	{Group: "resource.k8s.io", Kind: "ResourceClaim", Never: "it names devices of its own cluster"},
	{Group: "metrics.k8s.io", Kind: "*", Never: perRequest, Incidental: true},
	{Group: "authentication.k8s.io", Kind: "*", Never: perRequest},
	{Group: "authorization.k8s.io", Kind: "*", Never: perRequest},
	{Group: "crossfade.dev", Kind: "*", Never: "it is Crossfade's own"},
}

var systemRBAC = []Except{
	{Prefix: "system:", Why: "every cluster has its own"},
	{Label: "kubernetes.io/bootstrapping=rbac-defaults", Why: "every cluster has its own"},
	ours("crossfade", ""),
}

// ours are Crossfade's own objects.
func ours(prefix, suffix string) Except {
	return Except{Prefix: prefix, Suffix: suffix, Why: "it is Crossfade's own"}
}

const (
	sourceAddress  = "it would grab the address of the other side"
	networksDecide = "the cluster's networks decide"
)

// serviceOwn keeps a LoadBalancer Service from taking the source's address.
var serviceOwn = append(
	[]Own{
		{Field: object.Field{"spec", "loadBalancerIP"}, Why: sourceAddress},
		{Field: object.Field{"spec", "externalIPs"}, Why: sourceAddress},
		{Field: object.Field{"spec", "externalTrafficPolicy"}, With: object.Field{"spec", "type"}, Is: "ClusterIP", Why: "it goes with spec.externalIPs"},
		{Field: object.Field{"spec", "ipFamilies"}, Why: networksDecide},
		{Field: object.Field{"spec", "ipFamilyPolicy"}, Why: networksDecide},
	},
	annotations(sourceAddress,
		"metallb.universe.tf/loadBalancerIPs", "metallb.io/loadBalancerIPs", "kube-vip.io/loadbalancerIPs",
		"io.cilium/lb-ipam-ips", "lbipam.cilium.io/ips",
		"networking.gke.io/load-balancer-ip-addresses",
		"service.beta.kubernetes.io/aws-load-balancer-eip-allocations",
		"service.beta.kubernetes.io/aws-load-balancer-name",
		"service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses",
		"service.beta.kubernetes.io/azure-load-balancer-ipv4",
		"service.beta.kubernetes.io/azure-pip-name")...)

var ingressOwn = annotations(sourceAddress,
	"alb.ingress.kubernetes.io/group.name", "alb.ingress.kubernetes.io/load-balancer-name",
	"kubernetes.io/ingress.global-static-ip-name", "kubernetes.io/ingress.regional-static-ip-name")

func annotations(why string, keys ...string) []Own {
	var own []Own
	for _, key := range keys {
		own = append(own, Own{Field: object.Field{"metadata", "annotations", key}, Why: why})
	}
	return own
}

const customResource = "what its controller does with it is not known"

// ruleFor finds the rule of a kind, with what people have decided about its objects.
func (d Decided) ruleFor(kind schema.GroupKind) Rule {
	rule := builtIn(kind)
	rule.turned = d.Turned
	if rule.Never == "" {
		for _, c := range d.Choices {
			if c.Group == kind.Group && (c.Kind == kind.Kind || c.Kind == "*") {
				rule.choices = append(rule.choices, c)
			}
		}
	}
	return rule
}

// builtIn finds the built-in rule of a kind: the one for the whole group after those
// for a kind.
func builtIn(kind schema.GroupKind) Rule {
	for _, name := range []string{kind.Kind, "*"} {
		for _, rule := range BuiltIn {
			if rule.Group == kind.Group && rule.Kind == name {
				return rule
			}
		}
	}
	rule := Rule{Group: kind.Group, Kind: kind.Kind, Rank: Customs}
	if len(cluster.Scheme().VersionsForGroupKind(kind)) == 0 {
		rule.Acts = customResource
	}
	return rule
}

// idle is true if no object of the kind is copied.
func (r *Rule) idle() bool { return r.Acts != "" && len(r.choices) == 0 }

// yields is true if an object that its team made on one side may go when the team
// deletes its copy where teams write: no data and nothing else goes with it.
func (r *Rule) yields() bool { return r.Acts == "" && r.Rank != Namespaces && r.Rank != Definitions }

// excepted says why obj is not mirrored; empty if it is.
func (r *Rule) excepted(obj *unstructured.Unstructured) string {
	for _, e := range r.Except {
		if e.matches(obj) {
			return e.Why
		}
	}
	if c := r.choice(obj); c != nil && c.Mode == v1.Exclude {
		return "a rule of the migration excludes it"
	}
	return ""
}

// acts says what obj would do by itself; empty if nothing.
func (r *Rule) acts(obj *unstructured.Unstructured) string {
	if r.choice(obj) != nil {
		return ""
	}
	for _, a := range r.ActsIf {
		if value, _, _ := unstructured.NestedString(obj.Object, a.Field...); value == a.Value {
			return a.Why
		}
	}
	return r.Acts
}

// exceptedByName is true if the name alone says that an object is not mirrored.
func (r *Rule) exceptedByName(name string) bool {
	return slices.ContainsFunc(r.Except, func(e Except) bool { return e.Name == name && e.Label == "" && e.Type == "" })
}

func (e *Except) matches(obj *unstructured.Unstructured) bool {
	key, value, exact := strings.Cut(e.Label, "=")
	label, labelled := obj.GetLabels()[key]
	switch {
	case e.Name != "" && obj.GetName() != e.Name,
		!strings.HasPrefix(obj.GetName(), e.Prefix), !strings.HasSuffix(obj.GetName(), e.Suffix),
		e.Label != "" && (!labelled || exact && label != value),
		e.Type != "" && obj.Object["type"] != e.Type,
		e.Controlled && metav1.GetControllerOfNoCopy(obj) == nil:
		return false
	}
	return true
}

// own lists the fields of obj that each cluster has for itself.
func (r *Rule) own(obj *unstructured.Unstructured) []object.Field {
	var fields []object.Field
	for _, o := range r.Own {
		value, with, _ := unstructured.NestedFieldNoCopy(obj.Object, o.With...)
		if o.With == nil || with && (o.Is == "" || value == o.Is) {
			fields = append(fields, o.Field)
		}
	}
	return fields
}

// ignored lists the fields of obj that are not compared.
func (r *Rule) ignored(obj *unstructured.Unstructured) []object.Field {
	fields := append(r.own(obj), object.Field{"metadata", "finalizers"})
	for _, e := range r.Engine {
		fields = append(fields, e.Field)
	}
	return fields
}
