package view

import (
	"cmp"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// Reached is who reaches whom in one core network.
type Reached struct {
	Network string       `json:"network"`
	Flows   []Flow       `json:"flows"`
	Place   source.Place `json:"place"`
}

// A Flow is what holds between every attachment of one side and every one of the
// other.
type Flow struct {
	From Side `json:"from"`
	To   Side `json:"to"`
	wan.Outcome
	// Path and PathBack are the ways of one pair, as far as packets get.
	Path     []wan.Hop `json:"path,omitempty"`
	PathBack []wan.Hop `json:"pathBack,omitempty"`
	sentence string
}

// A Side is one side of a flow.
type Side struct {
	Landing     wan.Landing `json:"landing"`
	Attachments []string    `json:"attachments"`
	Accounts    []string    `json:"accounts,omitempty"`
}

// ReachedIn is what one core network answers.
func ReachedIn(n *wan.Network, flows []wan.Flow) Reached {
	r := Reached{Network: n.Name, Place: n.Place, Flows: []Flow{}}
	for _, f := range flows {
		r.Flows = append(r.Flows, Flow{From: sideOf(f.From), To: sideOf(f.To), Outcome: f.Outcome, Path: f.Path, PathBack: f.PathBack, sentence: f.String()})
	}
	return r
}

func sideOf(s wan.Side) Side {
	return Side{Landing: s.Landing, Attachments: s.Attachments(), Accounts: s.Accounts()}
}

// AllReach reports whether every pair reaches, and there is one.
func AllReach(answers []Reached) bool {
	any := false
	for _, r := range answers {
		for _, f := range r.Flows {
			if f.Verdict != wan.Yes {
				return false
			}
			any = true
		}
	}
	return any
}

// The ways in which one side may reach another. The first two somebody has to look at.
const (
	reachUnknown = iota
	reachOneWay
	reachOpen
	reachInspected
	reachNot
)

var bearings = []way{
	reachUnknown:   {"Not known", "network/unknown", "not known", Doubtful},
	reachOneWay:    {"One way only: answers do not come back", "network/one-way", "one way only", Doubtful},
	reachOpen:      {"Reaches, and nobody looks", "network/reaches", "reach without inspection", Fine},
	reachInspected: {"Reaches through inspection", "network/inspected", "reach through inspection", Fine},
	reachNot:       {"Does not reach", "network/no", "do not reach", Fine},
}

// bearingOf is the index of a flow's way.
func bearingOf(f Flow) int {
	switch {
	case f.Verdict == wan.Unknown:
		return reachUnknown
	case f.Verdict == wan.OneWay:
		return reachOneWay
	case f.Verdict == wan.No:
		return reachNot
	case len(f.Through) == 0 && len(f.Back) == 0:
		return reachOpen
	}
	return reachInspected
}

// ReachReport tells who reaches whom. With asked, two sides were named, and that
// something does not reach is a no.
func ReachReport(from, to string, answers []Reached, asked bool, most int) Report {
	r := Report{Title: "Does " + from + " reach " + to + "?"}
	sections := make([]Section, len(bearings))
	for _, answer := range answers {
		for _, f := range answer.Flows {
			kind := bearingOf(f)
			item := Item{Grade: bearings[kind].grade, Text: f.sentence, Code: bearings[kind].code, Place: answer.Place}
			if asked && f.Verdict == wan.No {
				item.Grade = Bad
			}
			if f.Verdict == wan.Yes && !slices.Equal(f.Back, backwards(f.Through)) {
				item.More = append(item.More, "answers come back by "+hops(f.PathBack))
			}
			sections[kind].Items = append(sections[kind].Items, item)
			r.Grade = max(r.Grade, item.Grade)
		}
	}
	if !asked {
		r.Title = "Who reaches whom, from " + from
		for _, answer := range answers {
			r.Sections = append(r.Sections, reachTable(answer))
		}
	}
	var told []string
	for kind, s := range sections {
		if len(s.Items) == 0 {
			continue
		}
		told = append(told, grouped(int64(len(s.Items)))+" "+bearings[kind].short)
		if s.Title = bearings[kind].title; asked || kind <= reachOneWay || most < 0 {
			r.Sections = append(r.Sections, s.Cut(most))
		}
	}
	r.Answer = cmp.Or(strings.Join(told, ", "), "there is nothing to reach")
	if len(told) > 0 {
		r.Answer = "flows: " + r.Answer
	}
	return r
}

// cellWords are the ways as cells of a table.
var cellWords = []string{reachUnknown: "?", reachOneWay: "one way", reachOpen: "yes", reachInspected: "inspected", reachNot: "-"}

// reachTable lists where flows begin, and where they end.
func reachTable(answer Reached) Section {
	s := Section{Title: "Core network " + answer.Network + ", from the rows to the columns"}
	cells := map[[2]string][]string{}
	var rows, columns []string
	for _, f := range answer.Flows {
		from, to := f.From.Landing.String(), f.To.Landing.String()
		rows, columns = append(rows, from), append(columns, to)
		word := cellWords[bearingOf(f)]
		if at := [2]string{from, to}; !slices.Contains(cells[at], word) {
			cells[at] = append(cells[at], word)
		}
	}
	rows, columns = slices.Compact(slices.Sorted(slices.Values(rows))), slices.Compact(slices.Sorted(slices.Values(columns)))
	s.Columns = append([]string{""}, columns...)
	for _, from := range rows {
		row := Row{Cells: []string{from}}
		for _, to := range columns {
			row.Cells = append(row.Cells, cmp.Or(strings.Join(cells[[2]string{from, to}], ", "), " "))
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// hops are a way as people read it.
func hops(path []wan.Hop) string {
	var names []string
	for _, h := range path {
		names = append(names, h.String())
	}
	return strings.Join(names, " → ")
}

// backwards are names in the order in which answers meet them.
func backwards(names []string) []string {
	reversed := slices.Clone(names)
	slices.Reverse(reversed)
	return reversed
}
