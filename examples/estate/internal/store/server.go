// Package store is the estate's key-value store, which speaks the Redis
// protocol, and the way that its clients reach it.
//
// The store holds strings only; it keeps them in memory and writes them to a file
// on its volume about once a second and when it ends. There is one store: a second
// one beside it would be another set of truths, which is why it is a workload
// that stays where it is until somebody moves its data.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const (
	expiryStep   = 10 * time.Millisecond // by which a key may expire too early
	saveInterval = time.Second
)

// A Server is a running store.
type Server struct {
	redis *miniredis.Miniredis
	file  string // empty when there is no volume
	saved []byte // what the file holds; of the keeping goroutine's, until it has ended
	log   io.Writer

	stop context.CancelFunc
	kept chan struct{} // closed when the keeping goroutine has ended
}

// Start listens on address with the keys of the last snapshot in folder. A folder
// that does not exist is a volume that is not mounted: the keys then live as long
// as the process, and log says so.
func Start(address, folder string, log io.Writer) (*Server, error) {
	s := &Server{redis: miniredis.NewMiniRedis(), log: log}
	if err := s.useVolume(folder); err != nil {
		return nil, err
	}
	if err := s.redis.StartAddr(address); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.kept = stop, make(chan struct{})
	go s.keep(ctx)
	return s, nil
}

func (s *Server) useVolume(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case folder == "" || errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(s.log, "no volume at %q: keys are kept in memory only\n", folder)
		return nil
	case err != nil:
		return fmt.Errorf("look for the volume: %w", err)
	case !info.IsDir():
		return fmt.Errorf("look for the volume: %s is not a folder", folder)
	}
	s.file = filepath.Join(folder, "snapshot.json")
	return s.restore()
}

// Addr is where the store listens.
func (s *Server) Addr() net.Addr {
	return s.redis.Server().Addr()
}

// keep lets keys expire and saves snapshots until ctx ends.
func (s *Server) keep(ctx context.Context) {
	defer close(s.kept)
	expire := time.NewTicker(expiryStep)
	defer expire.Stop()
	save := time.NewTicker(saveInterval)
	defer save.Stop()

	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-expire.C:
			s.redis.FastForward(now.Sub(last)) // the server has no clock of its own
			last = now
		case <-save.C:
			if err := s.save(); err != nil {
				fmt.Fprintf(s.log, "save a snapshot: %v\n", err)
			}
		}
	}
}

// Close stops answering and saves the last snapshot.
func (s *Server) Close() error {
	s.stop()
	<-s.kept
	s.redis.Close()
	if err := s.save(); err != nil {
		return fmt.Errorf("save the last snapshot: %w", err)
	}
	return nil
}
