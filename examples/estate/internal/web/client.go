package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	connectAttempts = 3
	connectPause    = 50 * time.Millisecond

	// idleTimeout is shorter than the time for which a stopping pod goes on
	// answering. So a connection that stays unused while its pod ends is closed
	// from this side, and never just as a request is written to it.
	idleTimeout = 3 * time.Second
)

// A client calls the core API. Pods of the API come and go beneath it.
//
// What net/http does by itself is what is wanted: a GET is sent again if a reused
// connection turns out to be closed before the answer began; a POST is sent again
// only if not one byte of it was written. To that this client adds that connecting
// is tried again, when the endpoint chosen has just gone.
type client struct {
	base string
	http *http.Client
}

func newClient(base string) *client {
	dial := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	return &client{
		base: strings.TrimSuffix(base, "/"),
		http: &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dial.DialContext,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       idleTimeout,
			ResponseHeaderTimeout: 10 * time.Second,
		}},
	}
}

// A reply is an answer that was read to its end.
type reply struct {
	status      int
	contentType string
	body        []byte
}

// call sends one request and reads the whole answer.
func (c *client) call(ctx context.Context, method, path string, body []byte) (reply, error) {
	for attempt := 1; ; attempt++ {
		answer, err := c.once(ctx, method, path, body)
		if err == nil || attempt == connectAttempts || !neverConnected(err) {
			return answer, err
		}
		select {
		case <-time.After(connectPause):
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}

func (c *client) once(ctx context.Context, method, path string, body []byte) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	return reply{response.StatusCode, response.Header.Get("Content-Type"), answer}, nil
}

// neverConnected holds when err came before there was a connection, directly or
// through the SOCKS proxy: nothing of the request can have been sent.
func neverConnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "socks connect")
}
