package cli

import (
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/review"
	"crossfade.dev/internal/view"
)

func (s *session) landingReview() *cobra.Command {
	var f landingFlags
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Say which risks are open, and which decisions may not be acted on yet",
		Long: `Judges the answers of every review by the risk rules of its lens, compares them with
the newest milestone, and looks through the decisions: a one-way door needs the
agreement of everybody it names, a two-way door a passing test of the way back.

The exit code is 1 if a high risk is open, a question has no answer, or a decision may
not be acted on, and no waiver covers it.`,
		Example: "  crossfade landing review -f examples/landing\n  crossfade landing review -o markdown > comment.md",
		Args:    noArgs,
	}
	f.register(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		zone, at, err := f.ask(s)
		if err != nil {
			return err
		}
		found := reviewed(zone.Records, at)
		return s.answer(f, found, view.ReviewsReport(f.folderTitle(), found, f.most(10)), blocked(found.Findings))
	}
	return cmd
}

// reviewed is what is known of reviews and decisions at a time.
func reviewed(r review.Records, at time.Time) view.Reviewed {
	v := view.Reviewed{At: at, Findings: append(r.CheckReviews(at), r.CheckDecisions(at)...)}
	for _, one := range r.Reviews {
		now := one.Assess()
		v.Reviews = append(v.Reviews, now)
		if milestones := one.AssessMilestones(); len(milestones) > 0 {
			last := milestones[len(milestones)-1]
			v.Since = append(v.Since, view.Progress{Review: one.Name, Milestone: last.Milestone, On: last.On, Changes: review.Compare(last, now)})
		}
	}
	for _, d := range r.Decisions {
		v.Decisions = append(v.Decisions, view.DecisionLine{Name: d.Name, Title: d.Spec.Title, Status: d.Spec.Status, Door: d.Spec.Door, Expires: d.Spec.Expires})
	}
	return v
}
