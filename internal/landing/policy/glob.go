package policy

import (
	"strings"
	"unicode/utf8"
)

// Wildcards of compiled patterns. Policies and context values with these bytes are
// refused, so that they cannot stand for themselves.
const (
	anyText    = '\x00' // any text, colons included
	anyOne     = '\x01' // any one character
	withinText = '\x02' // any text without a colon
	withinOne  = '\x03' // any one character but a colon
)

// reserved are the bytes that stand for wildcards.
const reserved = "\x00\x01\x02\x03"

// A glob is a compiled pattern.
type glob struct {
	text string
	wild bool
	// prefix is the pattern before a final anyText, if that is its only wildcard.
	prefix string
	starts bool
}

// compileGlob compiles a pattern whose * and ? match any character.
func compileGlob(pattern string) glob {
	return newGlob(strings.NewReplacer("*", string(anyText), "?", string(anyOne)).Replace(pattern))
}

// newGlob returns the glob of a text that holds compiled wildcards.
func newGlob(text string) glob {
	g := glob{text: text, wild: strings.ContainsAny(text, reserved)}
	if n := len(text) - 1; g.wild && text[n] == anyText && !strings.ContainsAny(text[:n], reserved) {
		g.prefix, g.starts = text[:n], true
	}
	return g
}

func (g *glob) match(text string) bool {
	switch {
	case !g.wild:
		return g.text == text
	case g.starts:
		return strings.HasPrefix(text, g.prefix)
	}
	return match(g.text, text)
}

// match reports whether text, which may itself hold anyText as a placeholder for
// what is not known, matches all of pattern whatever the placeholders stand for.
//
// It goes forward greedily with two points to return to: the last anyText, and the
// last withinText after it. That suffices: what stands between two wildcards of one
// kind is best matched as early as possible, and a withinText cannot pass the colon
// that ends its part.
func match(pattern, text string) bool {
	p, t := 0, 0
	anyP, anyT, withinP, withinT := -1, 0, -1, 0
	for {
		if p < len(pattern) {
			switch c := pattern[p]; c {
			case anyText:
				anyP, anyT, withinP = p, t, -1
				p++
				continue
			case withinText:
				withinP, withinT = p, t
				p++
				continue
			case anyOne, withinOne:
				if n := one(c, text[t:]); n > 0 {
					p, t = p+1, t+n
					continue
				}
			default:
				if t < len(text) && text[t] == c {
					p, t = p+1, t+1
					continue
				}
			}
		} else if t == len(text) {
			return true
		}
		switch {
		case withinP >= 0 && withinT < len(text) && text[withinT] != ':':
			withinT++
			p, t = withinP+1, withinT
		case anyP >= 0 && anyT < len(text):
			anyT++
			p, t, withinP = anyP+1, anyT, -1
		default:
			return false
		}
	}
}

// one returns the length of the first character of text if the wildcard c may
// stand for it, and 0 otherwise.
func one(c byte, text string) int {
	if text == "" || text[0] == anyText || c == withinOne && text[0] == ':' {
		return 0
	}
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// meets reports whether some text matches both pattern and format. Both may hold
// wildcards; parts are not told apart, so it may say yes where there is none.
func meets(pattern, format string) bool {
	// reach[j] holds whether the pattern so far and format[:j] can be the same text.
	reach := make([]bool, len(format)+1)
	reach[0] = true
	for j := 0; j < len(format) && format[j] == anyText; j++ {
		reach[j+1] = true
	}
	for i := range len(pattern) {
		c := pattern[i]
		star, single := c == anyText || c == withinText, c == anyOne || c == withinOne
		before := reach[0] // reach[j-1] of the pattern without c
		reach[0] = reach[0] && star
		for j := 1; j <= len(format); j++ {
			f := format[j-1]
			without := reach[j]
			switch {
			case star:
				reach[j] = without || reach[j-1]
			case f == anyText:
				reach[j] = without || before || reach[j-1]
			default:
				reach[j] = before && (single || c == f || f == anyOne)
			}
			before = without
		}
	}
	return reach[len(format)]
}
