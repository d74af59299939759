package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
)

func (s *session) resume() *cobra.Command {
	var w stepping
	cmd := &cobra.Command{
		Use:   "resume [NAME]",
		Short: "Let a migration that is on hold go on",
		Long: `Lets a migration that is on hold go on, in the direction that it has. To turn a
rollback forward again, use crossfade run.`,
		Example:           "  crossfade resume shop",
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	w.register(s, cmd)
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		m, err := s.pick(ctx, c, nameIn(args))
		if err != nil {
			return err
		}
		return w.alter(ctx, s, c, m, func(m *v1.Migration) error {
			if m.Spec.Hold == nil {
				return errUnchanged
			}
			m.Spec.Hold = nil
			return nil
		}, "goes on", "is not on hold")
	})
	return cmd
}
