package judge

// A Latch keeps what was found worse. Evidence that has once reached its limit has
// told enough, though later pairs may dilute it; so a stop stays until whoever holds
// the Latch begins a new one. The zero value keeps nothing yet.
type Latch struct {
	Errors  map[string]Comparison `json:"errors,omitempty"`
	Latency map[string]Comparison `json:"latency,omitempty"`
	// Sides are source and target, if they were worse than their objectives.
	Sides [2]*Standing `json:"sides"`
}

// Keep adds what r found worse, and returns r with all that was found earlier.
func (l *Latch) Keep(r Report) Report {
	if l.Errors == nil {
		l.Errors, l.Latency = map[string]Comparison{}, map[string]Comparison{}
	}
	latch(l.Errors, "", &r.Pooled.Errors)
	latch(l.Latency, "", &r.Pooled.Latency)
	for i := range r.Names {
		latch(l.Errors, r.Names[i].Name, &r.Names[i].Errors)
		latch(l.Latency, r.Names[i].Name, &r.Names[i].Latency)
	}
	for i, s := range r.Sides {
		switch {
		case l.Sides[i] != nil:
			r.Sides[i] = *l.Sides[i]
		case s.Errors == Worse || s.Absolute == Worse || s.Latency == Worse:
			l.Sides[i] = &s
		}
	}
	return r
}

func latch(kept map[string]Comparison, name string, now *Comparison) {
	if old, found := kept[name]; found {
		*now = old
	} else if now.Verdict == Worse {
		kept[name] = *now
	}
}
