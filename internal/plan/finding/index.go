package finding

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"crossfade.dev/internal/plan"
)

// index is what several rules look up.
type index struct {
	claims    map[string]*corev1.PersistentVolumeClaim // by namespace/name
	sets      map[string]*appsv1.StatefulSet
	secrets   map[string]*corev1.Secret
	volumes   map[string]*corev1.PersistentVolume
	services  map[string]*corev1.Service
	accounts  map[string]*corev1.ServiceAccount
	byAddress map[string]*corev1.Service // by cluster IP
	// serves are the group and kind of all that the target serves; nil if unknown.
	serves map[schema.GroupKind]bool
	// defined are the custom kinds of the source.
	defined map[schema.GroupKind]bool
	// settings are the texts of the estate's ConfigMaps, each after its key and =.
	settings map[string][]string
}

func newIndex(f *Facts) *index {
	o := f.Source.Objects
	ix := &index{
		claims: named(o.Claims), sets: named(o.StatefulSets), secrets: named(o.Secrets), volumes: named(o.Volumes), services: named(o.Services),
		accounts: named(o.ServiceAccounts), byAddress: map[string]*corev1.Service{}, defined: map[schema.GroupKind]bool{}, settings: map[string][]string{},
	}
	for _, m := range o.ConfigMaps {
		if !f.InEstate(m.Namespace) {
			continue
		}
		for k, v := range m.Data {
			ix.settings[key(m.Namespace, m.Name)] = append(ix.settings[key(m.Namespace, m.Name)], k+"="+v)
		}
	}
	for _, s := range o.Services {
		for _, ip := range s.Spec.ClusterIPs {
			ix.byAddress[ip] = s
		}
		ix.byAddress[s.Spec.ClusterIP] = s
	}
	delete(ix.byAddress, "")
	delete(ix.byAddress, corev1.ClusterIPNone)
	for _, d := range o.Definitions {
		ix.defined[schema.GroupKind{Group: d.Spec.Group, Kind: d.Spec.Names.Kind}] = true
	}
	if f.Target != nil && f.Target.Serves != nil {
		ix.serves = map[schema.GroupKind]bool{}
		for k := range f.Target.Serves {
			ix.serves[k.GroupKind()] = true
		}
	}
	return ix
}

func named[T plan.Object](all []T) map[string]T {
	out := make(map[string]T, len(all))
	for _, obj := range all {
		out[key(obj.GetNamespace(), obj.GetName())] = obj
	}
	return out
}

func key(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// title is an object as findings name it.
func title(kind string, obj plan.Object) string {
	return kind + " " + key(obj.GetNamespace(), obj.GetName())
}
