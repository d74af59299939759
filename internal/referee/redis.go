package referee

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// redis sends PING in the protocol of Redis (RESP2) and takes +PONG for an answer.
type redis struct{ stream }

func newRedis(conn net.Conn) *redis { return &redis{newStream(conn)} }

func (w *redis) exchange(r request, deadline time.Time) (answer, *fault) {
	_ = w.conn.SetDeadline(deadline)
	if _, err := w.conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return answer{}, faultOf(ClassWrite, err)
	}
	line, err := w.reader.ReadSlice('\n')
	if err != nil {
		return answer{}, faultOf(ClassRead, err)
	}
	if text := strings.TrimRight(string(line), "\r\n"); text != "+PONG" {
		return answer{}, faultOf(ClassStatus, fmt.Errorf("PING answered by %q", text))
	}
	w.done = r.last || w.reader.Buffered() > 0
	return answer{}, nil
}
