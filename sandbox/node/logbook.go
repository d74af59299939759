package node

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// logLines is how many lines of a container are kept for `kubectl logs`, and
	// logLineBytes how long one may be.
	logLines     = 2000
	logLineBytes = 16 << 10
	// logFileBytes bounds the file that a process's output is also written to.
	logFileBytes = 32 << 20
)

// A logbook keeps the last lines that a container wrote, and passes them on to a
// file if it has one. It is an io.Writer for a process's output.
type logbook struct {
	now  func() time.Time
	keep int
	path string // of the file, which is opened with the first line; may be empty

	mu      sync.Mutex
	file    *os.File
	written int64
	lines   []logLine // a ring once it has grown to keep
	start   int       // index of the oldest line
	count   int64     // of lines ever written
	partial []byte
	changed chan struct{} // closed and replaced with each line, if anyone waits
	closed  bool
}

type logLine struct {
	at   time.Time
	text string
}

func newLogbook(now func() time.Time, keep int, path string) *logbook {
	return &logbook{now: now, keep: keep, path: path}
}

// add writes one line.
func (b *logbook) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.append(line)
}

// Write takes in output in pieces of any size.
func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partial = append(b.partial, p...)
	for {
		end := bytes.IndexByte(b.partial, '\n')
		if end < 0 && len(b.partial) < logLineBytes {
			return len(p), nil
		}
		if end < 0 {
			b.append(string(b.partial[:logLineBytes]))
			b.partial = b.partial[logLineBytes:]
			continue
		}
		b.append(string(b.partial[:end]))
		b.partial = b.partial[end+1:]
	}
}

func (b *logbook) append(text string) {
	line := logLine{b.now(), text}
	b.count++
	if len(b.lines) < b.keep {
		b.lines = append(b.lines, line)
	} else {
		b.lines[b.start] = line
		b.start = (b.start + 1) % b.keep
	}
	b.toFile(line)
	b.wake()
}

func (b *logbook) toFile(line logLine) {
	if b.path == "" || b.written > logFileBytes {
		return
	}
	if b.file == nil {
		f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			b.path = "" // the lines are still kept in memory
			return
		}
		b.file = f
	}
	n, _ := io.WriteString(b.file, line.at.UTC().Format(time.RFC3339Nano)+" "+line.text+"\n")
	b.written += int64(n)
}

func (b *logbook) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// close ends the log: whoever follows it has read everything.
func (b *logbook) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.partial) > 0 {
		b.append(string(b.partial))
		b.partial = nil
	}
	b.closed = true
	if b.file != nil {
		_ = b.file.Close()
		b.file, b.path = nil, ""
	}
	b.wake()
}

// from returns the lines since the number after, which is 0 at first, and the
// number to go on with. more is closed when there is more; nil if there never
// will be.
func (b *logbook) from(after int64) (lines []logLine, next int64, more <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	oldest := b.count - int64(len(b.lines))
	for n := max(after, oldest); n < b.count; n++ {
		lines = append(lines, b.lines[(b.start+int(n-oldest))%len(b.lines)])
	}
	if !b.closed {
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		more = b.changed
	}
	return lines, b.count, more
}
