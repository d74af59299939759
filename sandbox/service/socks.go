package service

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"crossfade.dev/sandbox/address"
)

// A Proxy connects processes to what they would reach from inside the cluster. It
// speaks SOCKS5 (RFC 1928) with user and password (RFC 1929): the user is the
// namespace of the calling pod, the password its address.
type Proxy struct {
	Directory *Directory
	// Resolve finds the addresses of a name that is not the cluster's.
	Resolve func(ctx context.Context, name string) ([]netip.Addr, error)
}

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 30 * time.Second
	// acceptPause is the pause after a connection that could not be accepted.
	acceptPause = 50 * time.Millisecond
)

// Replies of RFC 1928, section 6.
const (
	granted       = 0
	failed        = 1
	notAllowed    = 2
	netUnreached  = 3
	hostUnreached = 4
	refused       = 5
	unsupported   = 7
)

// Serve accepts connections on l until l is closed.
func (p *Proxy) Serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors: others will be closed
			time.Sleep(acceptPause)
		default:
			go p.serve(conn)
		}
	}
}

// A caller is the pod that asks.
type caller struct {
	namespace string
	ip        netip.Addr
}

func (p *Proxy) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	from, err := greet(conn)
	if err != nil {
		return
	}
	host, port, err := request(conn)
	if err != nil {
		return
	}
	there, err := p.connect(from, host, port)
	if err != nil {
		_ = reply(conn, replyFor(err))
		return
	}
	defer there.Close()
	if reply(conn, granted) != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		pipe(there, conn)
	}()
	pipe(conn, there)
	<-done
}

// pipe copies one direction, and passes its end on. A direction that breaks takes
// the other with it.
func pipe(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// greet agrees on a method and reads who calls. Callers without a user are taken
// to be in the namespace default.
func greet(conn net.Conn) (caller, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return caller{}, err
	}
	if head[0] != 5 {
		return caller{}, fmt.Errorf("version %d of SOCKS is not spoken here", head[0])
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(conn, methods); err != nil {
		return caller{}, err
	}
	const none, password = 0, 2
	method := byte(none)
	for _, m := range methods {
		if m == password {
			method = password
		}
	}
	if _, err := conn.Write([]byte{5, method}); err != nil || method == none {
		return caller{namespace: "default"}, err
	}
	if _, err := io.ReadFull(conn, head[:1]); err != nil {
		return caller{}, err
	}
	user, err := readString(conn)
	if err != nil {
		return caller{}, err
	}
	secret, err := readString(conn)
	if err != nil {
		return caller{}, err
	}
	ip, _ := netip.ParseAddr(secret) // a caller that has none says anything
	_, err = conn.Write([]byte{1, 0})
	return caller{user, ip}, err
}

// request reads which connection is wanted.
func request(conn net.Conn) (host string, port int, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return "", 0, err
	}
	const connect, ipv4, domain, ipv6 = 1, 1, 3, 4
	switch head[3] {
	case domain:
		host, err = readString(conn)
	case ipv4, ipv6:
		ip := make([]byte, map[byte]int{ipv4: 4, ipv6: 16}[head[3]])
		if _, err = io.ReadFull(conn, ip); err == nil {
			parsed, _ := netip.AddrFromSlice(ip)
			host = parsed.String()
		}
	default:
		err = fmt.Errorf("address type %d is not known", head[3])
	}
	if err != nil {
		return "", 0, err
	}
	if _, err := io.ReadFull(conn, head[2:4]); err != nil {
		return "", 0, err
	}
	if head[1] != connect {
		_ = reply(conn, unsupported)
		return "", 0, fmt.Errorf("command %d is not supported", head[1])
	}
	return host, int(binary.BigEndian.Uint16(head[2:4])), nil
}

func readString(conn net.Conn) (string, error) {
	length := make([]byte, 1)
	if _, err := io.ReadFull(conn, length); err != nil {
		return "", err
	}
	text := make([]byte, length[0])
	_, err := io.ReadFull(conn, text)
	return string(text), err
}

func reply(conn net.Conn, code byte) error {
	_, err := conn.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
	return err
}

func replyFor(err error) byte {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, ErrNoEndpoint):
		return refused // kube-proxy rejects connections to a Service without endpoints
	case errors.Is(err, errOutside):
		return notAllowed
	case errors.Is(err, syscall.ENETUNREACH):
		return netUnreached
	case errors.Is(err, errUnknownName), errors.Is(err, ErrNoPort):
		return hostUnreached
	}
	return failed
}

var (
	errUnknownName = errors.New("no such name")
	// errOutside says that an address is not one of the sandbox's: pods of a
	// sandbox reach nothing else.
	errOutside = errors.New("the address is outside the sandbox")
)

// connect dials what host and port mean to the caller. An endpoint that does not
// answer is the caller's problem, as it is with kube-proxy.
func (p *Proxy) connect(from caller, host string, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	to, err := p.destination(ctx, from, host, port)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	if from.ip.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: address.Host(from.ip).AsSlice()}
	}
	return dialer.DialContext(ctx, "tcp", to)
}

// destination returns the address on this machine that a connection goes to.
func (p *Proxy) destination(ctx context.Context, from caller, host string, port int) (string, error) {
	ip, err := netip.ParseAddr(host)
	target, found := Target{}, false
	if err == nil {
		target, found = p.Directory.byClusterIP(ip)
	} else {
		target, found = p.Directory.Find(host, from.namespace)
	}
	if found && target.Service.Spec.ExternalName != "" {
		host, found = target.Service.Spec.ExternalName, false
	}
	if found {
		endpoint, err := p.Directory.Pick(target, port)
		if err != nil {
			return "", err
		}
		return address.HostPort(endpoint.Addr(), int(endpoint.Port())), nil
	}
	if !ip.IsValid() {
		all, err := p.Resolve(ctx, host)
		if err != nil {
			return "", fmt.Errorf("resolve %s: %w", host, err)
		}
		ip = all[0]
	}
	if b := ip.Unmap(); !address.Host(b).IsLoopback() {
		return "", fmt.Errorf("%s: %w", net.JoinHostPort(host, strconv.Itoa(port)), errOutside)
	}
	return address.HostPort(ip, port), nil
}
