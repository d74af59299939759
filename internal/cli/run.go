package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

func (s *session) run() *cobra.Command {
	var wanted wanted
	w := stepping{routesTo: "plan"}
	var wait waiting
	var pinned planned
	cmd := &cobra.Command{
		Use:   "run [NAME]",
		Short: "Begin a migration, or lead it forward again",
		Long: `Begins a migration, from a manifest (-f FILE) or from flags, or leads one that
exists forward again: its hold is cleared and its direction is Forward.

The controller in the hub does the work. With --wait this command follows it until
the migration has arrived, failed, was rolled back, or waits for approval.`,
		Example: `  crossfade run -f migration.yaml --wait --timeout 2h
  crossfade run shop --source east --target west --approval Release
  crossfade run shop --plan shop.plan
  crossfade run shop --dry-run=server -o yaml
  crossfade run shop --dry-run=step`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	wanted.register(cmd)
	pinned.register(cmd)
	w.register(s, cmd)
	wait.register(cmd, "Wait until the migration has come to an end or cannot go on by itself")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := wait.check(cmd); err != nil {
			return err
		}
		d, err := wanted.migration(s, args)
		if err != nil {
			return err
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		if err := pinned.check(cmd.Context(), s, c, d.Migration, args, w.route); err != nil {
			return err
		}
		m := d.Migration
		if m != nil {
			err = s.begin(cmd.Context(), c, d, w)
		} else {
			m, err = s.forward(cmd.Context(), c, nameIn(args), w)
		}
		if err != nil || !wait.wait || w.dry != dryNone {
			return err
		}
		return s.follow(cmd.Context(), c, m, wait, exitCode)
	}
	return cmd
}

// begin creates a migration.
func (s *session) begin(ctx context.Context, c HubClient, d described, w stepping) error {
	m := d.Migration
	if err := s.clustersKnown(ctx, c, m); err != nil {
		return err
	}
	var opts []client.CreateOption
	if w.dry.asks() {
		opts = append(opts, client.DryRunAll)
	}
	if w.dry != dryClient {
		err := c.Create(ctx, d.sent, opts...)
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("migration %q: it exists already; `crossfade run %[1]s` leads it forward, kubectl apply changes it", m.Name)
		}
		if err != nil {
			return err
		}
		if err := d.heard(); err != nil {
			return err
		}
	}
	s.say("migration %s: begins, from %s to %s%s", m.Name, m.Spec.Source, m.Spec.Target, w.tense())
	return w.finish(ctx, s, m, exitCode)
}

// clustersKnown refuses a migration that names clusters which are not in the hub.
func (s *session) clustersKnown(ctx context.Context, c client.Reader, m *v1.Migration) error {
	var known v1.ClusterList
	if err := c.List(ctx, &known, client.InNamespace(m.Namespace)); err != nil {
		return err
	}
	var all []string
	for _, cluster := range known.Items {
		all = append(all, cluster.Name)
	}
	named := []struct{ field, name string }{{"spec.source", m.Spec.Source}, {"spec.target", m.Spec.Target}}
	if m.Spec.Archive != nil && m.Spec.Archive.RehearseIn != "" {
		named = append(named, struct{ field, name string }{"spec.archive.rehearseIn", m.Spec.Archive.RehearseIn})
	}
	for _, n := range named {
		if n.name != "" && !slices.Contains(all, n.name) {
			return fmt.Errorf("%s %q: the hub has no Cluster of that name in namespace %s%s", n.field, n.name, m.Namespace, thereAre(all))
		}
	}
	return nil
}

// forward leads a migration that exists to the target.
func (s *session) forward(ctx context.Context, c HubClient, name string, w stepping) (*v1.Migration, error) {
	m, err := s.pick(ctx, c, name)
	if err != nil {
		return nil, err
	}
	return m, w.alter(ctx, s, c, m, func(m *v1.Migration) error {
		if m.Spec.Hold == nil && m.Spec.Direction != v1.Back {
			return errUnchanged
		}
		m.Spec.Hold, m.Spec.Direction = nil, v1.Forward
		return nil
	}, "goes forward", "goes forward already")
}

// follow waits for a migration, says how it ended, and ends with the code that
// this has.
func (s *session) follow(ctx context.Context, c client.Reader, m *v1.Migration, w waiting, code func(view.Standing) int) error {
	m, err := s.await(ctx, c, client.ObjectKeyFromObject(m), w)
	if err != nil {
		return err
	}
	standing := view.StandingOf(m)
	s.say("migration %s: %s", m.Name, outcome(m, standing))
	return ended(code(standing))
}

// outcome says how a wait has ended.
func outcome(m *v1.Migration, standing view.Standing) string {
	switch standing {
	case view.Asking:
		return fmt.Sprintf("waits for approval: crossfade approve %s %s", m.Name, m.Status.Stage)
	case view.Failed:
		return fmt.Sprintf("failed: %s; see crossfade explain %s", m.Status.Message, m.Status.Reason)
	case view.RolledBack:
		return "was rolled back to " + string(m.Spec.BackTo)
	case view.Retired:
		return "the source was retired"
	default:
		return "has arrived in " + m.Spec.Target
	}
}
