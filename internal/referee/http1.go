package referee

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// http1 speaks HTTP/1.1 (RFC 9112), a request at a time. It uses no http.Transport,
// which would try again, by itself, what we have to count.
type http1 struct {
	stream
	host string
	out  []byte
}

func newHTTP1(conn net.Conn, host string) *http1 {
	return &http1{stream: newStream(conn), host: host}
}

// Only the method is looked at, to know whether an answer has a body.
var bodied = &http.Request{Method: http.MethodGet}

func (w *http1) exchange(r request, deadline time.Time) (answer, *fault) {
	_ = w.conn.SetDeadline(deadline)
	if _, err := w.conn.Write(w.encode(r)); err != nil {
		return answer{}, faultOf(ClassWrite, err)
	}
	response, err := finalResponse(w.reader)
	if err != nil {
		return answer{}, faultOf(ClassRead, err)
	}
	got := answer{status: response.StatusCode, podIP: response.Header.Get("X-Pod-Ip")}
	got.body, err = readBody(response, r.keep)
	if err != nil {
		return got, faultOf(ClassRead, fmt.Errorf("after status %d: %w", got.status, err))
	}
	w.done = r.last || response.Close || w.reader.Buffered() > 0
	return got, nil
}

// encode returns the bytes of r, which are valid until the next call.
func (w *http1) encode(r request) []byte {
	out := append(w.out[:0], r.method...)
	out = append(out, ' ')
	out = append(out, r.path...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, w.host...)
	out = append(out, "\r\nUser-Agent: crossfade-load\r\nX-Request-Id: "...)
	out = append(out, r.id...)
	if r.last {
		out = append(out, "\r\nConnection: close"...)
	}
	if r.body != nil {
		out = append(out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		out = strconv.AppendInt(out, int64(len(r.body)), 10)
	}
	out = append(out, "\r\n\r\n"...)
	w.out = append(out, r.body...)
	return w.out
}

// finalResponse skips informational answers (RFC 9110, 15.2). At most five, so
// that an endless stream of them ends.
func finalResponse(reader *bufio.Reader) (*http.Response, error) {
	for range 6 {
		response, err := http.ReadResponse(reader, bodied)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
	return nil, fmt.Errorf("more than five informational answers")
}

// readBody reads all of a body, so that an answer that breaks off is seen, and
// returns up to maxBody of it if it is wanted.
func readBody(response *http.Response, keep bool) ([]byte, error) {
	defer response.Body.Close()
	var body []byte
	if keep {
		var err error
		if body, err = io.ReadAll(io.LimitReader(response.Body, maxBody)); err != nil {
			return nil, err
		}
	}
	_, err := io.Copy(io.Discard, response.Body)
	return body, err
}
