package review

import (
	"fmt"
	"slices"
	"strings"
)

// A Condition is when a risk rule holds: a Boolean expression over the choices of a
// question, or default, which holds when no rule before it does.
//
// The specification (Risk Rules section) shows &&, ||, ! and parentheses over ids of
// choices. It does not say how && and || bind side by side; here, as in every
// language that has these operators, ! binds first, then &&, then ||, and Mixed
// tells that the expression leans on it.
type Condition struct {
	// Default holds for the condition default.
	Default bool
	// Mixed holds when && and || stand side by side without parentheses.
	Mixed bool

	root *operand
}

// A SyntaxError says where a condition cannot be read and what was expected there.
type SyntaxError struct {
	// Offset counts bytes from 0.
	Offset int
	Want   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at character %d: expected %s", e.Offset+1, e.Want)
}

// deepest is how far parentheses and ! may nest.
const deepest = 100

// ParseCondition reads a condition. Its error is a *SyntaxError.
func ParseCondition(text string) (Condition, error) {
	if strings.TrimSpace(text) == "default" {
		return Condition{Default: true}, nil
	}
	p := &conditionParser{text: text}
	root, err := p.either(0)
	if err != nil {
		return Condition{}, err
	}
	if p.skip(); p.at < len(text) {
		return Condition{}, p.wrong("&&, || or the end")
	}
	return Condition{root: root, Mixed: p.mixed}, nil
}

// Holds reports whether the condition holds for chosen choices.
func (c Condition) Holds(chosen map[string]bool) bool {
	return c.Default || c.root.eval(func(o *operand) bool { return chosen[o.choice] })
}

// Choices returns the ids that the condition speaks of, sorted, each once.
func (c Condition) Choices() []string {
	var ids []string
	if c.root != nil {
		c.root.walk(func(o *operand) { ids = append(ids, o.choice) })
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// String writes the condition with every pair of parentheses that it needs when
// nothing binds by itself; it parses back to the same.
func (c Condition) String() string {
	if c.Default {
		return "default"
	}
	return c.root.String()
}

// An operand is a choice, or an operator over operands.
type operand struct {
	operator string // && || ! or empty for a choice
	choice   string
	bit      uint32 // of the choice, in a set of choices
	of       []*operand
	wrapped  bool // it stood in parentheses
}

func (o *operand) eval(chosen func(*operand) bool) bool {
	switch o.operator {
	case "!":
		return !o.of[0].eval(chosen)
	case "&&":
		for _, part := range o.of {
			if !part.eval(chosen) {
				return false
			}
		}
		return true
	case "||":
		for _, part := range o.of {
			if part.eval(chosen) {
				return true
			}
		}
		return false
	}
	return chosen(o)
}

func (o *operand) walk(visit func(choice *operand)) {
	if o.operator == "" {
		visit(o)
	}
	for _, part := range o.of {
		part.walk(visit)
	}
}

func (o *operand) String() string {
	parts := make([]string, len(o.of))
	for i, part := range o.of {
		parts[i] = part.String()
		if len(part.of) > 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	switch o.operator {
	case "":
		return o.choice
	case "!":
		return "!" + parts[0]
	}
	return strings.Join(parts, " "+o.operator+" ")
}

type conditionParser struct {
	text  string
	at    int
	mixed bool
}

func (p *conditionParser) wrong(want string) error { return &SyntaxError{Offset: p.at, Want: want} }

func (p *conditionParser) skip() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take reports whether token comes next, and passes it.
func (p *conditionParser) take(token string) bool {
	p.skip()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

// either reads operands joined by ||.
func (p *conditionParser) either(depth int) (*operand, error) {
	return p.joined("||", func() (*operand, error) {
		return p.joined("&&", func() (*operand, error) { return p.single(depth) })
	})
}

func (p *conditionParser) joined(operator string, next func() (*operand, error)) (*operand, error) {
	o := &operand{operator: operator}
	for {
		part, err := next()
		if err != nil {
			return nil, err
		}
		o.of = append(o.of, part)
		if !p.take(operator) {
			break
		}
	}
	if len(o.of) == 1 {
		return o.of[0], nil
	}
	for _, part := range o.of {
		p.mixed = p.mixed || operator == "||" && part.operator == "&&" && !part.wrapped
	}
	return o, nil
}

func (p *conditionParser) single(depth int) (*operand, error) {
	if depth > deepest {
		return nil, p.wrong(fmt.Sprintf("parentheses and ! to nest at most %d deep", deepest))
	}
	switch {
	case p.take("!"):
		of, err := p.single(depth + 1)
		if err != nil {
			return nil, err
		}
		return &operand{operator: "!", of: []*operand{of}}, nil
	case p.take("("):
		o, err := p.either(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, p.wrong("&&, || or )")
		}
		o.wrapped = true
		return o, nil
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(idLetters, p.text[p.at]) >= 0 {
		p.at++
	}
	if start == p.at {
		return nil, p.wrong("the id of a choice, ! or (")
	}
	if p.text[start:p.at] == "default" {
		p.at = start
		return nil, p.wrong("the id of a choice: default stands alone")
	}
	return &operand{choice: p.text[start:p.at]}, nil
}
