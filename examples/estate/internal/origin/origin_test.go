package origin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"crossfade.dev/examples/estate/internal/store"
)

const (
	every    = 5 * time.Millisecond
	leaseTTL = 400 * time.Millisecond
)

// A running is an origin of a test.
type running struct {
	*Origin
	url  string
	stop context.CancelFunc // the order to stop
	cut  func()             // loses the store
	done <-chan error
}

func startStore(t *testing.T, address, folder string) *store.Server {
	t.Helper()
	server, err := store.Start(address, folder, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func start(t *testing.T, id, storeAddress string) running {
	t.Helper()
	client, err := store.Open(storeAddress, 2, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Stream: "live", ID: id, Store: client, Every: every, Lease: leaseTTL, Log: t.Output()})
	server := httptest.NewServer(o.Handler())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() { stop(); server.Close(); _ = client.Close() })
	return running{o, server.URL, stop, func() { _ = client.Close() }, done}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not after 10 s: %s", what)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

var segmentName = regexp.MustCompile(`(?m)^segment-(\d+)\.ts$`)

// numbers are those of the segments in a playlist.
func numbers(t *testing.T, list string) []int {
	t.Helper()
	var all []int
	for _, match := range segmentName.FindAllStringSubmatch(list, -1) {
		var n int
		if _, err := fmt.Sscan(match[1], &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func (r running) length(t *testing.T) int {
	_, list := get(t, r.url+"/live/playlist.m3u8")
	return len(numbers(t, list))
}

// made is how many segments the origin has made or taken over.
func (r running) made() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - 1
}

func TestPlaylistKeepsTheLastSegments(t *testing.T) {
	a := start(t, "a", startStore(t, "127.0.0.1:0", "").Addr().String())
	until(t, "the window is full and has moved on", func() bool {
		_, list := get(t, a.url+"/live/playlist.m3u8")
		n := numbers(t, list)
		return len(n) == kept && n[0] > 3
	})
	_, list := get(t, a.url+"/live/playlist.m3u8")
	listed := numbers(t, list)
	for i, n := range listed {
		if n != listed[0]+i {
			t.Fatalf("segment %d follows %d", n, listed[i-1])
		}
	}
	for _, want := range []string{"#EXTM3U\n", fmt.Sprintf("#EXT-X-MEDIA-SEQUENCE:%d\n", listed[0]), "#EXT-X-ORIGIN-ID:a\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("the playlist has no %q:\n%s", want, list)
		}
	}
	if strings.Contains(list, "HANDOVER") {
		t.Error("the first origin claims a hand-over")
	}

	status, body := get(t, fmt.Sprintf("%s/live/segment-%d.ts", a.url, listed[kept-1]))
	if status != http.StatusOK || len(body) != packetSize*packets {
		t.Errorf("the last segment: status %d, %d bytes", status, len(body))
	}
	for _, gone := range []string{"segment-1.ts", "segment-999999.ts", "segment-x.ts", "other.ts"} {
		if status, _ := get(t, a.url+"/live/"+gone); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", gone, status)
		}
	}
}

func TestSecondOriginIsNotReady(t *testing.T) {
	address := startStore(t, "127.0.0.1:0", "").Addr().String()
	a := start(t, "a", address)
	until(t, "a owns the stream", a.Owns)
	b := start(t, "b", address)

	for end := time.Now().Add(2 * leaseTTL); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if b.Owns() || !a.Owns() {
			t.Fatalf("a owns: %t, b owns: %t", a.Owns(), b.Owns())
		}
	}
	for _, path := range []string{"/readyz", "/live/playlist.m3u8", "/live/segment-1.ts"} {
		if status, _ := get(t, b.url+path); status != http.StatusServiceUnavailable {
			t.Errorf("GET %s of the second origin: status %d, want 503", path, status)
		}
	}
	if n := b.made(); n != 0 {
		t.Errorf("the second origin has made %d segments", n)
	}
	if status, _ := get(t, b.url+"/healthz"); status != http.StatusOK {
		t.Errorf("the second origin is not alive: status %d", status)
	}
	if status, _ := get(t, a.url+"/readyz"); status != http.StatusOK {
		t.Errorf("the owner is not ready: status %d", status)
	}
}

func TestHandOverMissesNoSegment(t *testing.T) {
	address := startStore(t, "127.0.0.1:0", "").Addr().String()
	a := start(t, "a", address)
	until(t, "a has made 30 segments", func() bool { return a.length(t) >= 30 })
	b := start(t, "b", address)

	a.stop()
	if err := <-a.done; err != nil {
		t.Fatalf("hand over: %v", err)
	}
	_, before := get(t, a.url+"/live/playlist.m3u8")
	last := numbers(t, before)[len(numbers(t, before))-1]
	until(t, "b has made 10 segments more", func() bool { return b.length(t) >= last+10 })

	_, after := get(t, b.url+"/live/playlist.m3u8")
	for i, n := range numbers(t, after) {
		if n != i+1 {
			t.Fatalf("segment %d at place %d", n, i)
		}
	}
	if !strings.Contains(after, "#EXT-X-HANDOVER\n") || !strings.Contains(after, "#EXT-X-ORIGIN-ID:b\n") {
		t.Errorf("the playlist does not tell of the hand-over:\n%s", after[:200])
	}
	for _, n := range []int{1, last} {
		path := fmt.Sprintf("/live/segment-%d.ts", n)
		_, ofA := get(t, a.url+path)
		_, ofB := get(t, b.url+path)
		if ofA != ofB {
			t.Errorf("segment %d is another one after the hand-over", n)
		}
	}
	if status, _ := get(t, a.url+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("the origin that handed over is still ready: status %d", status)
	}
}

func TestHandOverThatTheStoreDoesNotTake(t *testing.T) {
	address := startStore(t, "127.0.0.1:0", "").Addr().String()
	a := start(t, "a", address)
	until(t, "a has made 20 segments", func() bool { return a.length(t) >= 20 })
	b := start(t, "b", address)
	a.cut()
	a.stop()
	if err := <-a.done; err == nil || !strings.Contains(err.Error(), "hand the stream live over") {
		t.Errorf("a hand-over without a store: %v", err)
	}
	until(t, "b owns the stream", func() bool {
		theirs := b.Owns()
		if status, _ := get(t, a.url+"/live/playlist.m3u8"); theirs && status != http.StatusServiceUnavailable {
			t.Fatalf("a still serves what b begins anew: status %d", status)
		}
		return theirs
	})
}

func TestStreamOfAKilledOriginBeginsAnew(t *testing.T) {
	address := startStore(t, "127.0.0.1:0", "").Addr().String()
	a := start(t, "a", address)
	until(t, "a has made 20 segments", func() bool { return a.length(t) >= 20 })
	b := start(t, "b", address)

	a.cut()
	until(t, "b owns the stream", func() bool {
		if !b.Owns() {
			return false
		}
		if a.Owns() {
			t.Fatal("both own the stream")
		}
		return true
	})
	if status, _ := get(t, a.url+"/live/playlist.m3u8"); status != http.StatusServiceUnavailable {
		t.Errorf("the origin that lost the stream serves it: status %d", status)
	}
	until(t, "b has made a segment", func() bool { return b.length(t) > 0 })
	_, list := get(t, b.url+"/live/playlist.m3u8")
	if numbers(t, list)[0] != 1 || strings.Contains(list, "HANDOVER") {
		t.Errorf("b goes on from a stream that it was not given:\n%s", list)
	}
}

func TestHandedOverNumberIsUsedOnce(t *testing.T) {
	address := startStore(t, "127.0.0.1:0", "").Addr().String()
	a := start(t, "a", address)
	until(t, "a has made 20 segments", func() bool { return a.length(t) >= 20 })
	a.stop()
	if err := <-a.done; err != nil {
		t.Fatalf("hand over: %v", err)
	}
	b := start(t, "b", address)
	until(t, "b has taken over", b.Owns)
	b.cut()
	c := start(t, "c", address)
	until(t, "c has made a segment", func() bool { return c.length(t) > 0 })
	if _, list := get(t, c.url+"/live/playlist.m3u8"); strings.Contains(list, "HANDOVER") {
		t.Errorf("c took up what a had left to b:\n%s", list)
	}
}

func TestOwnerComesBackAfterTheStoreWasAway(t *testing.T) {
	folder := t.TempDir()
	server := startStore(t, "127.0.0.1:0", folder)
	address := server.Addr().String()
	a := start(t, "a", address)
	until(t, "a has made 20 segments", func() bool { return a.length(t) >= 20 })

	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "a has let go of the stream", func() bool { return !a.Owns() })
	startStore(t, address, folder)
	until(t, "a owns the stream again", a.Owns)
	_, list := get(t, a.url+"/live/playlist.m3u8")
	if n := numbers(t, list); n[0] != 1 || len(n) < 20 {
		t.Errorf("a began anew though nobody else owned the stream:\n%s", list)
	}
}

func TestOwnershipThatRanOut(t *testing.T) {
	tests := []struct {
		name    string
		between bool // somebody else owned the stream meanwhile
		goesOn  bool
	}{
		{"nobody owned the stream since", false, true},
		{"somebody owned the stream since", true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := startStore(t, "127.0.0.1:0", "").Addr().String()
			a := start(t, "a", address)
			until(t, "a has made 50 segments", func() bool { return a.made() >= 50 })
			keys := a.lease
			ctx := context.Background()
			if test.between {
				keys.store.Incr(ctx, keys.epoch)
			}
			keys.store.Del(ctx, keys.owner)
			until(t, "a owns the stream again", func() bool { return keys.store.Exists(ctx, keys.owner).Val() == 1 && a.Owns() })
			if goesOn := a.made() >= 50; goesOn != test.goesOn {
				t.Errorf("a has made %d segments: goes on %t, want %t", a.made(), goesOn, test.goesOn)
			}
		})
	}
}
