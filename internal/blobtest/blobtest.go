// Package blobtest is object storage in memory that can be told to fail: a
// gocloud.dev/blob bucket for tests and the simulation. It starts no goroutine and
// its files keep no times, so the same calls give the same content.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// An Op is one request to the store.
type Op struct {
	// Verb is read, write, delete or list.
	Verb string
	// Key is the file, or the prefix of a list.
	Key string
}

// A Fault is what goes wrong with one request; the zero Fault is nothing.
type Fault struct {
	// Before is returned instead of doing anything.
	Before error
	// After is returned instead of the reply, once everything was done.
	After error
	// Torn stores only half of what is written, and loses the reply.
	Torn bool
}

// ErrInjected is what injected faults may be.
var ErrInjected = errors.New("injected fault of the object storage")

// A Store holds files by key.
type Store struct {
	mu     sync.Mutex
	files  map[string][]byte
	faults func(Op) Fault
}

// New is an empty store.
func New() *Store { return &Store{files: map[string][]byte{}} }

// Bucket opens the store. Closing a bucket leaves the store as it is.
func (s *Store) Bucket() *blob.Bucket { return blob.NewBucket(bucket{s}) }

// SetFaults sets the hook that decides what goes wrong; nil means that nothing does.
func (s *Store) SetFaults(hook func(Op) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = hook
}

// Files is a copy of everything in the store.
func (s *Store) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.files)
}

// Put replaces a file, past all faults; nil removes it.
func (s *Store) Put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data == nil {
		delete(s.files, key)
		return
	}
	s.files[key] = slices.Clone(data)
}

// do runs act as the request op, with the fault that the hook decides.
func (s *Store) do(verb, key string, act func(f Fault) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f Fault
	if s.faults != nil {
		f = s.faults(Op{Verb: verb, Key: key})
	}
	if f.Before != nil {
		return f.Before
	}
	if err := act(f); err != nil {
		return err
	}
	if f.Torn {
		return ErrInjected
	}
	return f.After
}

// errNotFound says that there is no such file.
var errNotFound = errors.New("not found")

type bucket struct{ store *Store }

var _ driver.Bucket = bucket{}

// ErrorCode implements driver.Bucket.
func (bucket) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errNotFound) {
		return gcerrors.NotFound
	}
	return gcerrors.Unknown
}

// As implements driver.Bucket.
func (bucket) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (bucket) ErrorAs(error, any) bool { return false }

// Close implements driver.Bucket.
func (bucket) Close() error { return nil }

// Attributes implements driver.Bucket.
func (b bucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	attributes := &driver.Attributes{}
	err := b.store.do("read", key, func(Fault) error {
		data, ok := b.store.files[key]
		if !ok {
			return fmt.Errorf("%s: %w", key, errNotFound)
		}
		attributes.Size = int64(len(data))
		return nil
	})
	return attributes, err
}

// ListPaged implements driver.Bucket; everything is one page.
func (b bucket) ListPaged(_ context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	page := &driver.ListPage{}
	err := b.store.do("list", o.Prefix, func(Fault) error {
		var dir string
		for _, key := range slices.Sorted(maps.Keys(b.store.files)) {
			rest, found := strings.CutPrefix(key, o.Prefix)
			if !found {
				continue
			}
			if name, _, below := strings.Cut(rest, o.Delimiter); o.Delimiter != "" && below {
				if folder := o.Prefix + name + o.Delimiter; folder != dir {
					dir = folder
					page.Objects = append(page.Objects, &driver.ListObject{Key: folder, IsDir: true})
				}
				continue
			}
			page.Objects = append(page.Objects, &driver.ListObject{Key: key, Size: int64(len(b.store.files[key]))})
		}
		return nil
	})
	return page, err
}

type reader struct {
	*bytes.Reader
	size int64
}

func (r reader) Close() error { return nil }
func (r reader) As(any) bool  { return false }
func (r reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size}
}

// NewRangeReader implements driver.Bucket.
func (b bucket) NewRangeReader(_ context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	var r reader
	err := b.store.do("read", key, func(Fault) error {
		data, ok := b.store.files[key]
		if !ok {
			return fmt.Errorf("%s: %w", key, errNotFound)
		}
		r.size = int64(len(data))
		data = data[min(offset, r.size):]
		if length >= 0 {
			data = data[:min(length, int64(len(data)))]
		}
		r.Reader = bytes.NewReader(data)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// writer keeps what is written until it is closed: like object storage, it shows
// whole files.
type writer struct {
	bytes.Buffer
	ctx   context.Context
	store *Store
	key   string
}

// NewTypedWriter implements driver.Bucket.
func (b bucket) NewTypedWriter(ctx context.Context, key, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &writer{ctx: ctx, store: b.store, key: key}, nil
}

// Close implements driver.Writer.
func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return w.store.do("write", w.key, func(f Fault) error {
		data := slices.Clone(w.Bytes())
		if f.Torn {
			data = data[:len(data)/2]
		}
		w.store.files[w.key] = data
		return nil
	})
}

// Copy implements driver.Bucket.
func (b bucket) Copy(_ context.Context, to, from string, _ *driver.CopyOptions) error {
	return b.store.do("write", to, func(Fault) error {
		data, ok := b.store.files[from]
		if !ok {
			return fmt.Errorf("%s: %w", from, errNotFound)
		}
		b.store.files[to] = slices.Clone(data)
		return nil
	})
}

// Delete implements driver.Bucket.
func (b bucket) Delete(_ context.Context, key string, _ *driver.DeleteOptions) error {
	return b.store.do("delete", key, func(Fault) error {
		if _, ok := b.store.files[key]; !ok {
			return fmt.Errorf("%s: %w", key, errNotFound)
		}
		delete(b.store.files, key)
		return nil
	})
}

// SignedURL implements driver.Bucket; a store in memory has no URL.
func (bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.New("a store in memory has no URL")
}

var _ io.WriteCloser = (*writer)(nil)
