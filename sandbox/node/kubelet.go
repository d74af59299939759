package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"crossfade.dev/sandbox/address"
)

// kubeletPort is where the API server asks the node for logs.
const kubeletPort = 10250

// standInLogLines is how many lines of a stand-in are kept; there are thousands.
const standInLogLines = 50

// serveKubelet serves the part of the kubelet's API that the API server needs for
// `kubectl logs`, `exec` and `port-forward`, to clients with a certificate of the sandbox's authority.
func (n *Node) serveKubelet(ctx context.Context, config *rest.Config) error {
	ip := n.cfg.Cluster.Node()
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey(n.cfg.Name, []net.IP{ip.AsSlice()}, nil)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if err := rest.LoadTLSFiles(config); err != nil {
		return err
	}
	if !clients.AppendCertsFromPEM(config.CAData) {
		return errors.New("the kubeconfig has no authority to check clients by")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.containerLogs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", n.exec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", n.portForward)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
			NextProtos: []string{"h2", "http/1.1"},
		},
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address.HostPort(ip, kubeletPort))
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	go func() { _ = server.ServeTLS(l, "", "") }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}

// containerLogs writes a container's log as PodLogOptions ask.
func (n *Node) containerLogs(w http.ResponseWriter, r *http.Request) {
	c := n.container(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if c == nil {
		http.Error(w, "no such container on this node", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	lines, next, more := c.log.from(0)
	if since := sinceOf(q.Get("sinceSeconds"), q.Get("sinceTime")); !since.IsZero() {
		for len(lines) > 0 && lines[0].at.Before(since) {
			lines = lines[1:]
		}
	}
	if tail, err := strconv.Atoi(q.Get("tailLines")); err == nil && tail >= 0 && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	w.Header().Set("Content-Type", "text/plain")
	for {
		for _, line := range lines {
			if q.Get("timestamps") == "true" {
				fmt.Fprintf(w, "%s ", line.at.UTC().Format(time.RFC3339Nano))
			}
			if _, err := io.WriteString(w, line.text+"\n"); err != nil {
				return
			}
		}
		if more == nil || q.Get("follow") != "true" {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
		lines, next, more = c.log.from(next)
	}
}

func sinceOf(seconds, at string) time.Time {
	if n, err := strconv.Atoi(seconds); err == nil {
		return time.Now().Add(-time.Duration(n) * time.Second)
	}
	t, _ := time.Parse(time.RFC3339, at) // zero if there is none
	return t
}

func (n *Node) container(namespace, name, container string) *container {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if p.namespace != namespace || p.name != name {
			continue
		}
		for _, c := range append(p.inits[:len(p.inits):len(p.inits)], p.mains...) {
			if c.spec.Name == container {
				return c
			}
		}
	}
	return nil
}
