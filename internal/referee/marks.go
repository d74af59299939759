package referee

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"time"
)

// firstPeriod is the period in which the load starts.
const firstPeriod = "before"

// periods are the names that the driver has given to stretches of time.
type periods struct {
	mu    sync.RWMutex
	marks []mark // ascending by time
}

type mark struct {
	name string
	at   time.Time
}

var validPeriod = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

// mark begins a period. A name may come again; its stretches are counted together.
func (p *periods) mark(name string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, mark{name, at})
}

// at returns the period of a time; what is before the first mark belongs to it.
func (p *periods) at(t time.Time) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for i := len(p.marks) - 1; i > 0; i-- {
		if !t.Before(p.marks[i].at) {
			return p.marks[i].name
		}
	}
	return p.marks[0].name
}

// spans returns each period once, in order of appearance, with the time that it
// lasted in all until now.
func (p *periods) spans(now time.Time) []Period {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var spans []Period
	index := map[string]int{}
	for i, mark := range p.marks {
		end := now
		if i+1 < len(p.marks) {
			end = p.marks[i+1].at
		}
		at, known := index[mark.name]
		if !known {
			at = len(spans)
			index[mark.name] = at
			spans = append(spans, Period{Name: mark.name, From: mark.at})
		}
		spans[at].Seconds += max(end.Sub(mark.at), 0).Seconds()
	}
	return spans
}

// beginPeriod is how both the control endpoint and the marks file mark.
func (l *load) beginPeriod(name string) error {
	if !validPeriod.MatchString(name) {
		return fmt.Errorf("mark %q: want a name of letters, digits, dots, dashes and underscores", name)
	}
	l.periods.mark(name, time.Now())
	l.say("%s: period %s begins", time.Since(l.start).Round(time.Second), name)
	return nil
}

// marksPeriod is how often the marks file is looked at.
const marksPeriod = 100 * time.Millisecond

// followMarks reads what is appended to the marks file, a line at a time.
func (l *load) followMarks(ctx context.Context) {
	var read int64
	for ctx.Err() == nil {
		lines, err := newLines(l.config.MarksFile, read)
		if err != nil {
			l.say("marks file %s: %v", l.config.MarksFile, err)
			return
		}
		read += int64(len(lines))
		for name := range bytes.Lines(lines) {
			if name = bytes.TrimSpace(name); len(name) == 0 {
				continue
			}
			if err := l.beginPeriod(string(name)); err != nil {
				l.say("%v", err)
			}
		}
		sleepUntil(ctx, time.Now().Add(marksPeriod))
	}
}

// newLines returns the whole lines of a file after an offset. A file that is not
// there yet has none.
func newLines(name string, after int64) ([]byte, error) {
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, after, 1<<20))
	if err != nil {
		return nil, err
	}
	return data[:bytes.LastIndexByte(data, '\n')+1], nil
}
