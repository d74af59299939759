package ipam

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

const (
	week = 7 * 24 * time.Hour
	// window is how far back growth is told from, horizon how far ahead.
	window, horizon = 26 * week, 260 * week
	// leastSpan and leastNetworks are how little history still tells a growth.
	leastSpan, leastNetworks = 4 * week, 3
	// soon is when the end of a pool is a warning.
	soon = 13 * week
)

// A Forecast says whether what is planned fits in a pool, and when the pool ends.
// It is found by giving what is expected, network by network, in a copy of the pool,
// so fragments count as they will.
type Forecast struct {
	Pool        string `json:"pool"`
	Region      string `json:"region,omitempty"`
	Environment string `json:"environment,omitempty"`
	Family      Family `json:"family"`
	// Plans are what the pool's file plans, by day.
	Plans []PlanFit `json:"plans,omitempty"`
	// Growth is how many networks a week are expected, by prefix length: those of the
	// last 26 weeks that are still there.
	Growth []Growth `json:"growth,omitempty"`
	// Since is where what Growth was told from begins.
	Since landing.Day `json:"since,omitempty"`
	// Unknown names the fact that is missing to tell a growth; then Ends is not known.
	Unknown string `json:"unknown,omitempty"`
	// NeedsDates holds if what is missing are days that files can say.
	NeedsDates bool `json:"needsDates,omitempty"`

	at time.Time
	// Ends is when the first network that is expected finds no block, what is planned
	// counted on top of growth; empty if not within 260 weeks. Earliest and Latest are
	// the same for the ends of an interval that has the growth with 90 % confidence if
	// networks are asked for independently (Poisson; square-root approximation).
	Ends     landing.Day `json:"ends,omitempty"`
	Earliest landing.Day `json:"earliest,omitempty"`
	Latest   landing.Day `json:"latest,omitempty"`
	// First is the prefix length of the network that finds no block at Ends.
	First int          `json:"first,omitempty"`
	Place source.Place `json:"place"`
}

// A PlanFit says how many networks of a plan fit.
type PlanFit struct {
	Size   string      `json:"size"`
	Count  int         `json:"count"`
	By     landing.Day `json:"by"`
	Reason string      `json:"reason,omitempty"`
	// Fits counts those that fit if nothing else grows until then, WithGrowth if the
	// pool grows as expected; -1 if that is unknown.
	Fits       int `json:"fits"`
	WithGrowth int `json:"withGrowth"`
}

// Growth is how often networks of a prefix length are asked for.
type Growth struct {
	Length  int     `json:"length"`
	Count   int     `json:"count"`
	PerWeek float64 `json:"perWeek"`
}

// Forecast looks ahead from a time, for each pool without errors and each family of
// it, in the state that a.Space is in: call Plan first, so that claims that were not
// given anything yet count. Pools are in order of their names.
func (a *Addresses) Forecast(at time.Time) []Forecast {
	var all []Forecast
	for _, p := range a.Pools {
		if p.Broken {
			continue
		}
		in := (*a.Space.pools.Load())[p.Name]
		for _, family := range []Family{IPv4, IPv6} {
			if slices.ContainsFunc(in.areas, func(a area) bool { return a.family == family }) {
				all = append(all, a.forecast(p, in, family, at))
			}
		}
	}
	return all
}

func (a *Addresses) forecast(p *AddressPool, in *pool, family Family, at time.Time) Forecast {
	f := Forecast{Pool: p.Name, Region: in.Region, Environment: in.Environment, Family: family, Place: p.Place, at: at}
	a.learn(&f)
	if len(a.doubts) > 0 {
		f.Unknown, f.NeedsDates = "what is taken by "+strings.Join(a.doubts, "; "), false
	}
	plans := f.plan(p, in)
	ahead := f.look(in, plans, 0)
	for i := range f.Plans {
		f.Plans[i].Fits, f.Plans[i].WithGrowth = ahead.fits[i], -1
	}
	if len(a.doubts) > 0 {
		for i := range f.Plans {
			f.Plans[i].Fits = -1
		}
	}
	if f.Unknown != "" {
		return f
	}
	ahead = f.look(in, plans, 1)
	f.Ends, f.First = dayOf(ahead.ends), ahead.length
	for i := range f.Plans {
		f.Plans[i].WithGrowth = ahead.fits[i]
	}
	count := 0
	for _, g := range f.Growth {
		count += g.Count
	}
	few, many := interval(count)
	f.Latest, f.Earliest = dayOf(f.look(in, plans, few).ends), dayOf(f.look(in, plans, many).ends)
	return f
}

// interval returns by what the growth that so many networks tell may have to be
// multiplied: the square root of a Poisson count has a deviation of a half.
func interval(count int) (low, high float64) {
	const deviations = 1.645 / 2 // 90 %
	root := math.Sqrt(float64(count))
	few, many := max(0, root-deviations)/root, (root+deviations)/root
	return few * few, many * many
}

func dayOf(t time.Time) landing.Day {
	if t.IsZero() {
		return ""
	}
	return landing.Day(t.UTC().Format(time.DateOnly))
}

// learn tells the growth from the days on which claims were given theirs.
func (a *Addresses) learn(f *Forecast) {
	counts, total, first := map[int]int{}, 0, f.at
	for _, c := range a.Claims {
		if c.request.Pool != f.Pool || c.request.Family != f.Family || !c.has.IsValid() {
			continue
		}
		on := c.Status.AllocatedOn.Start()
		if c.Status.AllocatedOn == "" {
			f.Unknown, f.NeedsDates = fmt.Sprintf("the day on which %s was given %s (status.allocatedOn)", c.Name, c.has), true
			return
		}
		if on.After(f.at) {
			f.Unknown, f.NeedsDates = fmt.Sprintf("the day on which %s was given %s: %s has not come yet", c.Name, c.has, c.Status.AllocatedOn), true
			return
		}
		if on.Before(first) {
			first = on
		}
		if f.at.Sub(on) <= window {
			counts[c.has.Bits()]++
			total++
		}
	}
	since := f.at.Add(-window)
	if first.After(since) {
		since = first
	}
	switch span := f.at.Sub(since); {
	case total < leastNetworks:
		f.Unknown = fmt.Sprintf("how it grows: %d networks of the last 26 weeks are too few to tell", total)
	case span < leastSpan:
		f.Unknown = fmt.Sprintf("how it grows: what is known of it begins on %s, less than 4 weeks ago", dayOf(first))
	default:
		f.Since = dayOf(since)
		for length, n := range counts {
			f.Growth = append(f.Growth, Growth{Length: length, Count: n, PerWeek: float64(n) * float64(week) / float64(span)})
		}
		slices.SortFunc(f.Growth, func(x, y Growth) int { return cmp.Compare(x.Length, y.Length) })
	}
}

// A batch is a plan as so many networks of a length on a day.
type batch struct {
	length, count int
	on            time.Time
}

// plan adds what the pool's file plans, by day, to f, and returns it as batches.
// What is planned with a size that the pool does not have fits nowhere.
func (f *Forecast) plan(p *AddressPool, in *pool) []batch {
	planned := slices.Clone(p.Spec.Planned)
	slices.SortStableFunc(planned, func(x, y landing.PlannedNetworks) int { return cmp.Compare(x.By, y.By) })
	var batches []batch
	for _, n := range planned {
		if (n.Family == landing.IPv6) != (f.Family == IPv6) {
			continue
		}
		length, err := in.length(Request{Pool: f.Pool, Family: f.Family, Size: n.Size})
		if err != nil {
			length = -1
		}
		f.Plans = append(f.Plans, PlanFit{Size: n.Size, Count: int(n.Count), By: n.By, Reason: n.Reason})
		batches = append(batches, batch{length, int(n.Count), n.By.Start()})
	}
	return batches
}

// A future is what comes of one course of growth.
type future struct {
	fits   []int
	ends   time.Time // zero if not within the horizon
	length int
}

// look gives what is expected in a copy of the pool: the growth multiplied by
// factor, and the plans.
func (f *Forecast) look(in *pool, plans []batch, factor float64) future {
	in = in.clone()
	out := future{fits: make([]int, len(plans))}
	given := make([]int, len(f.Growth))
	give := func(length int, on time.Time) bool {
		_, ok := in.place(f.Family, length)
		if !ok && out.ends.IsZero() {
			out.ends, out.length = on, length
		}
		return ok
	}
	grow := func(until time.Time) {
		for {
			next, on := -1, until
			for i, g := range f.Growth {
				if weeks := float64(given[i]+1) / (g.PerWeek * factor); weeks < horizon.Hours()/week.Hours() {
					if t := f.at.Add(time.Duration(weeks * float64(week))); t.Before(on) {
						next, on = i, t
					}
				}
			}
			if next < 0 {
				return
			}
			if given[next]++; !out.ends.IsZero() && until.Sub(f.at) >= horizon {
				return
			}
			give(f.Growth[next].Length, on)
		}
	}
	for i, b := range plans {
		on := b.on
		if on.Before(f.at) {
			on = f.at
		}
		grow(on)
		for range b.count {
			if b.length < 0 || !give(b.length, on) {
				break
			}
			out.fits[i]++
		}
	}
	if out.ends.IsZero() {
		grow(f.at.Add(horizon))
	}
	return out
}

// clone returns a pool that is like this one at the moment, and goes on by itself.
func (p *pool) clone() *pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	other := &pool{Pool: p.Pool, parent: p.parent}
	for _, a := range p.areas {
		t := *a.tree
		t.nodes, t.spare = slices.Clone(t.nodes), slices.Clone(t.spare)
		other.areas = append(other.areas, area{a.prefix, a.family, &t})
	}
	return other
}

// String says the forecast in sentences, a line each.
func (f Forecast) String() string {
	where := fmt.Sprintf("pool %s (%s)", f.Pool, f.Family)
	if f.Region != "" {
		where = fmt.Sprintf("pool %s of %s (%s)", f.Pool, f.Region, f.Family)
	}
	var lines []string
	for _, p := range f.Plans {
		verdict := "fit"
		if p.Fits < 0 {
			verdict = "fit or not: that is unknown"
		} else if p.Fits < p.Count {
			verdict = fmt.Sprintf("do not fit: %d do", p.Fits)
		} else if p.WithGrowth >= 0 && p.WithGrowth < p.Count {
			verdict = fmt.Sprintf("fit, but not if the pool grows as it did: then %d do", p.WithGrowth)
		}
		text := fmt.Sprintf("%s: the %d planned networks of size %s by %s", where, p.Count, p.Size, p.By)
		if p.Reason != "" {
			text += " (" + p.Reason + ")"
		}
		lines = append(lines, text+" "+verdict)
	}
	return strings.Join(append(lines, where+": "+f.end()), "\n")
}

func (f Forecast) end() string {
	if f.Unknown != "" {
		return "when it ends is unknown: it is not known " + f.Unknown
	}
	perWeek := 0.0
	for _, g := range f.Growth {
		perWeek += g.PerWeek
	}
	basis := fmt.Sprintf("%.1f networks a week since %s", perWeek, f.Since)
	if f.Ends == "" {
		return "does not end within 5 years: " + basis
	}
	latest := "later than in 5 years"
	if f.Latest != "" {
		latest = f.in(f.Latest)
	}
	return fmt.Sprintf("ends in %s (%s; between %s and %s), when a /%d finds no block: %s", f.in(f.Ends), f.Ends, f.in(f.Earliest), latest, f.First, basis)
}

// in returns how far away a day is.
func (f Forecast) in(d landing.Day) string {
	weeks := int(d.End().Sub(f.at) / week)
	if weeks < 1 {
		return "less than a week"
	}
	if weeks == 1 {
		return "1 week"
	}
	return fmt.Sprintf("%d weeks", weeks)
}

// ForecastFindings says what of forecasts people should know: plans that do not fit,
// pools that end within 13 weeks, and growth that is not known.
func ForecastFindings(all []Forecast) []finding.Finding {
	var found []finding.Finding
	for _, f := range all {
		add := func(id string, severity finding.Severity, observed, why, fix string) {
			found = append(found, finding.Finding{ID: id, Severity: severity, Object: KindPool + " " + f.Pool, Part: f.Family.String(),
				Place: f.Place, Observed: observed, Why: why, Fix: fix})
		}
		for _, p := range f.Plans {
			what := fmt.Sprintf("%d of %d planned networks of size %s fit by %s", p.Fits, p.Count, p.Size, p.By)
			if p.Fits < 0 {
				add("LZ-ADDR-004", finding.Unknown, "it is not known "+f.Unknown, "whether what is planned has addresses cannot be told", "mend what is named")
			} else if p.Fits < p.Count {
				add("LZ-ADDR-004", finding.Fail, what, "what is planned has no addresses", "add a prefix to the pool, or plan smaller sizes")
			} else if p.WithGrowth >= 0 && p.WithGrowth < p.Count {
				what = fmt.Sprintf("%d of %d planned networks of size %s fit by %s if the pool grows as it did", p.WithGrowth, p.Count, p.Size, p.By)
				add("LZ-ADDR-004", finding.Warning, what, "growth would take the addresses of what is planned", "add a prefix to the pool, or claim what is planned now")
			}
		}
		switch {
		case f.Unknown != "" && f.NeedsDates:
			add("LZ-ADDR-006", finding.Unknown, "it is not known "+f.Unknown, "when the pool ends cannot be told", "write the day into the claim's status")
		case f.Unknown != "":
			add("LZ-ADDR-006", finding.Note, "it is not known "+f.Unknown, "when the pool ends cannot be told", "look again when more is known")
		case f.Ends != "" && f.Ends.Start().Sub(f.at) < soon:
			add("LZ-ADDR-005", finding.Warning, f.end(), "a new range has to be agreed with everybody who routes it", "add a prefix to the pool in time")
		}
	}
	return found
}
