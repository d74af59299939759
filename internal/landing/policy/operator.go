package policy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A comparison is what a condition operator does with one value of the request and
// one of the policy.
type comparison uint8

const (
	sameText comparison = iota
	sameTextAnyCase
	likeText
	likeARN
	numbers
	dates
	booleans
	bytes
	addresses
	null
)

// An order is how numbers and dates must stand to each other.
type order uint8

const (
	equal order = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

func (o order) holds(compared int) bool {
	switch o {
	case less:
		return compared < 0
	case lessOrEqual:
		return compared <= 0
	case greater:
		return compared > 0
	case greaterOrEqual:
		return compared >= 0
	}
	return compared == 0
}

// An operator is a condition operator without its qualifiers.
type operator struct {
	comparison comparison
	order      order
	negated    bool
}

// operators are those of the IAM User Guide, "IAM JSON policy elements: Condition
// operators".
var operators = map[string]operator{
	"StringEquals":              {comparison: sameText},
	"StringNotEquals":           {comparison: sameText, negated: true},
	"StringEqualsIgnoreCase":    {comparison: sameTextAnyCase},
	"StringNotEqualsIgnoreCase": {comparison: sameTextAnyCase, negated: true},
	"StringLike":                {comparison: likeText},
	"StringNotLike":             {comparison: likeText, negated: true},
	"NumericEquals":             {comparison: numbers},
	"NumericNotEquals":          {comparison: numbers, negated: true},
	"NumericLessThan":           {comparison: numbers, order: less},
	"NumericLessThanEquals":     {comparison: numbers, order: lessOrEqual},
	"NumericGreaterThan":        {comparison: numbers, order: greater},
	"NumericGreaterThanEquals":  {comparison: numbers, order: greaterOrEqual},
	"DateEquals":                {comparison: dates},
	"DateNotEquals":             {comparison: dates, negated: true},
	"DateLessThan":              {comparison: dates, order: less},
	"DateLessThanEquals":        {comparison: dates, order: lessOrEqual},
	"DateGreaterThan":           {comparison: dates, order: greater},
	"DateGreaterThanEquals":     {comparison: dates, order: greaterOrEqual},
	"Bool":                      {comparison: booleans},
	"BinaryEquals":              {comparison: bytes},
	"IpAddress":                 {comparison: addresses},
	"NotIpAddress":              {comparison: addresses, negated: true},
	"ArnEquals":                 {comparison: likeARN},
	"ArnLike":                   {comparison: likeARN},
	"ArnNotEquals":              {comparison: likeARN, negated: true},
	"ArnNotLike":                {comparison: likeARN, negated: true},
	"Null":                      {comparison: null},
}

// A value is one value of a condition, compiled for its operator.
type value struct {
	text     string // as written
	compiled string // of sameText and sameTextAnyCase
	template *template
	glob     glob
	arn      []glob // six; nil if the text has not the six parts of an ARN
	number   float64
	date     time.Time
	flag     bool
	prefix   netip.Prefix
}

// compileValue compiles a value, or says what was expected.
func compileValue(c comparison, text string) (value, error) {
	v := value{text: text}
	var err error
	switch c {
	case sameText, sameTextAnyCase:
		v.compiled, v.template, err = parseTemplate(text, func(s string) string { return s })
	case likeText:
		err = v.compileTemplate(text, func(s string) string { return compileGlob(s).text })
	case likeARN:
		err = v.compileTemplate(text, func(s string) string {
			return strings.NewReplacer("*", string(anyText), "?", string(anyOne)).Replace(s)
		})
		if err == nil && v.template == nil {
			v.arn = arnGlobs(v.glob.text)
		}
	case numbers:
		v.number, err = parseNumber(text)
	case dates:
		v.date, err = parseDate(text)
	case booleans:
		if strings.Contains(text, "${") { // "You can use a policy variable with the Boolean condition operator"
			v.compiled, v.template, err = parseTemplate(text, func(s string) string { return s })
			break
		}
		v.flag, err = parseBool(text)
	case null:
		v.flag, err = parseBool(text)
	case bytes:
		var raw []byte
		if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			err = fmt.Errorf("base64")
		}
		v.compiled = string(raw)
	case addresses:
		v.prefix, err = parsePrefix(text)
	}
	return v, err
}

func (v *value) compileTemplate(text string, compile func(string) string) error {
	compiled, t, err := parseTemplate(text, compile)
	v.template, v.glob = t, newGlob(compiled)
	return err
}

// arnGlobs returns the globs of the six parts of an ARN pattern, or nil: "Each of
// the six colon-delimited components of the ARN is checked separately".
func arnGlobs(compiled string) []glob {
	parts := strings.SplitN(compiled, ":", partsBefore+1)
	if len(parts) <= partsBefore {
		return nil
	}
	globs := make([]glob, len(parts))
	for i, part := range parts {
		globs[i] = newGlob(part)
	}
	return globs
}

func matchARN(globs []glob, text string) bool {
	for i := range globs {
		part, rest, more := text, "", false
		if i < partsBefore {
			if part, rest, more = strings.Cut(text, ":"); !more {
				return false
			}
		}
		if !globs[i].match(part) {
			return false
		}
		text = rest
	}
	return true
}

func parseNumber(text string) (float64, error) {
	if strings.Trim(text, "0123456789.-+eE") != "" {
		return 0, fmt.Errorf("a number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("a number")
	}
	return n, nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("true or false")
}

// parsePrefix parses an address range; an address alone means only itself.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("an IP address or a range like 203.0.113.0/24")
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("an IP address or a range like 203.0.113.0/24")
	}
	return prefix.Masked(), nil
}

// dateLayouts are those of the W3C note on ISO 8601 that the vendor's page names.
var dateLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
}

// parseDate parses a date and time, or seconds since 1970. Four digits are a year.
func parseDate(text string) (time.Time, error) {
	if len(text) != 4 && text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > 1<<40 {
			return time.Time{}, fmt.Errorf("a date, or seconds since 1970")
		}
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("a date like 2026-01-31T00:00:00Z, or seconds since 1970")
}
