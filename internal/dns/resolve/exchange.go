package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// udpSize is the longest answer that is asked for over UDP, in bytes: it fits into
// one packet on every usual path (DNS flag day 2020).
const udpSize = 1232

// ask sends question until it is answered or the attempts are used up. It connects
// where needed: servers may close an idle connection at any time.
func (l *lane) ask(ctx context.Context, question *wire.Msg) (*wire.Msg, error) {
	packed, err := question.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	for attempt := 1; ; attempt++ {
		reply, err := l.attempt(ctx, question, packed)
		if err == nil {
			return reply, nil
		}
		l.close() // a late answer must not meet the next question
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if attempt == l.servers.options.Attempts {
			return nil, noAnswer(err)
		}
	}
}

// errSilent says that a server gave no answer that can be read.
var errSilent = errors.New("no answer")

func noAnswer(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return fmt.Errorf("%w in time", errSilent)
	}
	return fmt.Errorf("%w: %w", errSilent, err)
}

func (l *lane) attempt(ctx context.Context, question *wire.Msg, packed []byte) (*wire.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, l.servers.options.Timeout)
	defer cancel()
	if l.conn == nil {
		conn, err := l.servers.options.Dial(ctx, l.network, l.server)
		if err != nil {
			return nil, err
		}
		l.conn = conn
	}
	conn := l.conn
	if err := conn.SetDeadline(time.Now().Add(l.servers.options.Timeout)); err != nil {
		return nil, err
	}
	// A deadline in the past ends a read or write that is under way.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := packed
	if l.network == "tcp" {
		sent = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := conn.Write(sent); err != nil {
		return nil, err
	}
	return l.read(question)
}

// read returns the answer to question. Over UDP, packets that are not it are
// skipped: anybody can send those.
func (l *lane) read(question *wire.Msg) (*wire.Msg, error) {
	buffer := make([]byte, udpSize)
	for {
		var packed []byte
		if l.network == "tcp" {
			var length [2]byte
			if _, err := io.ReadFull(l.conn, length[:]); err != nil {
				return nil, err
			}
			packed = make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(l.conn, packed); err != nil {
				return nil, err
			}
		} else {
			n, err := l.conn.Read(buffer)
			if err != nil {
				return nil, err
			}
			packed = buffer[:n]
		}
		reply := new(wire.Msg)
		err := reply.Unpack(packed)
		if err == nil && answers(reply, question) {
			return reply, nil
		}
		if l.network == "tcp" {
			return nil, errors.Join(errors.New("not an answer to the question"), err)
		}
	}
}

// answers reports whether reply is the answer to question (RFC 5452, section 9.1).
func answers(reply, question *wire.Msg) bool {
	if reply.Id != question.Id || !reply.Response || len(reply.Question) != 1 {
		return false
	}
	asked, answered := question.Question[0], reply.Question[0]
	return asked.Qtype == answered.Qtype && asked.Qclass == answered.Qclass &&
		strings.EqualFold(asked.Name, answered.Name)
}
