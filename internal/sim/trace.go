package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"strings"
	"time"

	"crossfade.dev/internal/cluster/memory"
)

// lines is how much of the past a broken run shows.
const lines = 120

// A trace holds the last things that happened, and a digest of everything.
type trace struct {
	ring   [lines]entry
	next   int
	digest hash.Hash64
	// log gets every line as it happens, if it is not nil.
	log func(string)
}

// An entry is written out only when somebody reads it.
type entry struct {
	at     time.Time
	text   string
	again  int // how often the same was said once more
	change *memory.Change
}

func newTrace(log func(string)) *trace { return &trace{digest: fnv.New64a(), log: log} }

func (t *trace) add(e entry) {
	if t.log != nil {
		t.log(e.String())
	}
	if last := &t.ring[(t.next+lines-1)%lines]; e.change == nil && t.next > 0 && last.text == e.text {
		last.again++
		return
	}
	t.ring[t.next%lines] = e
	t.next++
}

func (t *trace) note(at time.Time, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprint(t.digest, at.UnixMilli(), text)
	t.add(entry{at: at, text: text})
}

// change notes what one of the engines or people changed in a cluster.
func (t *trace) change(at time.Time, c memory.Change) { t.add(entry{at: at, change: &c}) }

// hash takes a change into the digest.
func (t *trace) hash(c memory.Change) {
	obj := c.New
	if obj == nil {
		obj = c.Old
	}
	for _, word := range []string{c.Cluster, c.Kind.Kind, obj.GetNamespace(), obj.GetName(), obj.GetResourceVersion(), c.User} {
		t.digest.Write([]byte(word))
		t.digest.Write([]byte{0})
	}
}

func (t *trace) String() string {
	var out strings.Builder
	for i := max(0, t.next-lines); i < t.next; i++ {
		out.WriteString(t.ring[i%lines].String())
		out.WriteByte('\n')
	}
	return out.String()
}

func (e entry) String() string {
	at := e.at.Sub(began).Seconds()
	if e.change == nil && e.again > 0 {
		return fmt.Sprintf("%9.3f %s (and %d times more)", at, e.text, e.again)
	}
	if e.change == nil {
		return fmt.Sprintf("%9.3f %s", at, e.text)
	}
	return fmt.Sprintf("%9.3f   %s", at, describe(e.change))
}

// describe says a change in a line, with the fields that matter most.
func describe(c *memory.Change) string {
	verb, obj := "changes", c.New
	switch {
	case c.Old == nil:
		verb = "creates"
	case c.New == nil:
		verb, obj = "removes", c.Old
	}
	return fmt.Sprintf("%s: %s %s %s %s/%s%s", c.Cluster, c.User, verb, c.Kind.Kind, obj.GetNamespace(), obj.GetName(), detail(c))
}
