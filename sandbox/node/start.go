package node

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
)

// initTime is how long the stand-in of an init container takes.
var initTime = delay.Range{Min: 100 * time.Millisecond, Max: 500 * time.Millisecond}

// startInstance starts c: as a process if its image is in the table.
func (n *Node) startInstance(c *container, vars map[string]string) (instance, error) {
	if image, real := n.images.find(c.spec.Image); real {
		return c.pod.startProcess(c, image, vars)
	}
	return c.pod.startStandIn(c)
}

// startStandIn starts a stand-in for c.
func (p *pod) startStandIn(c *container) (instance, error) {
	purpose := p.purpose("run") + "/" + c.spec.Name
	var runFor time.Duration
	var ports []int
	switch {
	case c.role == initRole:
		runFor = initTime.For(p.node.cfg.Seed, purpose)
	case c.role == mainRole && p.restart != corev1.RestartPolicyAlways:
		runFor = p.node.cfg.TaskTime.For(p.node.cfg.Seed, purpose)
	}
	if c.role != initRole {
		ports = p.portsOf(c)
	}
	inst, err := startStandIn(p.namespace+"/"+p.name, p.ip, ports, runFor, c.log)
	if err != nil {
		return nil, err
	}
	return inst, nil
}

// portsOf returns the TCP ports at which a stand-in for c has to answer: those that
// it declares, those that its probes ask, and, for the pod's first stand-in, those
// that Services expect and no container declares.
func (p *pod) portsOf(c *container) []int {
	ports := declared(c.spec)
	for _, probe := range []*corev1.Probe{c.spec.StartupProbe, c.spec.LivenessProbe, c.spec.ReadinessProbe} {
		if port := probed(probe); port > 0 && !p.declaredElsewhere(c, port) {
			ports = append(ports, port)
		}
	}
	if p.firstStandIn() == c {
		for _, port := range p.node.services.TargetPorts(p.snapshot()) {
			if !p.declaredElsewhere(c, port) {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func declared(spec *corev1.Container) []int {
	var ports []int
	for _, port := range spec.Ports {
		if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
			ports = append(ports, int(port.ContainerPort))
		}
	}
	return ports
}

// probed is the port that a probe gives by number; 0 if it gives none.
func probed(probe *corev1.Probe) int {
	number := func(port intstr.IntOrString) int {
		if port.Type == intstr.Int {
			return port.IntValue()
		}
		return 0 // a name is that of a declared port
	}
	switch {
	case probe == nil:
	case probe.HTTPGet != nil && probe.HTTPGet.Host == "":
		return number(probe.HTTPGet.Port)
	case probe.TCPSocket != nil && probe.TCPSocket.Host == "":
		return number(probe.TCPSocket.Port)
	case probe.GRPC != nil:
		return int(probe.GRPC.Port)
	}
	return 0
}

func (p *pod) declaredElsewhere(c *container, port int) bool {
	for _, other := range slices.Concat(p.inits, p.mains) {
		if other != c && other.role != initRole && slices.Contains(declared(other.spec), port) {
			return true
		}
	}
	return false
}

func (p *pod) firstStandIn() *container {
	for _, c := range p.mains {
		if _, real := p.node.images.find(c.spec.Image); !real {
			return c
		}
	}
	return nil
}

// expectPorts opens the ports of Services that came after the pod started.
func (p *pod) expectPorts() {
	c := p.firstStandIn()
	if c == nil {
		return
	}
	p.mu.Lock()
	inst, _ := c.current.(*standingIn)
	p.mu.Unlock()
	if inst == nil {
		return
	}
	for _, port := range p.portsOf(c) {
		if err := inst.listen(port); err != nil {
			p.warn("Failed", fmt.Sprintf("Error: stand in at port %d: %v", port, err))
		}
	}
}

// startProcess starts the local program that the image stands for.
func (p *pod) startProcess(c *container, i image, vars map[string]string) (instance, error) {
	home := filepath.Join(p.dir(), c.spec.Name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	folders, err := p.node.volumes.make(p.ctx, p.snapshot(), filepath.Join(p.dir(), "volumes"))
	if err != nil {
		return nil, errUnmounted{err}
	}
	root := filepath.Join(home, "root")
	mounted, err := mounts(c.spec, folders, root)
	if err != nil {
		return nil, err
	}
	vars = maps.Clone(vars)
	for name, value := range vars {
		vars[name] = relocate(value, mounted)
	}
	vars["VOLUME_ROOT"] = root
	spec := *c.spec
	spec.Command, spec.Args = expandAll(spec.Command, vars), expandAll(spec.Args, vars)
	argv := i.argv(&spec)
	for at := range argv {
		argv[at] = relocate(argv[at], mounted)
	}
	env := list(vars)
	inst, err := p.node.nursery.start(argv, env, home, c.log)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	c.env = env
	p.mu.Unlock()
	return inst, nil
}

// dir is the pod's folder.
func (p *pod) dir() string {
	return filepath.Join(p.node.cfg.Dir, "pods", p.namespace+"_"+p.name+"_"+string(p.uid))
}

// environmentOf is what the variables of a container come from. Those of the node
// are what a process has to know about a machine that is not its own.
func (n *Node) environmentOf(p *pod, c *container) environment {
	e := environment{configMap: n.references.configMap, secret: n.references.secret}
	image, real := n.images.find(c.spec.Image)
	if !real {
		return e
	}
	proxy := n.proxyURL(p)
	e.own = map[string]string{
		"PATH":          os.Getenv("PATH"),
		"HOME":          filepath.Join(p.dir(), c.spec.Name),
		"HOSTNAME":      p.name,
		"POD_NAME":      p.name,
		"POD_NAMESPACE": p.namespace,
		"POD_IP":        p.ip.String(),
		"BIND_ADDRESS":  address.Host(p.ip).String(),
		"HTTP_PROXY":    proxy,
		"HTTPS_PROXY":   proxy,
		"ALL_PROXY":     proxy,
	}
	maps.Copy(e.own, image.Env)
	return e
}
