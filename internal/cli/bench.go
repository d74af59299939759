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
A figure that another is compared with has the same name and a suffix: -bare for the
least that could do the work, -peer for another program. What was measured is printed
and kept whatever was wrong with it; then the exit code is 1. The part demo takes
about five minutes for each demo: one forward, one back, one for each seed of chaos
and one for each estate.`,
		Example:   "  crossfade bench --out bench.json\n  crossfade bench demo --seeds 1\n  crossfade bench mirror",
		Args:      atMost(1),
		ValidArgs: benchParts,
	}
	cmd.Flags().StringVar(&o.Out, "out", "", "File for the figures as JSON")
	cmd.Flags().IntVar(&o.Seeds, "seeds", 10, "How many demos to run under chaos, with the seeds 1, 2 and so on")
	cmd.Flags().StringVar(&o.Estates, "estates", "", "Folder that holds folders of manifests, to run a demo with each")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if o.Part = args[0]; !slices.Contains(benchParts, o.Part) {
				return fmt.Errorf("PART %q: want %s", o.Part, either(benchParts))
			}
		}
		if o.Seeds < 0 {
			return fmt.Errorf("--seeds %d: want 0 or more", o.Seeds)
		}
		return s.commands.Bench(cmd.Context(), s.streams(), o)
	}
	return cmd
}
