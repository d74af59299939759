package review

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/source"
)

// The findings about reviews.
const (
	// HighRisk: the answers to a question mean a high risk. A failure.
	HighRisk = "LZ-REVIEW-001"
	// NotAnswered: a question was not answered. Unknown.
	NotAnswered = "LZ-REVIEW-002"
	// NotReadable: errors in the review, its lens or a file leave a risk open. Unknown.
	NotReadable = "LZ-REVIEW-003"
	// MediumRisk: the answers to a question mean a medium risk. A warning.
	MediumRisk = "LZ-REVIEW-004"
	// GotWorse: the risk of a question is worse than at the newest milestone. A
	// warning.
	GotWorse = "LZ-REVIEW-005"
)

// CheckReviews returns everything to know about the risks of reviews at a time,
// waived findings and warnings among them. finding.Blocking tells which must not pass:
// high risks and questions without an answer that no waiver covers at that time, and
// what could not be read.
func (r Records) CheckReviews(at time.Time) []finding.Finding {
	var all []finding.Finding
	for _, place := range r.Unread {
		all = append(all, unread(NotReadable, place))
	}
	for _, review := range r.Reviews {
		found := review.check(at)
		finding.Waive(found, review.Spec.Waivers, at)
		all = append(all, found...)
	}
	finding.Sort(all)
	return all
}

// unread is the finding about a file that could hold anything.
func unread(id string, place source.Place) finding.Finding {
	return finding.Finding{ID: id, Severity: finding.Unknown, Object: "file/" + place.File, Place: place,
		Observed: "a document of " + place.File + " cannot be read", Why: "it may hold what blocks", Fix: "mend what validate says of it"}
}

func (r *Review) check(at time.Time) []finding.Finding {
	about := func(id string, severity finding.Severity, question, observed, why, fix string) finding.Finding {
		return finding.Finding{ID: id, Severity: severity, Object: KindReview + "/" + r.Name, Part: question,
			Place: r.place(question), Observed: observed, Why: why, Fix: fix}
	}
	switch {
	case r.Broken:
		return []finding.Finding{about(NotReadable, finding.Unknown, "", "the review has errors", "an answer may not be what was meant", "mend what validate says of it")}
	case r.Lens == nil:
		return []finding.Finding{about(NotReadable, finding.Unknown, "", "the lens "+r.Spec.Lens+" cannot be read", "without its rules no risk is known", "mend what validate says of it")}
	}
	now := r.Assess()
	var found []finding.Finding
	for _, p := range now.Pillars {
		for _, q := range p.Questions {
			name := cmp.Or(q.Title, q.ID)
			switch q.Risk {
			case High:
				found = append(found, about(HighRisk, finding.Fail, q.ID, "high risk: "+name+": "+chosen(q), "the rule "+q.Rule+" makes it one", r.improve(q)))
			case Medium:
				found = append(found, about(MediumRisk, finding.Warning, q.ID, "medium risk: "+name+": "+chosen(q), "the rule "+q.Rule+" makes it one", r.improve(q)))
			case Unanswered:
				found = append(found, about(NotAnswered, finding.Unknown, q.ID, "not answered: "+name, "a risk that nobody looked at may be high", "answer it, or say with a reason that it does not apply"))
			case Unknown:
				found = append(found, about(NotReadable, finding.Unknown, q.ID, "the question "+q.ID+" of the lens "+r.Spec.Lens+" has errors", "without its rules its risk is not known", "mend what validate says of it"))
			}
		}
	}
	return append(found, r.worse(now, at)...)
}

// worse compares with the newest milestone that is not in the future.
func (r *Review) worse(now Assessment, at time.Time) []finding.Finding {
	var last *Assessment
	for _, m := range r.AssessMilestones() {
		if !m.On.Start().After(at) {
			last = &m
		}
	}
	if last == nil {
		return nil
	}
	var found []finding.Finding
	for _, c := range Compare(*last, now) {
		if c.Worse {
			found = append(found, finding.Finding{ID: GotWorse, Severity: finding.Warning, Object: KindReview + "/" + r.Name, Part: c.Question, Place: r.place(c.Question),
				Observed: fmt.Sprintf("%s: %s, and %s at the milestone %s of %s", cmp.Or(c.Title, c.Question), c.After, c.Before, last.Milestone, last.On),
				Why:      "what had been reached is lost", Fix: "see what was chosen then and is not now"})
		}
	}
	return found
}

// place is where a question is answered, or the answers stand.
func (r *Review) place(question string) source.Place {
	for i, a := range r.Spec.Answers {
		if question != "" && a.Question == question {
			return r.document.Place("spec", "answers", i)
		}
	}
	if question != "" {
		return r.document.Place("spec", "answers")
	}
	return r.Place
}

func chosen(q QuestionRisk) string { return "chosen: " + strings.Join(q.Chosen, ", ") }

// improve says what could be chosen, with the lens's own words for the first.
func (r *Review) improve(q QuestionRisk) string {
	var ids []string
	plan := ""
	for _, c := range q.Open {
		ids = append(ids, c.ID)
		if plan == "" && c.Plan != nil {
			plan = c.Plan.DisplayText
		}
	}
	if len(ids) == 0 {
		return "change what holds: no choice is left"
	}
	return "make more hold of " + strings.Join(ids, ", ") + ": " + strings.TrimSuffix(plan, ".")
}

// waiversOf returns what is wrong with the waivers of a review: those of a risk or
// an answer name the question, so that none covers more than was looked at.
func waiversOf(d *source.Document, waivers []landing.Waiver, lens *Lens) source.Findings {
	found := finding.CheckWaivers(d, "LZ-REVIEW-", waivers, "spec")
	for i, w := range waivers {
		n, path := d.Locate("spec", "waivers", i, "question")
		switch {
		case w.Question == "" && (w.Finding == HighRisk || w.Finding == NotAnswered):
			found.Add(d.File, n, path, "waiver/question", "expected the id of the question whose "+w.Finding+" is waived")
		case w.Question != "" && lens != nil && lens.Question(w.Question) == nil:
			found.Add(d.File, n, path, "waiver/question", "expected the id of a question of the lens")
		}
	}
	return found
}
