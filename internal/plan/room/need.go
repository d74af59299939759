package room

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Need is what one pod requests.
type Need struct{ CPU, Memory int64 } // millicores, bytes

// Times is what so many such pods need.
func (n Need) Times(count int32) Need { return Need{n.CPU * int64(count), n.Memory * int64(count)} }

// Plus is what both need.
func (n Need) Plus(m Need) Need { return Need{n.CPU + m.CPU, n.Memory + m.Memory} }

// NeedOf is what the scheduler reserves for a pod.
func NeedOf(spec *corev1.PodSpec) Need {
	r := requestsOf(spec)
	return Need{r[corev1.ResourceCPU], r[corev1.ResourceMemory]}
}

// requests are amounts by resource: CPU in millicores, everything else in its unit.
type requests map[corev1.ResourceName]int64

// requestsOf is what the scheduler reserves for a pod: what its containers and its
// sidecars request together, or what an init container and the sidecars started before
// it do if that is more (KEP-753); instead of that what the pod itself requests, where
// it does (KEP-2837); and the overhead of its runtime class (KEP-688).
func requestsOf(spec *corev1.PodSpec) requests {
	running, most, sidecars := requests{}, requests{}, requests{}
	for _, c := range spec.Containers {
		running.add(requestsOfContainer(c))
	}
	for _, c := range spec.InitContainers {
		r := requestsOfContainer(c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			running.add(r)
			sidecars.add(r)
			r = requests{}
		}
		r.add(sidecars)
		most.raise(r)
	}
	running.raise(most)
	if spec.Resources != nil {
		for name, q := range spec.Resources.Requests {
			running[name] = amount(name, q)
		}
	}
	for name, q := range spec.Overhead {
		running[name] += amount(name, q)
	}
	return running
}

// requestsOfContainer takes a limit for the request where there is none, as the API
// server does.
func requestsOfContainer(c corev1.Container) requests {
	out := requests{}
	for name, q := range c.Resources.Limits {
		out[name] = amount(name, q)
	}
	for name, q := range c.Resources.Requests {
		out[name] = amount(name, q)
	}
	return out
}

func (r requests) add(o requests) {
	for name, n := range o {
		r[name] += n
	}
}

// raise makes each amount at least that of o.
func (r requests) raise(o requests) {
	for name, n := range o {
		r[name] = max(r[name], n)
	}
}

func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// hostPorts are those that only one pod of a node can have.
func hostPorts(spec *corev1.PodSpec) []int32 {
	var out []int32
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			switch {
			case p.HostPort != 0:
				out = append(out, p.HostPort)
			case spec.HostNetwork && p.ContainerPort != 0:
				out = append(out, p.ContainerPort)
			}
		}
	}
	return out
}
