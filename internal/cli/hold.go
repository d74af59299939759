package cli

import (
	"context"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
)

func (s *session) hold() *cobra.Command {
	var w writing
	var by, reason string
	cmd := &cobra.Command{
		Use:   "hold [NAME]",
		Short: "Let no new step of a migration begin",
		Long: `Puts a migration on hold: no new step begins until crossfade resume. Mirror and
bridge go on, so nothing falls behind. A rollback is not held.`,
		Example:           `  crossfade hold shop --reason "the broker is slow"`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	w.register(cmd)
	cmd.Flags().StringVar(&by, "by", "", "Who holds it (who the hub says that you are, if empty)")
	cmd.Flags().StringVar(&reason, "reason", "", "Why, for those who wonder")
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		m, err := s.pick(ctx, c, nameIn(args))
		if err != nil {
			return err
		}
		by, err := s.whoever(ctx, c, by)
		if err != nil {
			return err
		}
		want := v1.Hold{By: by, Reason: reason}
		return w.alter(ctx, s, c, m, func(m *v1.Migration) error {
			if m.Spec.Hold != nil && *m.Spec.Hold == want {
				return errUnchanged
			}
			m.Spec.Hold = &want
			return nil
		}, "on hold by "+by, "on hold already")
	})
	return cmd
}
