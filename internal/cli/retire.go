package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

func (s *session) retire() *cobra.Command {
	var w stepping
	var by string
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire [NAME] --by NAME",
		Short: "Let go of the source, for ever",
		Long: `Lets go of the source: mirror and bridge end, and there is no way back from it. It
is the only one-way door of a migration, so it takes a person's name, and either the
migration's name typed at a terminal or --yes.`,
		Example:           "  crossfade retire shop --by ann\n  crossfade retire shop --by ann --yes",
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	w.register(s, cmd)
	cmd.Flags().StringVar(&by, "by", "", "The person who lets go of the source (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, "Do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(by) == "" {
			return errors.New(`--by "": want the name of the person who lets go of the source`)
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		m, err := s.pick(cmd.Context(), c, nameIn(args))
		if err != nil {
			return err
		}
		if err := retirable(m); err != nil {
			return err
		}
		if !yes && w.dry == dryNone {
			if err := s.askToRetire(m); err != nil {
				return err
			}
		}
		return s.letGo(cmd.Context(), c, m, v1.Retire{By: by, At: metav1.NewTime(s.Now())}, w)
	}
	return cmd
}

// retirable refuses migrations that have not arrived.
func retirable(m *v1.Migration) error {
	switch standing := view.StandingOf(m); {
	case m.Retires() || standing == view.Arrived || standing == view.Retired:
		return nil
	default:
		return no(fmt.Errorf("migration %s: it stands at %s, %s; only one that has arrived can be retired",
			m.Name, cmp.Or(string(m.Status.Stage), "its beginning"), standing))
	}
}

// askToRetire lets a person at a terminal type the migration's name. Without a
// terminal there is nobody to ask.
func (s *session) askToRetire(m *v1.Migration) error {
	if !s.InTTY || !s.ErrTTY {
		return errors.New("--yes: there is no terminal to ask at, and letting go of the source cannot be undone")
	}
	fmt.Fprintf(s.Stderr, "This lets go of %s for ever: there will be no way back.\nType %q to go on: ", m.Spec.Source, m.Name)
	answer, err := bufio.NewReader(s.Stdin).ReadString('\n')
	if strings.TrimSpace(answer) == m.Name {
		return nil
	}
	if err != nil {
		s.say("")
	}
	return no(fmt.Errorf("migration %s: nothing was changed", m.Name))
}

func (s *session) letGo(ctx context.Context, c HubClient, m *v1.Migration, r v1.Retire, w stepping) error {
	changed, err := s.change(ctx, c, m, w.dry, func(m *v1.Migration) error {
		if m.Retires() {
			return errUnchanged
		}
		if err := retirable(m); err != nil {
			return err
		}
		m.Spec.Retire = &r
		return nil
	})
	if err != nil {
		return err
	}
	if changed {
		s.say("migration %s: %s lets go of the source %s%s", m.Name, r.By, m.Spec.Source, w.tense())
	} else {
		s.say("migration %s: %s has let go of the source already", m.Name, m.Spec.Retire.By)
	}
	return w.finish(ctx, s, m, exitCode)
}
