package policy

import (
	"fmt"
	"strings"
)

// A template is a text of a policy with variables in it (IAM User Guide, "IAM
// policy elements: Variables and tags").
type template struct {
	parts []templatePart
}

// A templatePart is compiled text, or a variable if it has a key.
type templatePart struct {
	text      string
	key       key
	variable  bool
	fallback  string
	fallsBack bool
}

// parseTemplate splits a text at its variables; compile is applied to what stands
// between them. It returns nil if there is none. ${*}, ${?} and ${$} are the
// characters themselves.
func parseTemplate(text string, compile func(string) string) (compiled string, t *template, err error) {
	var parts []templatePart
	var literal strings.Builder
	variables := 0
	for text != "" {
		start := strings.Index(text, "${")
		if start < 0 {
			literal.WriteString(compile(text))
			break
		}
		literal.WriteString(compile(text[:start]))
		end := strings.IndexByte(text[start:], '}')
		if end < 0 {
			return "", nil, fmt.Errorf("a } after ${")
		}
		inner := text[start+2 : start+end]
		text = text[start+end+1:]
		if inner == "*" || inner == "?" || inner == "$" {
			literal.WriteString(inner)
			continue
		}
		part, err := parseVariable(inner)
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, templatePart{text: literal.String()}, part)
		literal.Reset()
		variables++
	}
	if variables == 0 {
		return literal.String(), nil, nil
	}
	parts = append(parts, templatePart{text: literal.String()})
	return "", &template{parts: parts}, nil
}

// parseVariable parses what stands between ${ and }: a context key, and perhaps a
// comma, a space and a default in single quotes.
func parseVariable(inner string) (templatePart, error) {
	name, fallback, falls := strings.Cut(inner, ", ")
	part := templatePart{variable: true, key: newKey(name)}
	if part.key.name == "" || strings.ContainsAny(part.key.name, " ,'\"${}") {
		return part, fmt.Errorf("a context key, or one with a comma, a space and a default in single quotes, in ${%s}", inner)
	}
	if !falls {
		return part, nil
	}
	if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
		return part, fmt.Errorf("a default in single quotes in ${%s}", inner)
	}
	part.fallback, part.fallsBack = fallback[1:len(fallback)-1], true
	return part, nil
}

// expand puts the values of the request in the place of variables. The outcome is
// yes if all of them have one, no if one is known to have none, and unknown
// otherwise; then the text holds anyText where a value is not known.
func (t *template) expand(x *call) (string, truth) {
	var out strings.Builder
	outcome := yes
	for i := range t.parts {
		part := &t.parts[i]
		if !part.variable {
			out.WriteString(part.text)
			continue
		}
		values, known := x.values(&part.key)
		switch {
		case known == unknown:
			x.miss(part.key.shown, "a variable stands for it")
			outcome = unknown
			out.WriteByte(anyText)
		case known == yes && len(values) > 1:
			x.miss(part.key.shown, "it has several values, and a variable stands for it")
			outcome = unknown
			out.WriteByte(anyText)
		case known == yes && !strings.ContainsAny(values[0], reserved):
			out.WriteString(values[0])
		case known == no && part.fallsBack:
			out.WriteString(part.fallback)
		default:
			return "", no
		}
	}
	return out.String(), outcome
}

// keys calls yield with the key of each variable.
func (t *template) keys(yield func(*key)) {
	for i := range t.parts {
		if t.parts[i].variable {
			yield(&t.parts[i].key)
		}
	}
}
