package referee

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// http2 is one HTTP/2 connection without TLS. http.ClientConn tries nothing again
// and opens no other connection.
type http2 struct {
	conn *http.ClientConn
	host string
	done bool
}

func newHTTP2(ctx context.Context, conn net.Conn, host string) (*http2, *fault) {
	transport := http.Transport{
		Protocols:          new(http.Protocols),
		DisableCompression: true,
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client, err := transport.NewClientConn(ctx, "http", "established:80")
	if err != nil {
		_ = conn.Close()
		return nil, faultOf(ClassConnect, err)
	}
	return &http2{conn: client, host: host}, nil
}

func (w *http2) exchange(r request, deadline time.Time) (answer, *fault) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	asked, err := http.NewRequestWithContext(ctx, r.method, "http://"+w.host+r.path, body)
	if err != nil {
		return answer{}, faultOf(ClassWrite, err)
	}
	asked.Header.Set("User-Agent", "crossfade-load")
	asked.Header.Set("X-Request-Id", r.id)
	if r.body != nil {
		asked.Header.Set("Content-Type", "application/json")
	}

	response, err := w.conn.RoundTrip(asked)
	if err != nil {
		return answer{}, faultOf(ClassRead, err)
	}
	got := answer{status: response.StatusCode, podIP: response.Header.Get("X-Pod-Ip")}
	got.body, err = readBody(response, r.keep)
	if err != nil {
		return got, faultOf(ClassRead, err)
	}
	w.done = r.last
	return got, nil
}

func (w *http2) idle(stopping context.Context, until time.Time) bool {
	sleepUntil(stopping, until)
	return !w.spent()
}

// spent is also true after a GOAWAY (RFC 9113, 6.8).
func (w *http2) spent() bool {
	return w.done || w.conn.Err() != nil || w.conn.Available() == 0
}

func (w *http2) close() { _ = w.conn.Close() }
