package policy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference is the regular expression of a compiled pattern.
func reference(pattern string) *regexp.Regexp {
	var out strings.Builder
	out.WriteString(`^(?s:`)
	for _, c := range pattern {
		switch c {
		case anyText:
			out.WriteString(`.*`)
		case anyOne:
			out.WriteString(`.`)
		case withinText:
			out.WriteString(`[^:]*`)
		case withinOne:
			out.WriteString(`[^:]`)
		default:
			out.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	out.WriteString(`)$`)
	return regexp.MustCompile(out.String())
}

// Wildcards that do not cross colons stand before those that do, as in ARNs:
// patterns here mix them freely, and only keep ? apart from stars of another kind.
func TestMatchAgreesWithRegularExpressions(t *testing.T) {
	letter := rapid.SampledFrom([]rune("aab::é"))
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'a', 'b', ':', ':', 'é', anyText, withinText, withinOne}), 0, 12, -1).Draw(t, "pattern")
		text := rapid.StringOfN(letter, 0, 14, -1).Draw(t, "text")
		if got, want := match(pattern, text), reference(pattern).MatchString(text); got != want {
			t.Fatalf("match(%q, %q) is %v, want %v", pattern, text, got, want)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'a', 'b', ':', 'é', anyText, anyOne}), 0, 12, -1).Draw(t, "pattern")
		text := rapid.StringOfN(letter, 0, 14, -1).Draw(t, "text")
		g := newGlob(pattern)
		if got, want := g.match(text), reference(pattern).MatchString(text); got != want {
			t.Fatalf("%q matches %q is %v, want %v", pattern, text, got, want)
		}
	})
}

// What a format can become, by putting texts in its placeholders, matches: always
// when match says so of the format, and never when meets says no.
func TestFormatsBoundWhatMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', ':', anyText, anyOne, withinText, withinOne}), 0, 8, -1).Draw(t, "pattern")
		format := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', ':', anyText}), 0, 8, -1).Draw(t, "format")
		text := format
		for strings.Contains(text, string(anyText)) {
			text = strings.Replace(text, string(anyText), rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 3, -1).Draw(t, "placeholder"), 1)
		}
		matches := reference(pattern).MatchString(text)
		if match(pattern, format) && !matches {
			t.Fatalf("%q matches all of %q, but not %q", pattern, format, text)
		}
		if !meets(pattern, format) && matches {
			t.Fatalf("%q meets nothing of %q, but matches %q", pattern, format, text)
		}
	})
}
