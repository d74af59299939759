package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
)

func (s *session) resume() *cobra.Command {
	var w writing
	cmd := &cobra.Command{
		Use:   "resume [NAME]",
		Short: "Let a migration that is on hold go on",
		Long: `Lets a migration that is on hold go on, in the direction that it has. To turn a
rollback forward again, use crossfade run.`,
		Example:           "  crossfade resume shop",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames,
	}
	w.register(cmd)
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		m, err := s.pick(ctx, c, nameIn(args))
		if err != nil {
			return err
		}
		changed, err := s.change(ctx, c, m, w.dry, func(m *v1.Migration) error {
			if m.Spec.Hold == nil {
				return errUnchanged
			}
			m.Spec.Hold = nil
			return nil
		})
		if err != nil {
			return err
		}
		if changed {
			s.say("migration %s: goes on%s", m.Name, w.tense())
		} else {
			s.say("migration %s: is not on hold", m.Name)
		}
		return w.print(s, m)
	})
	return cmd
}
