package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"crossfade.dev/sandbox/address"
)

// Limits of the streams of `kubectl exec` and `kubectl port-forward`, as in the
// kubelet.
const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// exec runs a command in a container, with its standard streams. There are no
// terminals: a process gets a pipe.
func (n *Node) exec(w http.ResponseWriter, r *http.Request) {
	c := n.container(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if c == nil {
		http.Error(w, "no such container on this node", http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, c, c.pod.name, string(c.pod.uid), c.spec.Name, r.Form["command"], options,
		streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
}

// ExecInContainer makes a container a remotecommand.Executor.
func (c *container) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, errs io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	image, real := c.pod.node.images.find(c.spec.Image)
	if !real {
		return errors.New("the container is a stand-in, in which there are no programs to run")
	}
	cmd, err := c.command(ctx, image, command)
	if err != nil {
		return err
	}
	if out != nil {
		cmd.Stdout = out
	}
	if errs != nil {
		cmd.Stderr = errs
	}
	if in != nil {
		cmd.Stdin = in
	}
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return utilexec.CodeExitError{Err: err, Code: failed.ExitCode()}
	}
	return err
}

// portForward connects a client to ports of a pod.
func (n *Node) portForward(w http.ResponseWriter, r *http.Request) {
	ip, ok := n.ipOf(r.PathValue("namespace"), r.PathValue("pod"))
	if !ok {
		http.Error(w, "no such pod on this node", http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{ip}, r.PathValue("pod"), "", options, streamIdle, streamCreation, portforward.SupportedProtocols)
}

// A forwarder copies between a stream and a port of the pod with an address.
type forwarder struct{ ip netip.Addr }

// PortForward makes a forwarder a portforward.PortForwarder.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.HostPort(f.ip, int(port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	return err
}

func (n *Node) ipOf(namespace, name string) (netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if p.namespace == namespace && p.name == name {
			return p.ip, true
		}
	}
	return netip.Addr{}, false
}
