package view

import (
	"bytes"
	_ "embed" // page.html
	"fmt"
	"html/template"
	"time"

	"crossfade.dev/internal/plan/finding"
)

//go:embed page.html
var planPage string

// mostListed is how many objects of one finding the page lists.
const mostListed = 50

var planTemplate = template.Must(template.New("plan").Funcs(template.FuncMap{
	"count": func(p Plan, s finding.Severity) int {
		n := 0
		for _, f := range p.Findings {
			if f.Severity == s {
				n += len(f.Objects)
			}
		}
		return n
	},
	"took":  func(seconds int64) string { return Duration(time.Duration(seconds) * time.Second) },
	"first": func(all []Object) []Object { return all[:min(len(all), mostListed)] },
	"more":  func(all []Object) int { return max(0, len(all)-mostListed) },
	"percent": func(n int) string {
		if n < 0 {
			return "unknown"
		}
		return fmt.Sprintf("%d %%", n)
	},
}).Parse(planPage))

// PlanPage is a plan as one HTML file that needs no other and prints well.
func PlanPage(p Plan) ([]byte, error) {
	var out bytes.Buffer
	if err := planTemplate.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("draw the page: %w", err)
	}
	return out.Bytes(), nil
}
