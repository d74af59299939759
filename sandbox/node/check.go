package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"

	"crossfade.dev/sandbox/address"
)

// checks are the kubelet's own probers.
type checks struct {
	http httpprobe.Prober
	tcp  tcpprobe.Prober
	grpc grpcprobe.Prober
}

func newChecks() checks {
	return checks{
		// The kubelet does not verify certificates either.
		http: httpprobe.NewWithTLSConfig(&tls.Config{InsecureSkipVerify: true}, false),
		tcp:  tcpprobe.New(),
		grpc: grpcprobe.New(),
	}
}

// A check is one way to ask a container how it is. It returns what was found if
// the answer is no.
type check func(ctx context.Context) error

// check makes the check of a probe of a container.
func (c checks) check(p *corev1.Probe, of *container) check {
	container, ip := of.spec, of.pod.ip
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	switch {
	case p.Exec != nil:
		return func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return of.exec(ctx, p.Exec.Command)
		}
	case p.HTTPGet != nil:
		return func(context.Context) error { return c.httpGet(p.HTTPGet, container, ip, "probe", timeout) }
	case p.TCPSocket != nil:
		return func(context.Context) error {
			port, err := probe.ResolveContainerPort(p.TCPSocket.Port, container)
			if err != nil {
				return err
			}
			host, hostPort := dialed(p.TCPSocket.Host, ip, port)
			return verdict(c.tcp.Probe(host, hostPort, timeout))
		}
	case p.GRPC != nil:
		return func(context.Context) error {
			service := ""
			if p.GRPC.Service != nil {
				service = *p.GRPC.Service
			}
			host, port := dialed("", ip, int(p.GRPC.Port))
			return verdict(c.grpc.Probe(host, service, port, timeout))
		}
	}
	return func(context.Context) error { return nil }
}

// httpGet asks as the kubelet does, with the pod's own address as Host.
func (c checks) httpGet(get *corev1.HTTPGetAction, container *corev1.Container, ip netip.Addr, agent string, timeout time.Duration) error {
	request, err := httpprobe.NewRequestForHTTPGetAction(get, container, ip.String(), agent)
	if err != nil {
		return err
	}
	if request.Host == "" {
		request.Host = request.URL.Host
	}
	port, err := strconv.Atoi(request.URL.Port())
	if err != nil {
		return err
	}
	host, hostPort := dialed(get.Host, ip, port)
	request.URL.Host = net.JoinHostPort(host, strconv.Itoa(hostPort))
	return verdict(c.http.Probe(request, timeout))
}

// dialed returns where on this machine a probe of host goes; the pod if empty.
func dialed(host string, ip netip.Addr, port int) (string, int) {
	if host != "" {
		parsed, err := netip.ParseAddr(host)
		if err != nil {
			return host, port
		}
		ip = parsed
	}
	if address.Host(ip) == ip {
		return ip.String(), port
	}
	return address.Host(ip).String(), address.Port(port)
}

func verdict(result probe.Result, output string, err error) error {
	switch {
	case err != nil:
		return err
	case result == probe.Success || result == probe.Warning:
		return nil
	}
	return errors.New(beginning(output))
}

// beginning is as much of what a check found as is worth telling.
func beginning(output string) string { return output[:min(len(output), 200)] }
