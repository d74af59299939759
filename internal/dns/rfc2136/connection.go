package rfc2136

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
)

// fudge is how many seconds the clocks of both sides may differ (RFC 8945, section 10).
const fudge = 300

// algorithms are those that servers of today offer (RFC 8945, section 6).
var algorithms = []string{wire.HmacSHA256, wire.HmacSHA384, wire.HmacSHA512, wire.HmacSHA224, wire.HmacSHA1}

// canonical returns k as messages carry it. The error says what is wrong with it,
// and never contains the secret.
func (k Key) canonical() (Key, error) {
	if k.Algorithm == "" {
		k.Algorithm = wire.HmacSHA256
	}
	wanted := wire.CanonicalName(k.Algorithm)
	known := false
	for _, algorithm := range algorithms {
		known = known || algorithm == wanted
	}
	if !known {
		return Key{}, fmt.Errorf("tsig key %s: unknown algorithm %q", k.Name, k.Algorithm)
	}
	k.Algorithm = wanted
	if _, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || k.Secret == "" {
		return Key{}, fmt.Errorf("tsig key %s: secret is not base64 text", k.Name)
	}
	if _, ok := wire.IsDomainName(k.Name); !ok || k.Name == "" {
		return Key{}, fmt.Errorf("tsig key name %q is not a domain name", k.Name)
	}
	k.Name = wire.CanonicalName(k.Name)
	return k, nil
}

// A connection carries one conversation with the server, message by message.
type connection struct {
	conn    net.Conn
	ctx     context.Context
	stop    func() bool // ends the watch over ctx
	key     *Key
	timeout time.Duration
	// mac is the signature that the next one is chained to (RFC 8945, section 5.3).
	mac string
}

// connect dials the server. Its error wraps dns.ErrTransient: nothing was sent.
func (s *Server) connect(ctx context.Context) (*connection, error) {
	dialCtx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	conn, err := s.options.Dial(dialCtx, "tcp", s.options.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w: %w", dns.ErrTransient, err)
	}
	c := &connection{conn: conn, ctx: ctx, key: s.options.Key, timeout: s.options.Timeout}
	// A deadline in the past ends a read or write that is under way.
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return c, nil
}

func (c *connection) close() {
	c.stop()
	c.conn.Close()
}

// send writes one message, signed. If it returns an error although sent is true, the
// server may have received the message.
func (c *connection) send(message *wire.Msg) (sent bool, err error) {
	c.mac = ""
	packed, err := c.pack(message)
	if err != nil {
		return false, fmt.Errorf("pack: %w", err)
	}
	if len(packed) > wire.MaxMsgSize {
		return false, fmt.Errorf("message has %d bytes, over %d", len(packed), wire.MaxMsgSize)
	}
	if err := c.extend(); err != nil {
		return false, transientIfNetwork(err)
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(packed)))
	_, err = c.conn.Write(append(framed, packed...))
	return true, err
}

func (c *connection) pack(message *wire.Msg) ([]byte, error) {
	if c.key == nil {
		return message.Pack()
	}
	// The signature carries the time of day by which the server judges its age, so
	// this is the machine's clock and no other.
	message.SetTsig(c.key.Name, c.key.Algorithm, fudge, time.Now().Unix())
	packed, mac, err := wire.TsigGenerate(message, c.key.Secret, "", false)
	c.mac = mac
	return packed, err
}

// extend gives the next read or write its time.
func (c *connection) extend() error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	// The watch may have set its deadline just before.
	return c.ctx.Err()
}

// receive reads the message that answers id, and checks its signature. It chains
// signatures with timersOnly from a stream's second message on.
func (c *connection) receive(id uint16, timersOnly bool) (*wire.Msg, error) {
	if err := c.extend(); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c.conn, length[:]); err != nil {
		return nil, c.cause(err)
	}
	packed := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c.conn, packed); err != nil {
		return nil, c.cause(err)
	}
	message := new(wire.Msg)
	if err := message.Unpack(packed); err != nil {
		return nil, fmt.Errorf("unpack answer: %w", err)
	}
	if message.Id != id || !message.Response {
		return nil, errors.New("answer to another question")
	}
	if err := c.verify(packed, message, timersOnly); err != nil {
		return nil, err
	}
	return message, nil
}

// cause prefers the context's reason to that of the deadline which it set.
func (c *connection) cause(err error) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	return err
}

// verify checks the message's signature, without which it is worth nothing.
func (c *connection) verify(packed []byte, message *wire.Msg, timersOnly bool) error {
	if c.key == nil {
		return nil
	}
	signature := message.IsTsig()
	if signature == nil {
		return &unsignedError{rcode: message.Rcode, key: c.key.Name}
	}
	// An answer about a bad key cannot be signed (RFC 8945, section 5.2).
	if signature.Error != wire.RcodeSuccess {
		return fmt.Errorf("server refuses key %s: %s", c.key.Name, rcodeText(int(signature.Error)))
	}
	if !strings.EqualFold(signature.Hdr.Name, c.key.Name) {
		return fmt.Errorf("answer is signed with key %s, not %s", signature.Hdr.Name, c.key.Name)
	}
	err := wire.TsigVerify(packed, c.key.Secret, c.mac, timersOnly)
	if errors.Is(err, wire.ErrAuth) {
		// The library takes every NOTAUTH for a bad key and checks no signature.
		return &unsignedError{rcode: message.Rcode, key: c.key.Name}
	}
	if err != nil {
		return fmt.Errorf("signature of the answer: %w", err)
	}
	c.mac = signature.MAC
	return nil
}

// An unsignedError is an answer that anybody may have sent. Servers that look for
// keys within zones do not sign their refusal of a zone that they do not hold.
type unsignedError struct {
	rcode int
	key   string
}

func (e *unsignedError) Error() string {
	return fmt.Sprintf("server answers %s without a valid signature of key %s", rcodeText(e.rcode), e.key)
}

// refusal returns the code by which an answer refuses a zone, if it does so, signed
// or not: reply and err are what receive returned. For a question that is enough,
// because a false refusal changes nothing.
func refusal(reply *wire.Msg, err error) (rcode int, refused bool) {
	var unsigned *unsignedError
	switch {
	case err == nil:
		rcode = reply.Rcode
	case errors.As(err, &unsigned):
		rcode = unsigned.rcode
	default:
		return 0, false
	}
	switch rcode {
	case wire.RcodeRefused, wire.RcodeNotAuth, wire.RcodeNameError, wire.RcodeNotZone:
		return rcode, true
	}
	return 0, false
}

// ask sends one question and returns its answer. An error of the way there and back
// wraps dns.ErrTransient: a question changes nothing.
func (c *connection) ask(name, typ string) (*wire.Msg, error) {
	question := new(wire.Msg)
	question.SetQuestion(wire.Fqdn(name), typeNumber(typ))
	question.RecursionDesired = false
	if _, err := c.send(question); err != nil {
		return nil, transientIfNetwork(err)
	}
	reply, err := c.receive(question.Id, false)
	if err != nil {
		return nil, transientIfNetwork(err)
	}
	return reply, nil
}

// transientIfNetwork wraps dns.ErrTransient around errors of the connection. A bad
// signature or a message that does not unpack would be the same the next time.
func transientIfNetwork(err error) error {
	var network net.Error
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	cancelled := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if ended || cancelled || errors.As(err, &network) {
		return fmt.Errorf("%w: %w", dns.ErrTransient, err)
	}
	return err
}

func typeNumber(typ string) uint16 {
	if number, ok := wire.StringToType[typ]; ok {
		return number
	}
	var number uint16
	_, _ = fmt.Sscanf(typ, "TYPE%d", &number) // canonical sets have no other form
	return number
}

func rcodeText(rcode int) string {
	if text, ok := wire.RcodeToString[rcode]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

// rcodeError wraps class, unless it is nil, around an answer's code.
func rcodeError(rcode int, class error) error {
	if class == nil {
		return fmt.Errorf("server answers %s", rcodeText(rcode))
	}
	return fmt.Errorf("server answers %s: %w", rcodeText(rcode), class)
}
