package node

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInstances is what every instance has to do, whatever it is.
func TestInstances(t *testing.T) {
	kinds := map[string]func(t *testing.T, runFor time.Duration) instance{
		"process": func(t *testing.T, runFor time.Duration) instance {
			seconds := "1000"
			if runFor > 0 {
				seconds = fmt.Sprint(runFor.Seconds())
			}
			// The shell has a child, which must go with it.
			p, err := newNursery().start([]string{"/bin/sh", "-c", "trap 'exit 0' TERM; sleep " + seconds + " & wait $!"}, os.Environ(), t.TempDir(), newLogbook(time.Now, 10, ""))
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		"stand-in": func(t *testing.T, runFor time.Duration) instance {
			s, err := startStandIn("shop/p", netip.MustParseAddr("10.88.1.1"), []int{8080}, runFor, newLogbook(time.Now, 10, ""))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	}
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			i := start(t, 0)
			select {
			case <-i.done():
				t.Fatal("ended by itself")
			case <-time.After(100 * time.Millisecond):
			}
			i.drain()
			i.terminate(2 * time.Second)
			wantEnd(t, i, 0)
			i.kill() // is allowed and changes nothing
			if i.exit().code != 0 {
				t.Error("kill after the end changed the exit")
			}

			i = start(t, 0)
			i.kill()
			wantEnd(t, i, 137)

			i = start(t, 100*time.Millisecond)
			wantEnd(t, i, 0)
		})
	}
}

func wantEnd(t *testing.T, i instance, code int32) {
	t.Helper()
	select {
	case <-i.done():
		if i.exit().code != code {
			t.Errorf("ended with %+v, want code %d", i.exit(), code)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("did not end")
	}
}

func TestProcessTakesItsGroupAlong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	p, err := newNursery().start([]string{"/bin/sh", "-c", "sleep 1000 & echo $! >" + file + "; wait"}, os.Environ(), "/", newLogbook(time.Now, 10, ""))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	end := time.Now().Add(5 * time.Second)
	for {
		content, _ := os.ReadFile(file)
		if _, err := fmt.Sscan(string(content), &pid); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the child did not start")
		}
		<-time.After(10 * time.Millisecond)
	}
	p.kill()
	<-p.done()
	for running(pid) {
		if time.Now().After(end) {
			t.Fatalf("the child %d outlives its group", pid)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// running is whether a process runs; one that ended and nobody waited for does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func TestProcessOutputAndExit(t *testing.T) {
	log := newLogbook(time.Now, 10, "")
	p, err := newNursery().start([]string{"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}, nil, t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	wantEnd(t, p, 7)
	lines, _, _ := log.from(0)
	if len(lines) != 2 || lines[0].text != "out" || lines[1].text != "err" {
		t.Errorf("logged %v", lines)
	}
	if _, err := newNursery().start([]string{"/no/such/program"}, nil, t.TempDir(), log); err == nil || !strings.Contains(err.Error(), "start /no/such/program") {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestStandInAcceptsForAWhileAfterItWasTold(t *testing.T) {
	ip := netip.MustParseAddr("10.88.1.2")
	s, err := startStandIn("shop/p", ip, []int{8080}, 0, newLogbook(time.Now, 10, ""))
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan error, 1)
	go func() {
		response, err := get(t.Context(), http.DefaultClient, "http://127.88.1.2:8080/?delay=2500ms")
		if err == nil {
			_ = response.Body.Close()
		}
		slow <- err
	}()
	s.terminate(3 * time.Second) // accepts for 2 s
	response, err := get(t.Context(), http.DefaultClient, "http://127.88.1.2:8080/")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if !response.Close {
		t.Error("the answer does not ask the client to leave")
	}
	wantEnd(t, s, 0)
	if err := <-slow; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	if accepts(t, "127.88.1.2:8080") {
		t.Error("still accepts after its end")
	}
}

func TestKilledStandInHasNotCompleted(t *testing.T) {
	s, err := startStandIn("shop/p", netip.MustParseAddr("10.88.1.4"), []int{8080}, 0, newLogbook(time.Now, 10, ""))
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan error, 1)
	sent := make(chan struct{})
	go func() {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }})
		response, err := get(ctx, http.DefaultClient, "http://127.88.1.4:8080/?delay=20s")
		if err == nil {
			_ = response.Body.Close()
		}
		cut <- err
	}()
	<-sent
	s.terminate(killMargin + 500*time.Millisecond) // accepts for half a second, and then waits for what is in flight
	for end := time.Now().Add(5 * time.Second); accepts(t, "127.88.1.4:8080"); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still accepts after it was told to stop")
		}
	}
	s.kill()
	wantEnd(t, s, killed.code)
	if err := <-cut; err == nil {
		t.Error("the request in flight was answered by a stand-in that was killed")
	}
}

func accepts(t *testing.T, at string) bool {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func TestCommandIsKilledWithItsGroup(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := runToEnd(grouped(ctx, []string{"/bin/sh", "-c", "sleep 1000; true"}, os.Environ(), "/"))
	if err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("ended after %v with %v", time.Since(began), err)
	}
	if err := runToEnd(grouped(context.Background(), []string{"true"}, nil, "/")); err != nil {
		t.Error(err)
	}
	if err := runToEnd(grouped(context.Background(), []string{"/bin/sh", "-c", "echo why; exit 1"}, nil, "/")); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v does not say why", err)
	}
}

func get(ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}
