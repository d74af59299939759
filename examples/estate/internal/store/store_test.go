package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func begin(t *testing.T, folder string) *Server {
	t.Helper()
	server, err := Start("127.0.0.1:0", folder, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func client(t *testing.T, address, proxy string) *redis.Client {
	t.Helper()
	c, err := Open(address, 2, func(string) string { return proxy })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not after 10 s: %s", what)
		}
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	first := begin(t, folder)
	c := client(t, first.Addr().String(), "")
	c.Incr(ctx, "events:1")
	c.Incr(ctx, "events:1")
	c.Set(ctx, "lease", "a", time.Hour)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := begin(t, folder)
	c = client(t, second.Addr().String(), "")
	if got := c.Get(ctx, "events:1").Val(); got != "2" {
		t.Errorf("events:1 is %q after the restart, want 2", got)
	}
	if got := c.TTL(ctx, "lease").Val(); got <= 0 || got > time.Hour {
		t.Errorf("the lease has %s left after the restart, want about an hour", got)
	}
}

func TestSnapshotIsTakenWhileRunning(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	server := begin(t, folder)
	client(t, server.Addr().String(), "").Set(ctx, "a", "written", 0)
	until(t, "the snapshot holds the key", func() bool {
		text, _ := os.ReadFile(filepath.Join(folder, "snapshot.json"))
		return bytes.Contains(text, []byte("written"))
	})
}

func TestKeysExpire(t *testing.T) {
	ctx := context.Background()
	server := begin(t, "")
	c := client(t, server.Addr().String(), "")
	c.Set(ctx, "lease", "a", 150*time.Millisecond)
	if err := c.Get(ctx, "lease").Err(); err != nil {
		t.Fatalf("right after it was set: %v", err)
	}
	until(t, "the key has expired", func() bool {
		return errors.Is(c.Get(ctx, "lease").Err(), redis.Nil)
	})
}

func TestBadVolumesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "snapshot.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{file, broken} {
		if _, err := Start("127.0.0.1:0", folder, io.Discard); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("a store over %s: %v", folder, err)
		}
	}
}

func TestVolumeThatIsNotMountedIsSaid(t *testing.T) {
	var log bytes.Buffer
	server, err := Start("127.0.0.1:0", "/no/such/folder", &log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if !strings.Contains(log.String(), "/no/such/folder") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestClientGoesThroughTheProxyByName(t *testing.T) {
	ctx := context.Background()
	server := begin(t, "")
	asked := make(chan string, 10)
	proxy := socksProxy(t, server.Addr().String(), asked)

	c := client(t, "core-store.core.svc.cluster.local:6379", "socks5h://"+proxy)
	if got, err := c.Incr(ctx, "events:1").Result(); err != nil || got != 1 {
		t.Fatalf("count through the proxy: %d, %v", got, err)
	}
	if got := <-asked; got != "core-store.core.svc.cluster.local:6379" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

func TestCountIsNeverSentTwice(t *testing.T) {
	listener := listen(t)
	counts := make(chan struct{}, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go loseCounts(conn, counts)
		}
	}()
	if err := client(t, listener.Addr().String(), "").Incr(context.Background(), "events:1").Err(); err == nil {
		t.Error("the lost answer is no error")
	}
	if got := len(counts); got != 1 {
		t.Errorf("the count was sent %d times, want once", got)
	}
}

// loseCounts answers a client's greeting with errors, which it takes for an old
// server, and closes the connection when it is to count.
func loseCounts(conn net.Conn, counts chan<- struct{}) {
	defer conn.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(bytes.ToLower(buffer[:n]), []byte("incr")) {
			counts <- struct{}{}
			return
		}
		commands := bytes.Count(buffer[:n], []byte("*"))
		_, _ = conn.Write(bytes.Repeat([]byte("-ERR unknown command\r\n"), commands))
	}
}

func TestBadProxyIsRefused(t *testing.T) {
	for _, proxy := range []string{"http://127.0.0.1:1", "127.0.0.1:1080", "socks5h://"} {
		if _, err := Open("store:6379", 1, func(string) string { return proxy }); err == nil || !strings.Contains(err.Error(), proxy) {
			t.Errorf("ALL_PROXY=%s: %v", proxy, err)
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// socksProxy is a SOCKS5 proxy (RFC 1928) that leads every name to target.
func socksProxy(t *testing.T, target string, asked chan<- string) string {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go proxyOne(t.Context(), conn, target, asked)
		}
	}()
	return listener.Addr().String()
}

func proxyOne(ctx context.Context, conn net.Conn, target string, asked chan<- string) {
	defer conn.Close()
	greeting := make([]byte, 2)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return
	}
	if _, err := io.ReadFull(conn, make([]byte, greeting[1])); err != nil {
		return
	}
	_, _ = conn.Write([]byte{5, 0})
	head := make([]byte, 5) // version, connect, reserved, type 3 (name), length
	if _, err := io.ReadFull(conn, head); err != nil || head[3] != 3 {
		return
	}
	rest := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return
	}
	port := binary.BigEndian.Uint16(rest[len(rest)-2:])
	asked <- net.JoinHostPort(string(rest[:len(rest)-2]), strconv.Itoa(int(port)))
	upstream, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer upstream.Close()
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() { _, _ = io.Copy(upstream, conn) }()
	_, _ = io.Copy(conn, upstream)
}
