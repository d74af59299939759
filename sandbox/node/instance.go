package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"crossfade.dev/sandbox/standin"
)

// An instance is one run of a container: a process, or a stand-in for one.
type instance interface {
	// drain tells that the pod is going to stop. Processes are not told: they hear
	// of it by SIGTERM.
	drain()
	// terminate asks the instance to end by itself within grace (SIGTERM). It
	// returns at once and may be called once.
	terminate(grace time.Duration)
	// kill ends it (SIGKILL). It may be called at any time and more than once.
	kill()
	// done is closed when it has ended; exit is valid from then on.
	done() <-chan struct{}
	exit() exit
}

// An exit is how an instance ended.
type exit struct {
	code   int32
	signal int32
	reason string // Completed, Error, OOMKilled, ...
	text   string // for people
}

// killed is the exit of what was ended by SIGKILL.
var killed = exit{code: 128 + int32(syscall.SIGKILL), signal: int32(syscall.SIGKILL), reason: "Error"}

const (
	// longestDrain is for how long a stand-in goes on accepting after it was told
	// to stop, since those who lead traffic to it hear of that later.
	longestDrain = 10 * time.Second
	// killMargin is kept free at the end of the grace period.
	killMargin = time.Second
)

// A standingIn is a stand-in as an instance.
type standingIn struct {
	server *standin.Server

	once    sync.Once
	ended   chan struct{}
	outcome exit

	mu   sync.Mutex
	told time.Time // when drain was called
	cut  context.CancelFunc
}

// startStandIn listens on ports. If runFor is not zero, the stand-in is that of a
// task, and completes by itself after that time.
func startStandIn(pod string, ip netip.Addr, ports []int, runFor time.Duration, log *logbook) (*standingIn, error) {
	s := &standingIn{server: standin.New(pod, ip, log.add), ended: make(chan struct{})}
	for _, port := range ports {
		if err := s.server.Listen(port); err != nil {
			s.server.Close()
			return nil, fmt.Errorf("stand in at port %d: %w", port, err)
		}
	}
	if runFor > 0 {
		time.AfterFunc(runFor, func() { s.finish(exit{reason: "Completed"}) })
	}
	return s, nil
}

// listen opens a port that was asked for after the start.
func (s *standingIn) listen(port int) error {
	if err := s.server.Listen(port); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return nil
}

func (s *standingIn) drain() {
	s.server.Drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told.IsZero() {
		s.told = time.Now()
	}
}

func (s *standingIn) terminate(grace time.Duration) {
	s.drain()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	s.mu.Lock()
	s.cut = cancel
	accept := min(grace-killMargin, longestDrain) - time.Since(s.told)
	s.mu.Unlock()
	go func() {
		defer cancel()
		select {
		case <-time.After(max(accept, 0)):
		case <-s.ended:
			return
		}
		s.server.Shutdown(ctx)
		if ctx.Err() != nil {
			s.finish(killed) // what was in flight was cut
			return
		}
		s.finish(exit{reason: "Completed"})
	}()
}

func (s *standingIn) kill() {
	s.mu.Lock()
	if s.cut != nil {
		s.cut()
	}
	s.mu.Unlock()
	s.finish(killed)
}

func (s *standingIn) finish(e exit) {
	s.once.Do(func() {
		s.server.Close()
		s.outcome = e
		close(s.ended)
	})
}

func (s *standingIn) done() <-chan struct{} { return s.ended }
func (s *standingIn) exit() exit            { return s.outcome }
