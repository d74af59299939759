package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
)

// planned are the flags by which a run is bound to a plan that was saved.
type planned struct {
	file string
}

func (p *planned) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.file, "plan", "", "Refuse unless the source still is as crossfade plan --save wrote it to this file")
}

// mostDifferences is how many differences a refusal lists.
const mostDifferences = 20

// check refuses a run whose source is no longer as it was planned.
func (p *planned) check(ctx context.Context, s *session, c HubClient, m *v1.Migration, args []string, route Route) error {
	if p.file == "" {
		return nil
	}
	if s.commands.Pinned == nil {
		return errors.New("--plan: this program cannot read clusters")
	}
	if m == nil {
		var err error
		if m, err = s.pick(ctx, c, nameIn(args)); err != nil {
			return err
		}
	}
	differences, err := s.commands.Pinned(ctx, p.file, PlanOptions{Hub: s.hub(), Route: route, Migration: m})
	if err != nil {
		return err
	}
	for i, d := range differences {
		if i == mostDifferences {
			s.say("and %d more", len(differences)-i)
			break
		}
		s.say("%s", d)
	}
	if len(differences) > 0 {
		return no(fmt.Errorf("--plan %q: %s differs from what was planned in %d objects; plan again", p.file, m.Spec.Source, len(differences)))
	}
	return nil
}
