package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"

	"crossfade.dev/internal/landing/source"
)

// A condition is one context key under one operator.
type condition struct {
	name     string // of the operator, as written
	operator operator
	every    bool // ForAllValues
	some     bool // ForAnyValue
	ifExists bool
	key      key
	values   []value
	place    source.Place
	label    string // the operator and the key, as people are shown them
}

// test reports whether the condition holds for a call.
func (c *condition) test(x *call) truth {
	mark := x.mark()
	holds := c.evaluate(x)
	if holds != unknown {
		x.reset(mark)
	}
	return holds
}

func (c *condition) evaluate(x *call) truth {
	values, known := x.values(&c.key)
	switch {
	case known == unknown:
		x.miss(c.key.shown, "")
		return unknown
	case c.operator.comparison == null && known == yes && strings.Join(values, "") == "":
		x.miss(c.key.shown, "it is an empty text, and the vendor says of such that it is a null dataset, and of Null that the key does not exist")
		return unknown
	case c.operator.comparison == null:
		return c.testNull(known == no)
	case known == no && c.some && c.ifExists:
		x.miss(c.key.shown, "the request has none, and the vendor says of ForAnyValue that this is false and of IfExists that it is true")
		return unknown
	case known == no:
		return c.absent()
	case c.every || c.some:
		return c.testSet(x, values)
	case len(values) > 1:
		x.miss(c.key.shown, "it has several values, and "+c.name+" is neither ForAnyValue nor ForAllValues")
		return unknown
	}
	return c.testOne(x, values[0])
}

// absent is the truth for a request that is known not to have the key: "the values
// do not match", which is what a negated operator asks for; ForAllValues "returns
// true if there are no context keys in the request", ForAnyValue "returns false";
// and with IfExists, "if the key is not present, evaluate the condition element as
// true".
func (c *condition) absent() truth {
	switch {
	case c.ifExists || c.every:
		return yes
	case c.some:
		return no
	}
	return truthOf(c.operator.negated)
}

func (c *condition) testNull(absent bool) truth {
	for i := range c.values {
		if c.values[i].flag == absent {
			return yes
		}
	}
	return no
}

// testSet compares each value of the request. An empty text counts as no value:
// what the vendor says of no keys it also says of "a null dataset, such as an empty
// string".
func (c *condition) testSet(x *call, values []string) truth {
	if len(values) == 1 && values[0] == "" {
		return truthOf(c.every)
	}
	if c.every {
		all := yes
		for _, v := range values {
			all = min(all, c.testOne(x, v))
		}
		return all
	}
	found := no
	for _, v := range values {
		found = max(found, c.testOne(x, v))
	}
	return found
}

// testOne compares one value of the request with those of the policy, of which one
// must match, or none if the operator is negated.
func (c *condition) testOne(x *call, text string) truth {
	v := operand{text: text}
	if !v.parse(c.operator.comparison) {
		x.miss(c.key.shown, "its value "+text+" cannot be compared by "+c.name)
		return unknown
	}
	found := no
	for i := range c.values {
		if found = max(found, c.compare(x, &c.values[i], &v)); found == yes {
			break
		}
	}
	if c.operator.negated {
		return found.not()
	}
	return found
}

// An operand is one value of the request, parsed for an operator.
type operand struct {
	text    string
	number  float64
	date    time.Time
	address netip.Addr
}

func (o *operand) parse(c comparison) (ok bool) {
	var err error
	switch c {
	case numbers:
		o.number, err = parseNumber(o.text)
	case dates:
		o.date, err = parseDate(o.text)
	case addresses:
		o.address, err = netip.ParseAddr(o.text)
		o.address = o.address.Unmap()
	case booleans:
		_, err = parseBool(o.text)
	case bytes:
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(o.text)
		o.text = string(raw)
	}
	return err == nil
}

func (c *condition) compare(x *call, v *value, o *operand) truth {
	if v.template != nil {
		return c.compareTemplate(x, v, o)
	}
	switch c.operator.comparison {
	case sameText, bytes:
		return truthOf(o.text == v.compiled)
	case sameTextAnyCase:
		return truthOf(strings.EqualFold(o.text, v.compiled))
	case likeText:
		return truthOf(v.glob.match(o.text))
	case likeARN:
		return c.compareARN(x, v.arn, o.text)
	case numbers:
		return truthOf(c.operator.order.holds(compareNumbers(o.number, v.number)))
	case dates:
		return truthOf(c.operator.order.holds(o.date.Compare(v.date)))
	case booleans:
		return truthOf(strings.EqualFold(o.text, "true") == v.flag)
	case addresses:
		return truthOf(v.prefix.Contains(o.address))
	}
	return unknown
}

func compareNumbers(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareARN compares with the parts of an ARN. What a pattern means that has not
// the six parts of one is nowhere said.
func (c *condition) compareARN(x *call, globs []glob, text string) truth {
	if globs == nil {
		x.miss(c.key.shown, c.name+" compares it with a text that is no ARN, and the vendor does not say what that means")
		return unknown
	}
	return truthOf(matchARN(globs, text))
}

// compareTemplate compares with a value that has variables. "There is no equal or
// like value" to one without a value, which is why inverted operators "do match"
// ("Policy variables with no value").
func (c *condition) compareTemplate(x *call, v *value, o *operand) truth {
	text, known := v.template.expand(x)
	if known == no {
		return no
	}
	var matches truth
	switch c.operator.comparison {
	case likeARN:
		matches = c.compareARN(x, arnGlobs(text), o.text)
	case sameTextAnyCase, booleans:
		text, folded := strings.ToLower(text), strings.ToLower(o.text)
		matches = truthOf(match(text, folded))
	default:
		matches = truthOf(match(text, o.text))
	}
	return min(known, matches)
}
