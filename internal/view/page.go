package view

import (
	"bytes"
	_ "embed" // page.html
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/plan/finding"
)

//go:embed page.html
var planPage string

// A page on paper is read once, so of each finding it names few objects; on a screen
// the others are one click away, up to mostListed.
const (
	mostNamed  = 12
	mostListed = 2000
)

var planTemplate = template.Must(template.New("plan").Funcs(template.FuncMap{
	"took":     func(seconds int64) string { return Duration(time.Duration(seconds) * time.Second) },
	"grouped":  func(n int) string { return grouped(int64(n)) },
	"pods":     func(n int32) string { return Count(int(n), "pod") },
	"quantity": quantity,
	"occasion": occasion,
	"lacks":    func(r plan.Room) string { return lacksText(r.Fit) },
	"percent": func(n int) string {
		if n < 0 {
			return "unknown"
		}
		return fmt.Sprintf("%d %%", n)
	},
	"sentence": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
}).Parse(planPage))

// PlanPage is a plan as one HTML file that needs no other and prints well.
func PlanPage(p Plan) ([]byte, error) {
	var out bytes.Buffer
	if err := planTemplate.Execute(&out, pageOf(p)); err != nil {
		return nil, fmt.Errorf("draw the page: %w", err)
	}
	return out.Bytes(), nil
}

// page is a plan as its page has it.
type page struct {
	Plan
	Verdict            string // good, held or bad
	Said               string
	Blocking, Warnings int
	Notes              int
	Gates              []Gate
	Groups             []pageFinding
	Decide             []pageWorkload
	Odd                []pageWorkload
	Plain              []pageNamespace
	PlainCount         int
}

type pageFinding struct {
	Finding
	Seen []pageSeen
	More int // objects beyond mostListed
}

// pageSeen is one observation, with the objects of which it was made.
type pageSeen struct {
	Observed    string
	First, Rest []string
}

type pageWorkload struct {
	App, Workload, Tenant, Decide string
	Traits                        []v1.TraitEvidence
}

// pageNamespace are the workloads of a namespace that only serve.
type pageNamespace struct {
	Namespace string
	Names     []string
}

func pageOf(p Plan) page {
	out := page{Plan: p, Verdict: "good", Said: "nothing stands in the way", Gates: gatesOf(p.Gates)}
	if why := p.standsInTheWay(); why != "" {
		out.Verdict, out.Said = "held", why
		if p.blocked() {
			out.Verdict = "bad"
		}
	}
	for _, f := range p.Findings {
		*map[finding.Severity]*int{finding.Blocks: &out.Blocking, finding.Warns: &out.Warnings, finding.Notes: &out.Notes}[f.Severity] += len(f.Objects)
		out.Groups = append(out.Groups, seenOf(f))
	}
	for _, a := range p.Apps {
		for _, w := range a.Workloads {
			out.list(a, w)
		}
	}
	return out
}

// list puts a workload where it belongs: those that need a decision, those that are
// more than serving, and those that only serve and move.
func (p *page) list(a plan.App, w plan.Workload) {
	row := pageWorkload{App: a.Namespace + "/" + a.Name, Workload: w.Kind + " " + w.Name, Tenant: w.Tenant, Decide: string(w.Decide), Traits: w.Traits}
	plain := len(w.Traits) == 1 && w.Traits[0].Trait == v1.Serving && w.Kind == "Deployment"
	switch {
	case w.Decide == v1.Undecided:
		p.Decide = append(p.Decide, row)
	case !plain || w.Decide != v1.DecideMove:
		p.Odd = append(p.Odd, row)
	default:
		p.PlainCount++
		i := slices.IndexFunc(p.Plain, func(n pageNamespace) bool { return n.Namespace == w.Namespace })
		if i < 0 {
			i = len(p.Plain)
			p.Plain = append(p.Plain, pageNamespace{Namespace: w.Namespace})
		}
		p.Plain[i].Names = append(p.Plain[i].Names, w.Name)
	}
}

// seenOf gathers the objects of a finding by what was observed of them.
func seenOf(f Finding) pageFinding {
	out := pageFinding{Finding: f, More: max(0, len(f.Objects)-mostListed)}
	at := map[string]int{}
	for i, o := range f.Objects[:len(f.Objects)-out.More] {
		n, has := at[o.Observed]
		if !has {
			n = len(out.Seen)
			at[o.Observed] = n
			out.Seen = append(out.Seen, pageSeen{Observed: o.Observed})
		}
		if i < mostNamed {
			out.Seen[n].First = append(out.Seen[n].First, o.Name)
		} else {
			out.Seen[n].Rest = append(out.Seen[n].Rest, o.Name)
		}
	}
	return out
}

// Shown are the observations with objects that are always named, Hidden those with
// others, and Left how many objects these are.
func (f pageFinding) Shown() []pageSeen {
	return slices.DeleteFunc(slices.Clone(f.Seen), func(s pageSeen) bool { return len(s.First) == 0 })
}

// Hidden is described at Shown.
func (f pageFinding) Hidden() []pageSeen {
	return slices.DeleteFunc(slices.Clone(f.Seen), func(s pageSeen) bool { return len(s.Rest) == 0 })
}

// Left is described at Shown.
func (f pageFinding) Left() int {
	n := f.More
	for _, s := range f.Seen {
		n += len(s.Rest)
	}
	return n
}
