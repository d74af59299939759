package migration

import (
	"fmt"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
)

// A Progress is what one pass over a stage came to.
type Progress struct {
	outcome outcome
	// Reason and Message say why the stage is not done yet.
	Reason  v1.Reason
	Message string
	// Gates are the gates that were looked at, in order.
	Gates []v1.Gate
	// After is when to look again, if nothing is heard earlier.
	After time.Duration
}

type outcome int

const (
	again outcome = iota
	done
	held
	failed
)

// poll is how soon a stage that works looks again; patience is how soon one that
// waits for something outside does.
const (
	poll     = 250 * time.Millisecond
	patience = 2 * time.Second
)

// Done says that the stage has reached its end.
func Done() Progress { return Progress{outcome: done, Reason: v1.Finished} }

// Again says that the stage works and should be looked at again: at once if it only
// saved what it needs.
func Again(reason v1.Reason, format string, args ...any) Progress {
	p := Progress{outcome: again, Reason: reason, Message: fmt.Sprintf(format, args...), After: poll}
	if reason == v1.BeforeSaved {
		p.After = 0
	}
	return p
}

// Hold says that the stage waits for something that it cannot bring about.
func Hold(reason v1.Reason, format string, args ...any) Progress {
	return Progress{outcome: held, Reason: reason, Message: fmt.Sprintf(format, args...), After: patience}
}

// Fail says that the stage cannot go on until a person changed something.
func Fail(reason v1.Reason, format string, args ...any) Progress {
	return Progress{outcome: failed, Reason: reason, Message: fmt.Sprintf(format, args...), After: patience}
}

// Through is nil when every gate has passed or is waived, and otherwise says what
// holds: a failed gate before a held one.
func Through(gates []v1.Gate) *Progress {
	var worst *v1.Gate
	for i, g := range gates {
		if g.Verdict == v1.Passed || g.Waived != "" {
			continue
		}
		if worst == nil || worst.Verdict == v1.Held && g.Verdict == v1.Failed {
			worst = &gates[i]
		}
	}
	if worst == nil {
		return nil
	}
	p := Hold(worst.Reason, "%s: %s", worst.Name, sentence(*worst))
	if worst.Reason == v1.TooFewProbes || worst.Reason == v1.NotLevel {
		p.After = poll // they pass within moments, and nothing else tells of it
	}
	if worst.Verdict == v1.Failed {
		p.outcome = failed
	}
	p.Gates = gates
	return &p
}

func sentence(g v1.Gate) string {
	switch {
	case g.Observed == "":
		return "nothing is known yet"
	case g.Limit == "":
		return g.Observed
	default:
		return g.Observed + "; wanted: " + g.Limit
	}
}

// andMore says how many there are besides the first one, which is shown.
func andMore(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n-1)
}
