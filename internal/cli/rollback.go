package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	v1 "crossfade.dev/api/v1alpha1"
)

// backStages are the stages that may stay in force after a rollback.
var backStages = append([]v1.Stage{v1.Nothing}, v1.Stages[:len(v1.Stages)-1]...)

func (s *session) rollback() *cobra.Command {
	var w writing
	var wait waiting
	var to string
	cmd := &cobra.Command{
		Use:   "rollback [NAME]",
		Short: "Lead a migration back",
		Long: `Leads a migration back, stage by stage, to where the estate is served by the source
again. --to names the last stage that stays in force: Prepare keeps the mirror and
the bridge, so that the way forward is short; Nothing undoes everything.

It is safe at any time before crossfade retire, and keeps what teams have changed
meanwhile. crossfade status says what it costs. crossfade run leads forward again.`,
		Example:           "  crossfade rollback shop --wait\n  crossfade rollback shop --to Nothing",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames,
	}
	w.register(cmd)
	wait.register(cmd, "Wait until the way back has ended")
	cmd.Flags().StringVar(&to, "to", string(v1.Prepare), "Last stage that stays in force, or Nothing")
	complete(cmd, "to", words(backStages))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := wait.check(cmd); err != nil {
			return err
		}
		stage, err := stageNamed("--to", to, backStages)
		if err != nil {
			return err
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		m, err := s.pick(cmd.Context(), c, cmp.Or(append(args, "")...))
		if err != nil {
			return err
		}
		if err := s.turnBack(cmd.Context(), c, m, stage, w); err != nil || !wait.wait || w.dry != dryNone {
			return err
		}
		return s.follow(cmd.Context(), c, m, wait, backCode)
	}
	return cmd
}

func (s *session) turnBack(ctx context.Context, c HubClient, m *v1.Migration, to v1.Stage, w writing) error {
	changed, err := s.change(ctx, c, m, w.dry, func(m *v1.Migration) error {
		switch {
		case m.Spec.Retire != nil || meta.IsStatusConditionTrue(m.Status.Conditions, v1.Retired):
			return no(fmt.Errorf("migration %s: there is no way back: the source was let go of", m.Name))
		case m.Spec.Direction == v1.Back && m.Spec.BackTo == to:
			return errUnchanged
		}
		m.Spec.Direction, m.Spec.BackTo = v1.Back, to
		return nil
	})
	if err != nil {
		return err
	}
	if changed {
		s.say("migration %s: goes back to %s%s", m.Name, to, w.tense())
	} else {
		s.say("migration %s: goes back to %s already", m.Name, to)
	}
	if at := slices.Index(v1.Stages, m.Status.Stage); changed && at >= 0 && at <= slices.Index(v1.Stages, to) {
		s.say("nothing is to be undone: it has not come further than %s", m.Status.Stage)
	}
	return w.print(s, m)
}
