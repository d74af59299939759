package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"crossfade.dev/internal/judge"
)

// A half is how one side of a pair ended.
type half struct {
	class   judge.Class
	latency time.Duration
	// invalid is true if it says nothing about the side; untimed if only its latency
	// does not.
	invalid, untimed bool
}

// A wire is one connection, which carries requests one after the other. It uses no
// http.Transport: that would try again, by itself, what is to be counted.
type wire struct {
	conn   net.Conn
	reader *bufio.Reader
}

// mostBody is how much of an answer is read. What has more is a success, but the
// connection is not used again.
const mostBody = 1 << 20

func newWire(conn net.Conn) *wire { return &wire{conn, bufio.NewReaderSize(conn, 2048)} }

// idle waits until the time given. It returns false, and at once, when the server
// has closed the connection, which it may while nothing is under way.
func (w *wire) idle(until time.Time) bool {
	if err := w.conn.SetReadDeadline(until); err != nil {
		return false
	}
	_, err := w.reader.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange sends a request and reads its answer. It tells whether the connection
// may be used again. Nothing is sent twice: bytes were written, whatever became of
// them.
func (w *wire) exchange(request []byte, deadline time.Time) (class judge.Class, again bool, err error) {
	if err := w.conn.SetDeadline(deadline); err != nil {
		return judge.Unconnected, false, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return failure(err), false, err
	}
	answer, err := finalResponse(w.reader)
	if err != nil {
		return failure(err), false, err
	}
	defer answer.Body.Close()
	read, err := io.Copy(io.Discard, io.LimitReader(answer.Body, mostBody))
	if err != nil {
		return failure(err), false, err
	}
	class = judge.Class(min(max(answer.StatusCode/100, 2), 5) - 2)
	return class, !answer.Close && read < mostBody && w.reader.Buffered() == 0, nil
}

// Only the method is looked at, to know whether an answer has a body.
var get = &http.Request{Method: http.MethodGet}

// finalResponse skips informational answers (RFC 9110, 15.2), at most five.
func finalResponse(reader *bufio.Reader) (*http.Response, error) {
	for range 6 {
		answer, err := http.ReadResponse(reader, get)
		if err != nil || answer.StatusCode >= 200 {
			return answer, err
		}
	}
	return nil, errors.New("more than five informational answers")
}

func failure(err error) judge.Class {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return judge.TimedOut
	}
	return judge.Unconnected
}

// ownFault is true for errors that the prober's machine caused: no ports, no
// files, no memory left.
func ownFault(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// encode returns the bytes of a name's request.
func (n Name) encode(last bool) []byte {
	host := n.Host
	if n.Port != 80 {
		host = net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port)))
	}
	path := url.URL{Path: n.Path}
	text := "GET " + path.RequestURI() + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: crossfade-prober\r\nAccept: */*\r\n"
	if last {
		text += "Connection: close\r\n"
	}
	return []byte(text + "\r\n")
}
