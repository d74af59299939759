package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"crossfade.dev/sandbox/address"
)

// The API server dials nodes (for logs), pods (webhooks, aggregated APIs, proxying)
// and services by the addresses that its objects carry. It has an official way to
// send such connections through a proxy, which here translates the address.

func egressConfig(sockets *os.File) []byte {
	return fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %s
`, socket(sockets, "egress.sock"))
}

// startEgress serves CONNECT on a Unix socket until ctx ends.
func (c *Config) startEgress(ctx context.Context, sockets *os.File) error {
	path := socket(sockets, "egress.sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(connect), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}

func connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT is served here", http.StatusMethodNotAllowed)
		return
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	there, err := dialer.DialContext(r.Context(), "tcp", address.Translate(r.Host))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_, _ = here.Close(), there.Close()
		return
	}
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(here, there)
	_, _ = here.Close(), there.Close()
}
