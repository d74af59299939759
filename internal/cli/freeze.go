package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

func (s *session) freeze() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "freeze",
		Short: "Lift a freeze by hand",
		Long: `A freeze refuses teams' changes in a cluster while a migration hands over. The
engine lifts it by itself; "crossfade freeze lift" is for when the engine or the hub
is gone.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.freezeLift())
	return cmd
}

func (s *session) freezeLift() *cobra.Command {
	var migration string
	var f format
	cmd := &cobra.Command{
		Use:   "lift --context CONTEXT",
		Short: "Let teams change a cluster again, without the hub",
		Long: `Removes the admission policies by which freezes refuse teams' changes in one
cluster. It needs that cluster alone, not the hub. While the engine runs it closes
the cluster again where the migration still needs it: hold or roll back first.`,
		Example: "  crossfade freeze lift --context east",
		Args:    atMost(0),
	}
	cmd.Flags().StringVar(&migration, "migration", "", "Lift the freeze of this migration only")
	outputFlag(cmd, &f, asJSON, asYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		hub := s.hub()
		if hub.Context == "" {
			return errors.New(`--context "": want the context of the cluster whose freeze is to be lifted`)
		}
		lifted, err := s.commands.LiftFreeze(cmd.Context(), LiftOptions{Kubeconfig: hub.Kubeconfig, Context: hub.Context, Migration: migration})
		if err != nil {
			return err
		}
		if len(lifted) == 0 {
			s.say("context %s: nothing is frozen", hub.Context)
		}
		return s.showLines(lifted, f)
	}
	return cmd
}

// showLines writes sentences, a line each or as a list.
func (s *session) showLines(lines []string, f format) error {
	if f != asText {
		return s.printData(append([]string{}, lines...), f)
	}
	for _, line := range lines {
		if err := s.out(line + "\n"); err != nil {
			return err
		}
	}
	return nil
}
