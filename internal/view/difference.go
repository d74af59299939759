package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/landing/source"
)

// A way is one of those in which an answer can turn, or one side reach another: the
// title of its section, the code for code scanning, and how many calls or flows do so,
// behind their number.
type way struct {
	title, code, short string
	grade              Grade
}

// The ways in which the answer about calls can turn, worst first.
const (
	opening = iota
	mayOpen
	closing
	mayClose
	surelyPassing
	surelyDenied
	stillUncertain
)

var turns = []way{
	opening:        {"Opens: denied today", "guardrail/opens", "open", Bad},
	mayOpen:        {"May open: denied today, and not certain then", "guardrail/may-open", "may open", Bad},
	closing:        {"Closes: passes today", "guardrail/closes", "close", Doubtful},
	mayClose:       {"May close: passes today, and not certain then", "guardrail/may-close", "may close", Doubtful},
	surelyPassing:  {"Passes for certain: not certain today", "guardrail/certain", "pass for certain", Doubtful},
	surelyDenied:   {"Is denied for certain: not certain today", "guardrail/certain", "are denied for certain", Fine},
	stillUncertain: {"Stays uncertain, for other reasons", "guardrail/shifts", "depend on something else", Doubtful},
}

// turnOf is the index of a change's turn.
func turnOf(c *policy.Change) int {
	switch from, to := c.From.Answer, c.To.Answer; {
	case from == policy.Denied && to == policy.Allowed:
		return opening
	case from == policy.Denied:
		return mayOpen
	case from == policy.Allowed && to == policy.Denied:
		return closing
	case from == policy.Allowed:
		return mayClose
	case to == policy.Allowed:
		return surelyPassing
	case to == policy.Denied:
		return surelyDenied
	}
	return stillUncertain
}

// opens reports whether a change lets calls happen that are denied today, for
// certain or perhaps.
func opens(d policy.Difference) bool {
	for i := range d.Changes {
		if turnOf(&d.Changes[i]) <= mayOpen {
			return true
		}
	}
	return false
}

// differenceSections tell what a change of the guardrails lets happen, what opens
// first. Each section shows at most so many turns, unless that is negative.
func differenceSections(d policy.Difference, most int) []Section {
	sections := make([]Section, len(turns))
	last := map[string]*Item{}
	places := make([][]*Item, len(turns))
	for i := range d.Changes {
		c := &d.Changes[i]
		kind := turnOf(c)
		what := c.Turn()
		item := last[what]
		if item == nil {
			item = &Item{Grade: turns[kind].grade, Text: what, Code: turns[kind].code, Place: deciding(c)}
			if at := item.Place; at.File != "" {
				item.Text += fmt.Sprintf(" (%s:%d)", at.File, at.Line)
			}
			last[what] = item
			places[kind] = append(places[kind], item)
		}
		item.More = append(item.More, fmt.Sprintf("%s in %s, %s", actionsOf(c.Actions, most), some(c.Accounts, "accounts", most), some(c.Regions, "regions", most)))
	}
	var shown []Section
	for kind := range turns {
		for _, item := range places[kind] {
			if rest := len(item.More) - most; most >= 0 && rest > 0 {
				item.More = append(item.More[:most], fmt.Sprintf("… and %d groups more (--all)", rest))
			}
			sections[kind].Items = append(sections[kind].Items, *item)
		}
		if sections[kind].Title = turns[kind].title; len(sections[kind].Items) > 0 {
			shown = append(shown, sections[kind].Cut(most))
		}
	}
	return append(shown, comings(d)...)
}

// comings tell of accounts that only one of the states has: nothing can turn there.
func comings(d policy.Difference) []Section {
	var s Section
	if len(d.Added) > 0 {
		s.Items = append(s.Items, Item{Text: "new: " + some(d.Added, "accounts", 10)})
	}
	if len(d.Removed) > 0 {
		s.Items = append(s.Items, Item{Grade: Doubtful, Text: "no longer there: " + some(d.Removed, "accounts", 10)})
	}
	if len(s.Items) == 0 {
		return nil
	}
	s.Title = "Accounts"
	return []Section{s}
}

// differenceAnswer tells in one sentence how much turns.
func differenceAnswer(d policy.Difference) (string, Grade) {
	cells := make([]int64, len(turns))
	for i := range d.Changes {
		cells[turnOf(&d.Changes[i])] += d.Changes[i].Cells
	}
	grade := Fine
	var parts []string
	for i, t := range turns {
		if cells[i] > 0 {
			parts = append(parts, grouped(cells[i])+" "+t.short)
			grade = max(grade, t.grade)
		}
	}
	of := Count(d.Cells, "call") + " (accounts × actions × regions)"
	if len(parts) == 0 {
		return "guardrails: no answer turns, of " + of, Fine
	}
	return "guardrails: " + strings.Join(parts, ", ") + ", of " + of, grade
}

// deciding is the place of the statement that decides once the change is made, or
// that did before.
func deciding(c *policy.Change) source.Place {
	for _, s := range []*policy.Statement{c.To.Statement, c.From.Statement} {
		if s != nil && s.Place.File != "" {
			return s.Place
		}
	}
	return source.Place{}
}

// actionsOf names actions: all of a few, else how many of which services, those that
// everybody uses first.
func actionsOf(actions []string, most int) string {
	const short = 3
	if len(actions) <= short || most < 0 {
		return strings.Join(actions, ", ")
	}
	var services []string
	for _, a := range actions {
		service, _, _ := strings.Cut(a, ":")
		services = append(services, service)
	}
	services = slices.Compact(slices.Sorted(slices.Values(services)))
	slices.SortStableFunc(services, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	text := grouped(int64(len(actions))) + " actions of "
	if len(services) <= short {
		return text + strings.Join(services, ", ")
	}
	return text + Count(len(services), "service") + " (" + strings.Join(services[:short], ", ") + ", …)"
}

// everyday are the services that people think of first.
var everyday = []string{"ec2", "s3", "iam", "lambda", "dynamodb", "rds", "sqs", "sns", "kms", "eks", "ecs", "logs", "cloudwatch", "secretsmanager"}

// rank orders services: everyday ones first.
func rank(service string) int {
	if i := slices.Index(everyday, service); i >= 0 {
		return i
	}
	return len(everyday)
}

// Telling is an action of a change that people know, to look at more closely.
func Telling(actions []string) string {
	for _, known := range []string{"ec2:RunInstances", "s3:PutObject", "lambda:CreateFunction", "dynamodb:CreateTable", "rds:CreateDBInstance"} {
		if slices.Contains(actions, known) {
			return known
		}
	}
	return actions[0]
}

// some names a list: all of a short one, else the first and how many there are.
func some(list []string, what string, most int) string {
	const short = 3
	if len(list) <= short || most < 0 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s %s (%s, …)", grouped(int64(len(list))), what, strings.Join(list[:2], ", "))
}
