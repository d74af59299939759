package view

import (
	"fmt"
	"slices"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// A NetworkChange is what a change lets reach what through one core network.
type NetworkChange struct {
	Network string `json:"network"`
	// Pairs of hosts were compared, and Turned have another outcome.
	Pairs  int `json:"pairs"`
	Turned int `json:"turned"`
	// Moves are attachments that land elsewhere, come or go, a sentence each.
	Moves   []string     `json:"moves,omitempty"`
	Changes []FlowChange `json:"changes,omitempty"`
	// Place is the core network's, where it is written now.
	Place source.Place `json:"place"`
}

// A FlowChange is what turns between every attachment of one side and every one of
// the other.
type FlowChange struct {
	From     Side        `json:"from"`
	To       Side        `json:"to"`
	Before   wan.Outcome `json:"before"`
	After    wan.Outcome `json:"after"`
	Sentence string      `json:"sentence"`
}

// NetworkChanges are the differences of core networks that are not empty. after are
// the networks of the new state.
func NetworkChanges(all []*wan.Difference, after []*wan.Network) []NetworkChange {
	var changes []NetworkChange
	for _, d := range all {
		if len(d.Moves)+len(d.Changes) == 0 {
			continue
		}
		c := NetworkChange{Network: d.Network, Pairs: d.Pairs, Turned: d.Turned}
		for _, n := range after {
			if n.Name == d.Network {
				c.Place = n.Place
			}
		}
		for _, m := range d.Moves {
			c.Moves = append(c.Moves, m.String())
		}
		for _, f := range d.Changes {
			c.Changes = append(c.Changes, FlowChange{From: sideOf(f.From), To: sideOf(f.To), Before: f.Before, After: f.After, Sentence: f.String()})
		}
		changes = append(changes, c)
	}
	return changes
}

// The ways in which a flow can turn, worst first.
const (
	flowOpens = iota
	flowOpensInspected
	flowUncertain
	flowCloses
	flowTurns
)

var flowTurnings = []way{
	flowOpens:          {"Segments: reached without inspection, and not so today", "network/opens", "open without inspection", Bad},
	flowOpensInspected: {"Segments: reached through inspection, and not so today", "network/opens-inspected", "open through inspection", Doubtful},
	flowUncertain:      {"Segments: not certain", "network/unknown", "not certain", Doubtful},
	flowCloses:         {"Segments: reached no longer", "network/closes", "close", Doubtful},
	flowTurns:          {"Segments: reached otherwise", "network/turns", "turn otherwise", Fine},
}

// flowTurnOf is the index of a flow's turn.
func flowTurnOf(f FlowChange) int {
	inspected := len(f.After.Through)+len(f.After.Back) > 0
	looked := len(f.Before.Through)+len(f.Before.Back) > 0
	switch {
	case f.After.Verdict == wan.Unknown:
		return flowUncertain
	case f.After.Verdict == wan.Yes && !inspected && (f.Before.Verdict != wan.Yes || looked):
		return flowOpens
	case f.After.Verdict == wan.Yes && f.Before.Verdict != wan.Yes:
		return flowOpensInspected
	case f.After.Verdict != wan.Yes && f.Before.Verdict == wan.Yes:
		return flowCloses
	}
	return flowTurns
}

// opensWay reports whether something is reached that is not reached today, or nobody
// looks any more, or that is not certain.
func opensWay(all []NetworkChange) bool {
	return slices.ContainsFunc(all, func(c NetworkChange) bool {
		return slices.ContainsFunc(c.Changes, func(f FlowChange) bool { return flowTurnOf(f) <= flowUncertain })
	})
}

// networkSections tell what changes in core networks, and how much of it.
func networkSections(all []NetworkChange, most int) (sections []Section, answer string, grade Grade) {
	found := make([]Section, len(flowTurnings))
	var moves Section
	for _, c := range all {
		for _, m := range c.Moves {
			moves.Items = append(moves.Items, Item{Text: m, Code: "network/moves", Place: c.Place})
		}
		for _, f := range c.Changes {
			kind := flowTurnOf(f)
			item := Item{Grade: flowTurnings[kind].grade, Text: f.Sentence, Code: flowTurnings[kind].code, Place: c.Place}
			found[kind].Items = append(found[kind].Items, item)
			grade = max(grade, item.Grade)
		}
	}
	answer = "segments:"
	for kind, s := range found {
		if len(s.Items) == 0 {
			continue
		}
		answer += fmt.Sprintf(" %d %s,", len(s.Items), flowTurnings[kind].short)
		s.Title = flowTurnings[kind].title
		sections = append(sections, s.Cut(most))
	}
	if len(moves.Items) > 0 {
		answer += fmt.Sprintf(" attachments that come, go or land elsewhere: %d,", len(moves.Items))
		moves.Title = "Attachments"
		sections = append(sections, moves.Cut(most))
	}
	return sections, answer[:len(answer)-1], grade
}
