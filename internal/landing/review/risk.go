package review

import (
	"slices"

	landing "crossfade.dev/api/landing/v1alpha1"
)

// An Assessment is the risk of every question of a review, today or at a milestone.
// A milestone is judged by the rules of the lens as it is today.
type Assessment struct {
	Review string `json:"review"`
	// Milestone is the name of the milestone and On its day, empty for today.
	Milestone string       `json:"milestone,omitempty"`
	On        landing.Day  `json:"on,omitempty"`
	Pillars   []PillarRisk `json:"pillars"`
}

// A PillarRisk is the risk of one pillar.
type PillarRisk struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Risk is the worst of its questions, in the order HIGH, UNKNOWN, UNANSWERED,
	// MEDIUM, NONE, NOT_APPLICABLE.
	Risk      Risk           `json:"risk"`
	Counts    map[Risk]int   `json:"counts"`
	Questions []QuestionRisk `json:"questions"`
}

// A QuestionRisk is the risk of one question.
type QuestionRisk struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Risk  Risk   `json:"risk"`
	// Rule is the condition that decided, empty if none did.
	Rule string `json:"rule,omitempty"`
	// Chosen are the choices made, and Open those of the lens that were not.
	Chosen []string `json:"chosen,omitempty"`
	Open   []Choice `json:"-"`
	Notes  string   `json:"notes,omitempty"`
}

// worst orders risks from the one to look at first.
var worst = []Risk{High, Unknown, Unanswered, Medium, None, NotApplicable}

// Assess returns the risks of today's answers. Without a lens there are no pillars.
func (r *Review) Assess() Assessment {
	return r.assess(Assessment{Review: r.Name}, r.Spec.Answers)
}

// AssessMilestones returns the risks at each milestone, in order of their days.
func (r *Review) AssessMilestones() []Assessment {
	var all []Assessment
	for _, m := range r.Spec.Milestones {
		all = append(all, r.assess(Assessment{Review: r.Name, Milestone: m.Name, On: m.On}, m.Answers))
	}
	slices.SortStableFunc(all, func(a, b Assessment) int { return a.On.Start().Compare(b.On.Start()) })
	return all
}

func (r *Review) assess(a Assessment, answers []landing.Answer) Assessment {
	if r.Lens == nil {
		return a
	}
	for _, pillar := range r.Lens.Pillars {
		out := PillarRisk{ID: pillar.ID, Name: pillar.Name, Risk: NotApplicable, Counts: map[Risk]int{}}
		for _, q := range pillar.Questions {
			risk := q.assess(answers)
			if r.Broken {
				risk.Risk, risk.Rule = Unknown, ""
			}
			out.Counts[risk.Risk]++
			if slices.Index(worst, risk.Risk) < slices.Index(worst, out.Risk) {
				out.Risk = risk.Risk
			}
			out.Questions = append(out.Questions, risk)
		}
		a.Pillars = append(a.Pillars, out)
	}
	return a
}

func (q *Question) assess(answers []landing.Answer) QuestionRisk {
	out := QuestionRisk{ID: q.ID, Title: q.Title, Risk: Unanswered, Open: q.Choices}
	i := slices.IndexFunc(answers, func(a landing.Answer) bool { return a.Question == q.ID })
	if i >= 0 {
		out.Chosen, out.Notes = answers[i].Choices, answers[i].Notes
		out.Open = slices.DeleteFunc(slices.Clone(q.Choices), func(c Choice) bool {
			return c.NoneOfThese || slices.Contains(out.Chosen, c.ID)
		})
	}
	switch {
	case q.Broken:
		out.Risk = Unknown
	case i < 0:
	case answers[i].NotApplicable != "":
		out.Risk = NotApplicable
	case len(out.Chosen) > 0:
		out.Risk, out.Rule = q.decide(out.Chosen)
	}
	return out
}

// Risks returns every question's risk by its id.
func (a Assessment) Risks() map[string]Risk {
	risks := map[string]Risk{}
	for _, p := range a.Pillars {
		for _, q := range p.Questions {
			risks[q.ID] = q.Risk
		}
	}
	return risks
}

// A Change is a question whose risk is not what it was.
type Change struct {
	Pillar   string `json:"pillar"`
	Question string `json:"question"`
	Title    string `json:"title"`
	Before   Risk   `json:"before"`
	After    Risk   `json:"after"`
	// Worse holds when After comes before Before in the order of PillarRisk.Risk.
	Worse bool `json:"worse"`
}

// Compare returns what changed between two assessments of the same lens, in order
// of the lens. A question that only one of them knows is Unanswered in the other.
func Compare(before, after Assessment) []Change {
	var changes []Change
	old, now := before.Risks(), after.Risks()
	add := func(pillar string, q QuestionRisk) {
		c := Change{Pillar: pillar, Question: q.ID, Title: q.Title, Before: Unanswered, After: Unanswered}
		if risk, ok := old[q.ID]; ok {
			c.Before = risk
		}
		if risk, ok := now[q.ID]; ok {
			c.After = risk
		}
		c.Worse = slices.Index(worst, c.After) < slices.Index(worst, c.Before)
		if c.Before != c.After {
			changes = append(changes, c)
		}
	}
	for _, p := range after.Pillars {
		for _, q := range p.Questions {
			add(p.ID, q)
		}
	}
	for _, p := range before.Pillars {
		for _, q := range p.Questions {
			if _, ok := now[q.ID]; !ok {
				add(p.ID, q)
			}
		}
	}
	return changes
}
