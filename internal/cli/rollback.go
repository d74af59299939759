package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	v1 "crossfade.dev/api/v1alpha1"
)

// backStages are the stages that may stay in force after a rollback.
var backStages = append([]v1.Stage{v1.Nothing}, v1.Stages[:len(v1.Stages)-1]...)

const rollbackHelp = `Leads a migration back, stage by stage, to where the estate is served by the source
again. --to names the last stage that stays in force: Prepare keeps the mirror and
the bridge, so that the way forward is short; Nothing undoes everything.

It is safe at any time before crossfade retire, and keeps what teams have changed
meanwhile. crossfade status says what it costs. crossfade run leads forward again.

If the hub is lost, --journal goes back without it, from the bucket that the migration
names in spec.journal: in this process, as whom the two contexts name, until the end.
Stop the controller first; from then on the journal no longer belongs to its hub.

If the target is lost too, --target-lost goes back without it: the source is scaled up
and ready before a name leads there, then the freeze is lifted. It is refused as long as
the target answers. Objects that stay in the target go to stdout; the same command
without --target-lost removes them, should the target come back. What teams wrote there
and the mirror had not carried over is lost.`

func (s *session) rollback() *cobra.Command {
	var w stepping
	var wait waiting
	var to string
	var j journalFlags
	cmd := &cobra.Command{
		Use:   "rollback [NAME]",
		Short: "Lead a migration back",
		Long:  rollbackHelp,
		Example: "  crossfade rollback shop --wait\n  crossfade rollback shop --to Nothing\n  crossfade rollback shop --dry-run=step\n" +
			"  crossfade rollback --journal file:///journal --source-context east --target-context west --key-file zone.key\n" +
			"  crossfade rollback --journal file:///journal --source-context east --target-context west --key-file zone.key --target-lost",
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	wait.register(cmd, "Wait until the way back has ended")
	cmd.Flags().StringVar(&to, "to", string(v1.Prepare), "Last stage that stays in force, or Nothing")
	complete(cmd, "to", words(backStages))
	if s.commands.RollbackByJournal != nil {
		j.register(cmd)
	}
	w.register(s, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := j.check(cmd, w.dry == dryStep); err != nil {
			return err
		}
		if j.Journal != "" {
			wait.wait = true
		}
		if err := wait.check(cmd); err != nil {
			return err
		}
		stage, err := stageNamed("--to", to, backStages)
		if err != nil {
			return err
		}
		if j.Journal != "" {
			if stage, err = j.stage(stage, cmd.Flags().Changed("to")); err != nil {
				return err
			}
			return s.backByJournal(cmd.Context(), nameIn(args), stage, j, wait.timeout)
		}
		w.route = j.Route
		c, err := s.connect()
		if err != nil {
			return err
		}
		m, err := s.pick(cmd.Context(), c, nameIn(args))
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

func (s *session) turnBack(ctx context.Context, c HubClient, m *v1.Migration, to v1.Stage, w stepping) error {
	changed, err := s.change(ctx, c, m, w.dry, func(m *v1.Migration) error {
		switch {
		case meta.IsStatusConditionTrue(m.Status.Conditions, v1.Retired):
			return no(fmt.Errorf("migration %s: there is no way back: the source was let go of", m.Name))
		case m.Spec.Direction == v1.Back && m.Spec.BackTo == to && m.Spec.Retire == nil:
			return errUnchanged
		}
		m.Spec.Direction, m.Spec.BackTo, m.Spec.Retire = v1.Back, to, nil
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
	return w.finish(ctx, s, m, backCode)
}

// journalFlags are the flags of the way back that needs no hub.
type journalFlags struct{ JournalOptions }

// withJournal are the flags that only make sense with --journal, withoutOne those
// that only do without.
var (
	withJournal = []string{"source-context", "target-context", "target-lost", "key-file", "translate", "map-ports"}
	withoutOne  = []string{"dry-run", "all", "output", "context"}
)

func (j *journalFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&j.Journal, "journal", "", "Go back without the hub, from the journal in the bucket of this URL (--to is Nothing then, if not given, or Prepare with --target-lost)")
	f.StringVar(&j.SourceContext, "source-context", "", "With --journal: context of the kubeconfig that leads to the source")
	f.StringVar(&j.TargetContext, "target-context", "", "With --journal: context of the kubeconfig that leads to the target")
	f.BoolVar(&j.TargetLost, "target-lost", false, "With --journal: the target is gone; lead back without it, to Prepare, and list what is left there")
	f.StringArrayVar(&j.KeyFiles, "key-file", nil, "With --journal: file with the TSIG keys of the zones, as BIND writes them (may be repeated)")
	j.Route.register(cmd)
}

// check refuses what makes no sense; the route is also that of a step which is told of.
func (j *journalFlags) check(cmd *cobra.Command, steps bool) error {
	if j.Journal == "" {
		for _, name := range withJournal {
			if cmd.Flags().Changed(name) && (!steps || !slices.Contains(routeFlags, name)) {
				return fmt.Errorf("--%s: it needs --journal", name)
			}
		}
		return nil
	}
	for _, name := range withoutOne {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s: it has no meaning with --journal, which does without the hub", name)
		}
	}
	if j.SourceContext == "" || j.TargetContext == "" {
		return fmt.Errorf("--source-context %q, --target-context %q: --journal wants both", j.SourceContext, j.TargetContext)
	}
	return checkContexts(j.SourceContext, j.TargetContext)
}

// stage is the last one that stays in force. What stays would need an engine, so that
// nothing does if nothing was said, but for what can't be undone without the target.
func (j *journalFlags) stage(named v1.Stage, given bool) (v1.Stage, error) {
	switch {
	case !j.TargetLost && !given:
		return v1.Nothing, nil
	case j.TargetLost && slices.Index(backStages, named) < slices.Index(backStages, v1.Prepare):
		return "", fmt.Errorf("--to %s: with --target-lost nothing before %s can be undone, because it stands in the target", named, v1.Prepare)
	}
	return named, nil
}

// backByJournal goes back without the hub.
func (s *session) backByJournal(ctx context.Context, name string, to v1.Stage, j journalFlags, timeout time.Duration) error {
	ctx, cancel := within(ctx, timeout)
	defer cancel()
	n := narrator{session: s}
	o := j.JournalOptions
	o.Migration, o.To, o.Kubeconfig = name, to, s.hub().Kubeconfig
	o.Tell = func(m *v1.Migration) { n.tell(m) }
	left, err := s.commands.RollbackByJournal(ctx, o)
	if err != nil {
		return err
	}
	s.say("the migration was rolled back to %s", to)
	if !o.TargetLost {
		return nil
	}
	s.say("%d objects are left in the target, which is lost; should it come back, its pods serve again until the same command without --target-lost has removed them", len(left))
	return s.showLines(left, asText)
}
