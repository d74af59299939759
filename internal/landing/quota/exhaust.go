package quota

import (
	"slices"
	"sort"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// mostDays is how far the future is looked at, and how long anything may take.
const mostDays = 3650

const day = 24 * time.Hour

// A demand is how much will be used: a level that grows from a time on, multiplied
// while events last.
type demand struct {
	level  float64 // at from, not below 0
	perDay float64
	from   time.Time
	events []landing.PlannedEvent
	// surplus is how many times more than planned was used while the events seen
	// lasted; 0 if nothing is known of it.
	surplus float64
	seen    []landing.PlannedEvent
}

// learn remembers by how much a sample from the days of events exceeds the plan.
func (d *demand) learn(s landing.UseSample) {
	on := s.On.Start()
	for _, e := range d.events {
		if lasts(e, on) {
			d.seen = append(d.seen, e)
		}
	}
	if planned := d.at(on); len(d.seen) > 0 && planned > 0 && s.Used > planned {
		d.surplus = s.Used / planned
	}
}

func lasts(e landing.PlannedEvent, t time.Time) bool {
	return !t.Before(e.From.Start()) && t.Before(e.To.End())
}

// at returns the use at a time not before from.
func (d demand) at(t time.Time) float64 {
	used := d.level + d.perDay*days(t.Sub(d.from))
	if used <= 0 { // many events may multiply to infinity, and nothing is used of it
		return 0
	}
	return used * d.multiplier(t)
}

func (d demand) multiplier(t time.Time) float64 {
	product := 1.0
	for _, e := range d.events {
		if lasts(e, t) {
			product *= e.Multiplier
		}
	}
	for _, e := range d.seen {
		if !lasts(e, t) {
			return product
		}
	}
	return product * max(d.surplus, 1)
}

// during returns the name of the event with the largest multiplier at a time.
func (d demand) during(t time.Time) string {
	name, most := "", 1.0
	for _, e := range d.events {
		if lasts(e, t) && e.Multiplier > most {
			name, most = e.Name, e.Multiplier
		}
	}
	return name
}

// reaches returns the first time at which the use is at least value, false if not
// within ten years. Between two moments at which an event begins or ends the use is
// a straight line.
func (d demand) reaches(value float64) (time.Time, bool) {
	end := d.from.AddDate(0, 0, mostDays)
	turns := []time.Time{d.from, end}
	for _, e := range d.events {
		for _, t := range []time.Time{e.From.Start(), e.To.End()} {
			if t.After(d.from) && t.Before(end) {
				turns = append(turns, t)
			}
		}
	}
	slices.SortFunc(turns, time.Time.Compare)
	for i, start := range turns[:len(turns)-1] {
		if d.at(start) >= value {
			return start, true
		}
		if d.perDay <= 0 {
			continue
		}
		after := (value/d.multiplier(start) - d.level) / d.perDay
		if after > mostDays {
			continue
		}
		t := d.from.Add(time.Duration(after * float64(day)))
		if t.Before(start) { // by rounding
			t = start
		}
		if t.Before(turns[i+1]) {
			return t, true
		}
	}
	return time.Time{}, false
}

// granted returns when a raise asked for at a time is there. Business days are
// Mondays to Fridays in UTC without holidays, counted from the day after; the raise
// is there when the last of them ends.
func granted(t landing.LeadTime, asked time.Time) time.Time {
	if t.BusinessDays == nil {
		return asked.AddDate(0, 0, *t.CalendarDays)
	}
	end := asked.UTC().Truncate(day).Add(day)
	if *t.BusinessDays == 0 {
		return asked
	}
	for left := *t.BusinessDays; left > 0; end = end.Add(day) {
		if works(t, end) {
			left--
		}
	}
	return end
}

func works(t landing.LeadTime, on time.Time) bool {
	weekday := on.Weekday()
	return weekday != time.Saturday && weekday != time.Sunday && !slices.Contains(t.Holidays, landing.Day(on.Format(time.DateOnly)))
}

// askBy returns the last whole day after at, in steps of one, on which a raise may
// be asked for and be there by a time; false if not even at.
func askBy(t landing.LeadTime, at, by time.Time) (time.Time, bool) {
	late := sort.Search(mostDays+1, func(i int) bool { return granted(t, at.AddDate(0, 0, i)).After(by) })
	if late == 0 {
		return time.Time{}, false
	}
	return at.AddDate(0, 0, late-1), true
}
