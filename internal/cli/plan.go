package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

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
	from, targetFrom             string
	html, save                   string
	tenantLabels                 []string
	probe                        probeFlags
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
contexts of the kubeconfig, or of what files hold (--from): manifests, or what
kubectl get -A -o yaml or -o json printed.

What was not seen is unknown, and said so; it is never taken for clean.

The exit code is 1 if a gate has not passed or a finding blocks: see crossfade help exit-codes.`,
		Example: `  crossfade plan --source-context east --target-context west
  crossfade plan --from manifests/ --html plan.html
  crossfade plan --from source.json --target-from target.json -o sarif
  crossfade plan -f migration.yaml --apps -1
  crossfade plan shop -o json`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	f.register(cmd)
	f.route.register(cmd)
	cmd.Flags().StringVar(&f.sourceContext, "source-context", "", "Context of the kubeconfig that leads to the source, instead of the hub's Cluster")
	cmd.Flags().StringVar(&f.targetContext, "target-context", "", "Context of the kubeconfig that leads to the target, instead of the hub's Cluster")
	cmd.Flags().IntVar(&f.apps, "apps", 10, "How many apps and decisions to show, the worst first; -1 shows all")
	cmd.Flags().StringVar(&f.from, "from", "", "File or folder of manifests, or of a dump, that stands for the source")
	cmd.Flags().StringVar(&f.targetFrom, "target-from", "", "File or folder that stands for the target, with --from")
	cmd.Flags().StringVar(&f.html, "html", "", "File to write the plan to as one HTML page, besides")
	cmd.Flags().StringVar(&f.save, "save", "", "File in which the source's state is pinned, for crossfade run --plan")
	cmd.Flags().StringSliceVar(&f.tenantLabels, "tenant-label", nil, "Labels of namespaces that say who owns them, the first first (else one that ends in team, tenant, owner or squad)")
	f.probe.register(cmd)
	outputFlag(cmd, &f.format, asJSON, asYAML, asWide, asSARIF)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := cmp.Or(f.checkPlaces(), f.probe.check(f.from)); err != nil {
			return err
		}
		m, err := s.planned(cmd.Context(), &f, args)
		if err != nil {
			return err
		}
		p, err := s.commands.Plan(cmd.Context(), PlanOptions{
			Hub: s.hub(), Route: f.route, Migration: m, SourceContext: f.sourceContext, TargetContext: f.targetContext,
			From: f.from, TargetFrom: f.targetFrom, TenantLabels: f.tenantLabels, Save: f.save,
			ProbePods: f.probe.pods, ProbeImage: f.probe.image, SourceAddresses: f.probe.source, TargetAddresses: f.probe.target,
		})
		if err != nil {
			return s.lined(err)
		}
		p.Warnings = append(idleWaivers(m.Spec.Waivers, s.Now()), p.Warnings...)
		return s.showPlan(p, f)
	}
	return cmd
}

// checkPlaces refuses places that contradict each other.
func (f *planFlags) checkPlaces() error {
	switch {
	case f.html == "-":
		return errors.New(`--html "-": want the name of a file; the page is written besides what goes to stdout`)
	case f.save == "-":
		return errors.New(`--save "-": want the name of a file; what is pinned is written besides what goes to stdout`)
	case f.from == "" && f.targetFrom != "":
		return fmt.Errorf("--target-from %q: it needs --from", f.targetFrom)
	case f.from != "" && f.sourceContext != "":
		return fmt.Errorf("--from %q, --source-context %q: want one of them", f.from, f.sourceContext)
	case f.targetFrom != "" && f.targetContext != "":
		return fmt.Errorf("--target-from %q, --target-context %q: want one of them", f.targetFrom, f.targetContext)
	case f.from != "":
		return nil
	}
	return checkContexts(f.sourceContext, f.targetContext)
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
	if f.from != "" && len(args) == 0 {
		return &v1.Migration{
			ObjectMeta: metav1.ObjectMeta{Name: "plan", Namespace: s.hub().Namespace},
			Spec:       v1.MigrationSpec{Source: f.from, Target: cmp.Or(f.targetFrom, f.targetContext)},
		}, nil
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
	m, err := s.pick(ctx, c, nameIn(args))
	if unanswered := (*url.Error)(nil); errors.As(err, &unanswered) {
		s.say("a migration is read from the hub; --source-context with --target-context, or --from, needs none")
	}
	return m, err
}

// lined says each of several errors in a line of its own, and returns one that counts
// them.
func (s *session) lined(err error) error {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) || len(several.Unwrap()) < 2 {
		return err
	}
	for _, one := range several.Unwrap() {
		s.say("%s", one)
	}
	return errors.New("not everything could be read, and half of it is not planned: mend the places above")
}

func (s *session) showPlan(p view.Plan, f planFlags) error {
	var err error
	if f.html != "" {
		page, err := view.PlanPage(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.html, page, 0o644); err != nil {
			return fmt.Errorf("--html %q: %w", f.html, plainPathError(err))
		}
		s.say("plan written to %s", f.html)
	}
	if f.format == asSARIF {
		err = s.out(view.PlanSARIF(p, s.Version))
	} else if f.format.drawn() {
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
