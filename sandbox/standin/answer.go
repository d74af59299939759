package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/websocket"
)

const (
	// longestDelay bounds what a client may ask for with `?delay=`.
	longestDelay = 30 * time.Second
	// longestBody is how much of a request's body is read, in bytes.
	longestBody = 16 << 20
)

// ServeHTTP answers every path. The answer says which pod gave it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Pod-Name", s.pod)
	head.Set("X-Pod-Ip", s.ip.String())
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		s.grpc(w, r)
		return
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.websocket(w, r)
		return
	}
	delay, err := delayOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, longestBody)); err != nil {
		return // the client has gone
	}
	if !wait(r, delay) {
		return
	}
	s.leave(w)
	head.Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s stands in at %s\n", s.pod, r.URL.Path)
	if !strings.HasPrefix(r.UserAgent(), "kube-probe") {
		s.log(fmt.Sprintf("%s %s 200", r.Method, r.URL.Path))
	}
}

// leave asks the client to go if the pod is ending: by the header, which becomes
// a GOAWAY in HTTP/2. It is called as late as can be, since a pod may be told to
// stop while a slow request is in flight.
func (s *Server) leave(w http.ResponseWriter) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

func delayOf(r *http.Request) (time.Duration, error) {
	if !strings.Contains(r.URL.RawQuery, "delay=") {
		return 0, nil
	}
	text := r.URL.Query().Get("delay")
	delay, err := time.ParseDuration(text)
	if err != nil || delay < 0 || delay > longestDelay {
		return 0, fmt.Errorf("delay is %q: it must be a duration from 0s to %s", text, longestDelay)
	}
	return delay, nil
}

// wait is false if the client went before the delay was over.
func wait(r *http.Request, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// grpc answers health checks with SERVING and any other method with UNIMPLEMENTED
// (grpc.health.v1, and the protocol at grpc/doc/PROTOCOL-HTTP2.md).
func (s *Server) grpc(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Type", "application/grpc")
	head.Set("Trailer", "Grpc-Status, Grpc-Message")
	s.leave(w)
	method := strings.TrimPrefix(r.URL.Path, "/grpc.health.v1.Health/")
	if method != "Check" && method != "Watch" {
		w.WriteHeader(http.StatusOK)
		head.Set("Grpc-Status", "12")
		head.Set("Grpc-Message", "a stand-in has only health checks")
		s.log("gRPC " + r.URL.Path + " unimplemented")
		return
	}
	// HealthCheckResponse{status: SERVING} is field 1, varint, 1.
	message := []byte{0x08, 0x01}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	if _, err := w.Write(append(frame, message...)); err != nil {
		return
	}
	if method == "Watch" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	head.Set("Grpc-Status", "0")
}

// websocket echoes messages until the client leaves or the stand-in ends.
func (s *Server) websocket(w http.ResponseWriter, r *http.Request) {
	server := websocket.Server{
		Config: websocket.Config{Header: http.Header{
			"X-Pod-Name": w.Header().Values("X-Pod-Name"), "X-Pod-Ip": w.Header().Values("X-Pod-Ip"),
		}},
		Handshake: func(*websocket.Config, *http.Request) error { return nil }, // any origin
		Handler: func(ws *websocket.Conn) {
			if !s.hold(ws, func() { _ = ws.WriteClose(goingAway) }) {
				return
			}
			defer s.release(ws)
			s.log("websocket " + r.URL.Path)
			var message []byte
			for websocket.Message.Receive(ws, &message) == nil {
				if websocket.Message.Send(ws, string(message)) != nil {
					return
				}
			}
		},
	}
	server.ServeHTTP(w, r)
}

// goingAway is the WebSocket status of a server that stops (RFC 6455, 7.4.1).
const goingAway = 1001

// tlsConfig is the same for all stand-ins of a process: nobody checks the name.
var tlsConfig = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "standin"},
		DNSNames:     []string{"standin"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"h2", "http/1.1"},
	}
})
