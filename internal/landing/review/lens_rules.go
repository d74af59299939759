package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/source"
)

// levels are what risk rules say, and the risk that it is.
var levels = map[string]Risk{"HIGH_RISK": High, "MEDIUM_RISK": Medium, "NO_RISK": None}

// rules reads the risk rules of a question: at most one for each level, and a
// default, which must be the last: what rules after it would mean is not documented.
func (p *lensParser) rules(n *source.Node, path string, q *Question, choices map[string]bool) {
	items := p.list(n, path, "riskRules", 1, mostRules)
	at := source.Field(path, "riskRules")
	seen, defaults := map[Risk]bool{}, 0
	for i, item := range items {
		where := source.Item(at, i)
		if !p.object(item, where) {
			continue
		}
		p.known(item, where, "condition", "risk")
		rule := Rule{}
		if level, ok := p.text(item, where, "risk", 1, longestName); ok {
			risk, known := levels[level]
			switch {
			case !known:
				p.wrong(item.Get("risk"), source.Field(where, "risk"), "risk", "expected HIGH_RISK, MEDIUM_RISK or NO_RISK")
			case seen[risk]:
				p.wrong(item.Get("risk"), source.Field(where, "risk"), "duplicate", "expected one rule for each level of risk")
			}
			seen[risk], rule.Risk = true, risk
		}
		text, ok := p.text(item, where, "condition", 1, largestLens)
		if !ok {
			continue
		}
		rule.Condition = p.condition(item.Get("condition"), source.Field(where, "condition"), text, q, choices)
		if rule.Condition.Default {
			defaults++
			if i < len(items)-1 {
				p.wrong(item.Get("condition"), source.Field(where, "condition"), "default", "expected default to be the last rule")
			}
		}
		q.Rules = append(q.Rules, rule)
	}
	if len(items) > 0 && defaults != 1 {
		p.wrong(bare(n.Get("riskRules")), at, "default", fmt.Sprintf("expected exactly one rule with the condition default, not %d", defaults))
	}
}

func (p *lensParser) condition(n *source.Node, path, text string, q *Question, choices map[string]bool) Condition {
	c, err := ParseCondition(text)
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		p.wrong(n, path, "condition", syntax.Error())
		return c
	}
	if c.Mixed {
		p.found.Warn(p.file, n, path, "lens/parentheses", "expected parentheses where && and || stand side by side: && is taken to bind first")
	}
	for _, id := range c.Choices() {
		if !choices[id] {
			p.wrong(n, path, "choice", fmt.Sprintf("expected ids of the question's choices, not %s", id))
		}
	}
	if c.root != nil {
		c.root.walk(func(o *operand) {
			o.bit = 1 << max(slices.IndexFunc(q.Choices, func(choice Choice) bool { return choice.ID == o.choice }), 0)
		})
	}
	return c
}

// reach warns of rules that no answer reaches, and of questions that no answer
// frees of risk, by trying all answers.
func (p *lensParser) reach(n *source.Node, path string, q Question) {
	reached := make([]bool, len(q.Rules))
	var none uint32
	for i, c := range q.Choices {
		if c.NoneOfThese {
			none |= 1 << i
		}
	}
	try := func(chosen uint32) {
		if chosen == 0 || chosen&none != 0 && chosen&(chosen-1) != 0 {
			return // no answer; none of these, and something
		}
		for i, r := range q.Rules {
			if r.Condition.Default || r.Condition.root.eval(func(o *operand) bool { return chosen&o.bit != 0 }) {
				reached[i] = true
				return
			}
		}
	}
	// From both ends: rules mostly ask for nearly nothing or nearly all.
	all := uint32(1)<<len(q.Choices) - 1
	for chosen := uint32(0); chosen <= all && slices.Contains(reached, false); chosen++ {
		try(chosen)
		try(all &^ none &^ chosen)
	}
	free := false
	for i, r := range q.Rules {
		where := source.Item(source.Field(path, "riskRules"), i)
		if !reached[i] {
			p.found.Warn(p.file, n.Get("riskRules").Items[i].Get("condition"), source.Field(where, "condition"), "lens/unreachable", "expected a condition that decides for at least one answer")
		}
		free = free || reached[i] && r.Risk == None
	}
	if !free {
		p.found.Warn(p.file, bare(n), source.Field(path, "riskRules"), "lens/no-way-out", "expected at least one answer with NO_RISK")
	}
}

// decide returns the risk of chosen choices, and the condition that decided.
func (q *Question) decide(chosen []string) (Risk, string) {
	set := map[string]bool{}
	for _, id := range chosen {
		set[id] = true
	}
	for _, r := range q.Rules {
		if r.Condition.Holds(set) {
			return r.Risk, r.Condition.String()
		}
	}
	return Unknown, ""
}

// badAnswer returns what is wrong with an answer to the question, empty if nothing,
// and the position of the choice that is wrong, -1 if all of them are.
func (q *Question) badAnswer(chosen []string) (want string, at int) {
	none := ""
	for i, id := range chosen {
		k := slices.IndexFunc(q.Choices, func(c Choice) bool { return c.ID == id })
		if k < 0 {
			var ids []string
			for _, c := range q.Choices {
				ids = append(ids, c.ID)
			}
			return "expected one of " + strings.Join(ids, ", "), i
		}
		if slices.Contains(chosen[:i], id) {
			return "expected each choice once", i
		}
		if q.Choices[k].NoneOfThese {
			none = id
		}
	}
	if none != "" && len(chosen) > 1 {
		return "expected no other choice beside " + none + ", which means none of these", -1
	}
	return "", -1
}
