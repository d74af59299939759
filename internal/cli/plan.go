package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// planFlags are the flags of plan.
type planFlags struct {
	wanted
	route                        Route
	sourceContext, targetContext string
	apps                         int
	format                       format
}

func (s *session) plan() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan [NAME]",
		Short: "Say what a migration would find, without changing anything",
		Long: `Takes the inventory of the source and looks through the gates of Preflight, and
changes nothing. What is planned is a migration in the hub (NAME), one in a manifest
(-f FILE), one from --source to --target, or, without any hub, one between two
contexts of the kubeconfig.

The exit code is 1 if a gate has not passed: see crossfade help exit-codes.`,
		Example: `  crossfade plan --source-context east --target-context west
  crossfade plan -f migration.yaml --apps -1
  crossfade plan shop -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames,
	}
	f.register(cmd)
	f.route.register(cmd)
	cmd.Flags().StringVar(&f.sourceContext, "source-context", "", "Context of the kubeconfig that leads to the source, instead of the hub's Cluster")
	cmd.Flags().StringVar(&f.targetContext, "target-context", "", "Context of the kubeconfig that leads to the target, instead of the hub's Cluster")
	cmd.Flags().IntVar(&f.apps, "apps", 10, "How many apps and decisions to show, the worst first; -1 shows all")
	outputFlag(cmd, &f.format, asJSON, asYAML, asWide)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkContexts(f.sourceContext, f.targetContext); err != nil {
			return err
		}
		m, err := s.planned(cmd.Context(), &f, args)
		if err != nil {
			return err
		}
		p, err := s.commands.Plan(cmd.Context(), PlanOptions{
			Hub: s.hub(), Route: f.route, Migration: m, SourceContext: f.sourceContext, TargetContext: f.targetContext,
		})
		if err != nil {
			return err
		}
		return s.showPlan(p, f)
	}
	return cmd
}

// checkContexts refuses half a pair, and a pair that is one.
func checkContexts(source, target string) error {
	if (source == "") != (target == "") {
		return fmt.Errorf("--source-context %q, --target-context %q: want both or neither", source, target)
	}
	if source != "" && source == target {
		return fmt.Errorf("--target-context %q: a cluster cannot be its own target", target)
	}
	return nil
}

// planned is the migration that is to be planned.
func (s *session) planned(ctx context.Context, f *planFlags, args []string) (*v1.Migration, error) {
	d, err := f.migration(s, args)
	if d.Migration != nil || err != nil {
		return d.Migration, err
	}
	if f.sourceContext != "" && len(args) == 0 {
		return &v1.Migration{
			ObjectMeta: metav1.ObjectMeta{Name: "plan", Namespace: s.hub().Namespace},
			Spec:       v1.MigrationSpec{Source: f.sourceContext, Target: f.targetContext},
		}, nil
	}
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	return s.pick(ctx, c, cmp.Or(append(args, "")...))
}

func (s *session) showPlan(p view.Plan, f planFlags) error {
	var err error
	if f.format.drawn() {
		err = s.out(view.PlanText(p, s.look(), f.apps, f.format == asWide))
	} else {
		err = s.printData(p, f.format)
	}
	switch {
	case err != nil:
		return err
	case !p.Passes():
		return ended(codeNo)
	default:
		return nil
	}
}

// register gives a command the flags that say how addresses are reached.
func (r *Route) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&r.Translate, "translate", nil,
		"Reach the addresses of a network elsewhere, as 10.0.0.0/8=127.0.0.0/8 (may be repeated)")
	cmd.Flags().StringArrayVar(&r.MapPorts, "map-ports", nil,
		"Map ports of translated addresses, as 1-1023=+10000 (may be repeated)")
}
