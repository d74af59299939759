package policy

import (
	"errors"
	"strings"
)

// A resource is one entry of a Resource or NotResource element.
type resource struct {
	text string // as written
	all  bool   // "*"
	glob glob
	// template is set instead of glob if the entry has variables.
	template *template
	// outline is the compiled pattern with anyText for variables, whole and, if it
	// has the six parts of an ARN, in parts.
	outline string
	parts   []string
	service string // the third part, if it is there and has no wildcard
}

// parts of an ARN before its resource, which are separated by colons.
const partsBefore = 5

var (
	errNotARN        = errors.New("* or an ARN, for example arn:aws:s3:::name/*")
	errVariableEarly = errors.New("variables only in the last part of an ARN, after the fifth colon")
)

// compileResource compiles one entry. The first five parts of an ARN match one by
// one, except that a * that ends a part "can expand to match beyond the colon
// boundaries"; in the last part * and ? match anything (IAM User Guide, "IAM JSON
// policy elements: Resource").
func compileResource(text string) (resource, error) {
	r := resource{text: text}
	if text != "" && strings.Trim(text, "*") == "" {
		r.all = true
		return r, nil
	}
	if !strings.HasPrefix(text, "arn:") && !strings.HasPrefix(text, "arn*") {
		return r, errNotARN
	}
	if v := strings.Index(text, "${"); v >= 0 && strings.Count(text[:v], ":") < partsBefore {
		return r, errVariableEarly
	}
	colons := 0
	compiled, t, err := parseTemplate(text, func(chunk string) string { return compileARNText(chunk, &colons) })
	if err != nil {
		return r, err
	}
	r.template, r.outline = t, compiled
	if t == nil {
		r.glob = newGlob(compiled)
	} else {
		r.outline = t.outline()
	}
	if strings.Count(r.outline, ":") >= partsBefore {
		r.parts = strings.SplitN(r.outline, ":", partsBefore+1)
		if !strings.ContainsAny(r.parts[2], reserved) {
			r.service = r.parts[2]
		}
	}
	return r, nil
}

// compileARNText compiles the wildcards of a piece of an ARN pattern; colons counts
// those seen so far.
func compileARNText(chunk string, colons *int) string {
	out := []byte(chunk)
	for i, c := range out {
		last := i+1 == len(out) || out[i+1] == ':'
		switch {
		case c == ':':
			*colons++
		case c == '*' && (last || *colons >= partsBefore):
			out[i] = anyText
		case c == '*':
			out[i] = withinText
		case c == '?' && *colons >= partsBefore:
			out[i] = anyOne
		case c == '?':
			out[i] = withinOne
		}
	}
	return string(out)
}

// outline returns the template's text with anyText for each variable.
func (t *template) outline() string {
	var out strings.Builder
	for i := range t.parts {
		if t.parts[i].variable {
			out.WriteByte(anyText)
		}
		out.WriteString(t.parts[i].text)
	}
	return out.String()
}

// matchResource reports whether the statement is about the resource of a call.
func (s *Statement) matchResource(x *call) truth {
	found := no
	mark := x.mark()
	for i := range s.resources {
		if found = max(found, s.resources[i].match(x)); found == yes {
			break
		}
	}
	if found != unknown {
		x.reset(mark)
	}
	if s.notIn {
		return found.not()
	}
	return found
}

// match reports whether the entry matches the resource of a call. With a variable
// that has no value it "will not match any resource", in NotResource too ("Policy
// variables with no value").
func (r *resource) match(x *call) truth {
	switch {
	case r.all:
		return yes
	case x.resource == "":
		return r.meets(x)
	case r.template == nil:
		return truthOf(r.glob.match(x.resource))
	}
	text, known := r.template.expand(x)
	if known == no {
		return no
	}
	return min(known, truthOf(match(text, x.resource)))
}

// meets reports whether the entry matches a resource that the request does not
// name: yes if it matches every resource that the action can be about, no if it
// matches none of them.
func (r *resource) meets(x *call) truth {
	if x.met == nil {
		return r.meet(x)
	}
	found, known := x.met[r]
	if !known {
		found = r.meet(x)
		x.met[r] = found
	}
	return found
}

func (r *resource) meet(x *call) truth {
	a := x.catalogued
	if a == nil {
		x.miss("Resource", "the request names none, and the action is not in the catalogue")
		return unknown
	}
	if len(a.Formats) == 0 { // the vendor then compares with "*"
		return no
	}
	every, some := !a.Optional && r.template == nil, false
	for _, format := range a.Formats {
		if r.service != "" && isOfAnother(format, r.service) {
			every = false
			continue
		}
		covers, overlaps := r.compare(x.formatText(format))
		every, some = every && covers, some || overlaps
	}
	switch {
	case every:
		return yes
	case !some:
		return no
	}
	x.miss("Resource", "the request names none")
	return unknown
}

// isOfAnother reports whether an ARN format names another service.
func isOfAnother(format, service string) bool {
	for range 2 {
		_, rest, ok := strings.Cut(format, ":")
		if !ok {
			return false
		}
		format = rest
	}
	named, _, ok := strings.Cut(format, ":")
	return ok && named != service && !strings.ContainsAny(named, "$*")
}

// compare reports whether the entry covers every ARN of a format, and whether it
// overlaps any. text has anyText where the format leaves something open. Parts are
// compared one by one: a resource's own name is taken not to spell out the parts of
// another ARN.
func (r *resource) compare(text string) (covers, overlaps bool) {
	covers = match(r.outline, text)
	if covers || r.parts == nil {
		return covers, covers || meets(r.outline, text)
	}
	parts := strings.SplitN(text, ":", partsBefore+1)
	if len(parts) <= partsBefore {
		return false, meets(r.outline, text)
	}
	for i, part := range r.parts {
		if !meets(part, parts[i]) {
			return false, false
		}
	}
	return false, true
}

// formatText returns an ARN format with anyText for its placeholders, but for the
// partition, and the account that owns the resource if that is known.
func (x *call) formatText(format string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(format, "${")
		out.WriteString(strings.ReplaceAll(before, "*", string(anyText)))
		if !ok {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		switch account := x.ownerID[0]; {
		case name == "Partition":
			out.WriteString(x.state.partition())
		case (name == "Account" || name == "AccountId") && account != "":
			out.WriteString(account)
		default:
			out.WriteByte(anyText)
		}
		format = after
	}
}
