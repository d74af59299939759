package cli

import "github.com/spf13/cobra"

// followAlone is what a benchmark of the mirror starts: the mirror alone, in a process of
// its own that can be measured, and killed, from outside.
func (s *session) followAlone() *cobra.Command {
	var o FollowOptions
	cmd := &cobra.Command{
		Use:    "follow --hub FILE --source FILE --target FILE --namespace NAMESPACE --migration NAME",
		Short:  "Let the mirror of a migration follow, without the engine",
		Hidden: true,
		Args:   atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.commands.Follow(cmd.Context(), s.streams(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Hub, "hub", "", "Kubeconfig of the hub")
	f.StringVar(&o.Source, "source", "", "Kubeconfig of the source")
	f.StringVar(&o.Target, "target", "", "Kubeconfig of the target")
	f.StringVar(&o.Namespace, "namespace", "", "Namespace of the migration in the hub")
	f.StringVar(&o.Migration, "migration", "", "Name of the migration")
	f.IntVar(&o.Workers, "workers", 16, "How many writes may be under way at once")
	for _, name := range []string{"hub", "source", "target", "namespace", "migration"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}
