package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// A snapshot is the file's content, by key.
type snapshot map[string]entry

type entry struct {
	Value     string `json:"value"`
	TTLMillis int64  `json:"ttlMillis,omitempty"` // 0 is for ever
}

// save writes the file anew when something has changed, in such a way that a
// crash leaves the old one or the new one, never a half.
func (s *Server) save() error {
	if s.file == "" {
		return nil
	}
	taken, err := s.snapshot()
	if err != nil {
		return err
	}
	content, err := json.Marshal(taken)
	if err != nil {
		return err
	}
	if bytes.Equal(content, s.saved) {
		return nil
	}
	next := s.file + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, s.file); err != nil {
		return err
	}
	s.saved = content
	return nil
}

func (s *Server) snapshot() (snapshot, error) {
	keys := s.redis.Keys()
	taken := make(snapshot, len(keys))
	for _, key := range keys {
		value, err := s.redis.Get(key)
		if errors.Is(err, miniredis.ErrKeyNotFound) {
			continue // gone since the list was made
		}
		if err != nil {
			return nil, fmt.Errorf("take key %s: %w", key, err)
		}
		taken[key] = entry{Value: value, TTLMillis: s.redis.TTL(key).Milliseconds()}
	}
	return taken, nil
}

func (s *Server) restore() error {
	content, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the snapshot: %w", err)
	}
	var taken snapshot
	if err := json.Unmarshal(content, &taken); err != nil {
		return fmt.Errorf("read the snapshot %s: %w", s.file, err)
	}
	for key, e := range taken {
		if err := s.redis.Set(key, e.Value); err != nil {
			return fmt.Errorf("restore key %s: %w", key, err)
		}
		if e.TTLMillis > 0 {
			s.redis.SetTTL(key, time.Duration(e.TTLMillis)*time.Millisecond)
		}
	}
	s.saved = content
	return nil
}
