package referee

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// A wire is one connection that carries requests one after the other. It is used
// by one goroutine at a time.
type wire interface {
	// exchange sends r and reads its whole answer before the deadline. After a fault
	// the wire must be closed.
	exchange(r request, deadline time.Time) (answer, *fault)
	// idle waits until the time given, or until the load stops, with nothing under
	// way. It returns false, and at once, when the other side has closed the wire.
	idle(stopping context.Context, until time.Time) bool
	// spent is true once no further request may be sent on the wire.
	spent() bool
	close()
}

// A request is what a wire sends. Wires that speak no HTTP look at nothing in it.
type request struct {
	id     string // X-Request-Id, by which a person finds it in the logs of others
	method string
	path   string
	body   []byte
	expect StatusRange
	keep   bool // the answer's body is wanted, up to maxBody
	last   bool // nothing follows on this connection
	// check looks into an answer that has come in full with an expected status.
	check func(answer) *fault
}

type answer struct {
	status int
	podIP  string // X-Pod-Ip
	body   []byte
}

// maxBody bounds the bodies that are kept; what comes after it is read and dropped.
const maxBody = 1 << 20

// A Class says where a request failed.
type Class string

// The classes. A request whose time ran out is ClassTimeout wherever it was by
// then, except in name resolution; its text says where.
const (
	ClassDNS     Class = "dns"
	ClassConnect Class = "connect"
	ClassTLS     Class = "tls"
	ClassWrite   Class = "write"
	ClassRead    Class = "read"
	ClassTimeout Class = "timeout"
	ClassStatus  Class = "status"
	ClassContent Class = "content" // not what the package documentation asks of the kind
)

// A fault is a failed request. It is always handled as *fault, never as error, so
// that nil means none.
type fault struct {
	class Class
	err   error
}

// faultOf wraps err, which happened in the part of a request that class names.
func faultOf(class Class, err error) *fault {
	wrapped := fmt.Errorf("%s: %w", class, err)
	if class != ClassDNS && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)) {
		class = ClassTimeout
	}
	return &fault{class, wrapped}
}

func (f *fault) timedOut() bool { return f.class == ClassTimeout || isTimeout(f.err) }

// ownFault is true for errors that the referee's machine caused: no ports, no
// files, no memory left.
func ownFault(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// dialWire resolves the lane's host as its client does, and connects. The address
// is what was resolved, with the port, and empty if that failed.
func (l *lane) dialWire(deadline time.Time) (w wire, address string, f *fault) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	ip, err := l.client.resolve(ctx, l.target.Host)
	if err != nil {
		return nil, "", faultOf(ClassDNS, err)
	}
	address = net.JoinHostPort(ip.String(), fmt.Sprint(l.target.Port))
	conn, err := l.config.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, address, faultOf(ClassConnect, err)
	}

	switch l.target.Scheme {
	case HTTPS:
		config := l.config.TLS.Clone()
		config.ServerName = l.target.Host
		config.InsecureSkipVerify = config.InsecureSkipVerify || l.target.Insecure
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, address, faultOf(ClassTLS, err)
		}
		return newHTTP1(secure, l.target.hostHeader()), address, nil
	case H2C:
		w, f := newHTTP2(ctx, conn, l.target.hostHeader())
		return w, address, f
	case TCP:
		return newRedis(conn), address, nil
	default:
		return newHTTP1(conn, l.target.hostHeader()), address, nil
	}
}

// stream is what wires share that read from one connection directly.
type stream struct {
	conn   net.Conn
	reader *bufio.Reader
	done   bool
}

func newStream(conn net.Conn) stream {
	return stream{conn: conn, reader: bufio.NewReaderSize(conn, 2048)}
}

// glance is how long idle looks for a close that has already arrived when there is
// no time to wait.
const glance = 500 * time.Microsecond

// idle waits inside a read, so that a close is seen when it comes and the
// connection needs no goroutine of its own. Bytes that nobody asked for count as a
// close: servers say so before they end an idle connection.
func (s *stream) idle(stopping context.Context, until time.Time) bool {
	if earliest := time.Now().Add(glance); until.Before(earliest) {
		until = earliest
	}
	_ = s.conn.SetReadDeadline(until)
	woken := make(chan struct{})
	disarm := context.AfterFunc(stopping, func() {
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
		close(woken)
	})
	_, err := s.reader.Peek(1)
	if !disarm() {
		<-woken // the deadline of the next exchange must come after this one
	}
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *stream) spent() bool { return s.done }

func (s *stream) close() { _ = s.conn.Close() }
