package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	podresource "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
	"k8s.io/utils/ptr"
)

// A lookup finds the content of a ConfigMap or Secret of a pod's namespace. The
// error is errMissing if it is not there.
type lookup func(ctx context.Context, namespace, name string) (map[string][]byte, error)

// environment is what a container's variables come from.
type environment struct {
	configMap, secret lookup
	// own are the variables of the image and the node, which a container may override.
	own map[string]string
}

// variables returns the container's variables as Kubernetes defines them: envFrom
// in order, then env in order, each of which may refer to those before it.
func (e environment) variables(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	vars := maps.Clone(e.own)
	if vars == nil {
		vars = map[string]string{}
	}
	for _, from := range c.EnvFrom {
		if err := e.addAll(ctx, vars, pod.Namespace, from); err != nil {
			return nil, err
		}
	}
	expand := expansion.MappingFuncFor(vars)
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			vars[v.Name] = expansion.Expand(v.Value, expand)
			continue
		}
		value, found, err := e.valueFrom(ctx, pod, c, v.ValueFrom)
		if err != nil {
			return nil, err
		}
		if found {
			vars[v.Name] = value
		}
	}
	return vars, nil
}

func (e environment) addAll(ctx context.Context, vars map[string]string, namespace string, from corev1.EnvFromSource) error {
	find, name, optional := e.secret, "", false
	switch {
	case from.ConfigMapRef != nil:
		find, name, optional = e.configMap, from.ConfigMapRef.Name, ptr.Deref(from.ConfigMapRef.Optional, false)
	case from.SecretRef != nil:
		name, optional = from.SecretRef.Name, ptr.Deref(from.SecretRef.Optional, false)
	default:
		return nil
	}
	data, err := find(ctx, namespace, name)
	if errors.As(err, new(errMissing)) && optional {
		return nil
	}
	for key, value := range data {
		if name := from.Prefix + key; len(validation.IsEnvVarName(name)) == 0 {
			vars[name] = string(value)
		}
	}
	return err
}

// valueFrom reads one variable's source. found is false if it is optional and not
// there.
func (e environment) valueFrom(ctx context.Context, pod *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (value string, found bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = podField(pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = resourceField(pod, c, from.ResourceFieldRef)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		return keyOf(ctx, e.configMap, "configmap", pod.Namespace, ref.Name, ref.Key, ptr.Deref(ref.Optional, false))
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		return keyOf(ctx, e.secret, "secret", pod.Namespace, ref.Name, ref.Key, ptr.Deref(ref.Optional, false))
	}
	return "", false, nil
}

func keyOf(ctx context.Context, find lookup, kind, namespace, name, key string, optional bool) (string, bool, error) {
	data, err := find(ctx, namespace, name)
	switch {
	case errors.As(err, new(errMissing)) && optional:
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	value, found := data[key]
	if !found && !optional {
		return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s: %w", key, kind, namespace, name, errMissing{reference{kind, namespace, name}})
	}
	return string(value), found, nil
}

// podField reads a field of the downward API.
func podField(pod *corev1.Pod, field string) (string, error) {
	switch field {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return pod.Status.HostIP, nil
	case "status.podIP", "status.podIPs":
		return pod.Status.PodIP, nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, field)
}

// resourceField reads a request or limit. A limit that is not set is what the
// node has, which in a sandbox is more than anything needs.
func resourceField(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" && ref.ContainerName != c.Name {
		return podresource.ExtractResourceValueByContainerNameAndNodeAllocatable(ref, pod, ref.ContainerName, capacity())
	}
	c = c.DeepCopy()
	podresource.MergeContainerResourceLimits(c, capacity())
	return podresource.ExtractContainerResourceValue(ref, c)
}

// expandAll replaces $(NAME) in the words of a command.
func expandAll(words []string, vars map[string]string) []string {
	mapping := expansion.MappingFuncFor(vars)
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = expansion.Expand(word, mapping)
	}
	return expanded
}

// A mount is where a volume of the container is: at in the container's own idea
// of the file system, and under host on this machine.
type mount struct{ at, host string }

// relocate leads a value that is, or begins with, the path of a mount to where
// that is on this machine. A process has no file system of its own here, and this
// is what lets DATA_DIR=/data or --config=/etc/app/app.yaml work unchanged.
func relocate(value string, mounts []mount) string {
	prefix, file := "", value
	if flag, after, found := strings.Cut(value, "="); found && strings.HasPrefix(flag, "-") {
		prefix, file = flag+"=", after
	}
	for _, m := range mounts {
		if file == m.at || strings.HasPrefix(file, strings.TrimSuffix(m.at, "/")+"/") {
			return prefix + path.Join(m.host, strings.TrimPrefix(file, m.at))
		}
	}
	return value
}

// list writes variables in the form that processes get them, in a fixed order.
func list(vars map[string]string) []string {
	all := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		all = append(all, name+"="+vars[name])
	}
	return all
}
