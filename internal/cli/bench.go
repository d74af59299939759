package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

var benchParts = []string{"demo", "mirror", "plan", "landing"}

func (s *session) bench() *cobra.Command {
	var o BenchOptions
	cmd := &cobra.Command{
		Use:   "bench [demo|mirror|plan|landing]",
		Short: "Measure, and print a line for each figure",
		Long: `Measures all parts, or one, and prints a line "name value unit" for each figure.
A figure that another is compared with has the same name and a suffix, such as -peer.`,
		Example:   "  crossfade bench --out bench.json\n  crossfade bench mirror",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: benchParts,
	}
	cmd.Flags().StringVar(&o.Out, "out", "", "File for the figures as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if o.Part = args[0]; !slices.Contains(benchParts, o.Part) {
				return fmt.Errorf("PART %q: want %s", o.Part, either(benchParts))
			}
		}
		return s.commands.Bench(cmd.Context(), s.streams(), o)
	}
	return cmd
}
