package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// statusFlags are the flags of status.
type statusFlags struct {
	waiting
	watch  bool
	apps   int
	format format
}

func (s *session) status() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how far a migration has come",
		Long: `Shows how far a migration has come: its stages, what has changed sides, what it
waits for, its gates, the apps that need somebody, what the way back would cost,
and how long each stage took. Without a NAME it shows the only migration, or lists
all of them.

The exit code tells how it stands: see crossfade help exit-codes.`,
		Example: `  crossfade status
  crossfade status shop -w
  crossfade status shop --wait --timeout 30m
  crossfade status shop -o json`,
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	f.register(cmd, "Wait until the migration has come to an end or cannot go on by itself")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "Show it anew whenever something changes, until interrupted")
	cmd.Flags().IntVar(&f.apps, "apps", 10, "How many apps to show, the worst first; -1 shows all")
	outputFlag(cmd, &f.format, asJSON, asYAML, asWide, asName)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.watch && f.wait {
			return errors.New("--watch, --wait: want one of the two")
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		return s.showStatus(cmd.Context(), c, nameIn(args), f)
	}
	return cmd
}

func (s *session) showStatus(ctx context.Context, c client.Reader, name string, f statusFlags) error {
	if name == "" {
		all, err := s.list(ctx, c)
		if err != nil {
			return err
		}
		if len(all) != 1 && !f.watch && !f.wait {
			return s.showList(all, f)
		}
	}
	m, err := s.pick(ctx, c, name)
	if err != nil {
		return err
	}
	if f.watch {
		return s.watchStatus(ctx, c, client.ObjectKeyFromObject(m), f)
	}
	if f.wait {
		if m, err = s.await(ctx, c, client.ObjectKeyFromObject(m), f.waiting); err != nil {
			return err
		}
	}
	text, err := s.statusText(ctx, c, m, f)
	if err != nil {
		return err
	}
	if err := s.out(text); err != nil {
		return err
	}
	return ended(exitCode(view.StandingOf(m)))
}

// showList lists migrations.
func (s *session) showList(all []v1.Migration, f statusFlags) error {
	if len(all) == 0 {
		s.say("there is no migration in namespace %s", s.hub().Namespace)
	}
	summaries := make([]view.Summary, 0, len(all))
	for i := range all {
		summaries = append(summaries, view.Summarize(&all[i], nil, nil, f.apps, s.Now()))
	}
	switch f.format {
	case asJSON, asYAML:
		return s.printData(summaries, f.format)
	case asName:
		for i := range all {
			if err := s.printObject(&all[i], asName); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		return nil
	}
	return s.out(view.List(summaries, s.look(), f.format == asWide))
}

// statusText is one migration in the format asked for.
func (s *session) statusText(ctx context.Context, c client.Reader, m *v1.Migration, f statusFlags) (string, error) {
	moves, err := s.movesOf(ctx, c, m)
	if err != nil {
		return "", err
	}
	freezes, err := s.freezesOf(ctx, c, m)
	if err != nil {
		return "", err
	}
	most := f.apps
	if f.format == asWide {
		most = -1
	}
	summary := view.Summarize(m, moves, freezes, most, s.Now())
	switch f.format {
	case asName:
		return nameOf(m), nil
	case asJSON, asYAML:
		return marshalled(summary, f.format)
	default:
		return view.Text(summary, s.look(), f.format == asWide, s.Now()), nil
	}
}

// watchStatus shows a migration whenever something changed, until ctx ends: on a
// terminal in place, elsewhere a line or a document each.
func (s *session) watchStatus(ctx context.Context, c client.Reader, key client.ObjectKey, f statusFlags) error {
	var shown, trouble string
	for {
		text, version, err := s.glance(ctx, c, key, f)
		switch {
		case apierrors.IsNotFound(err):
			return no(fmt.Errorf("migration %q: it is gone", key.Name))
		case err != nil && ctx.Err() == nil:
			if said := sentence(err); said != trouble {
				trouble = said
				s.say("%s; asking again", said)
			}
		case err == nil && version != shown:
			if s.OutTTY && f.format.drawn() {
				text = redrawn(text, shown == "")
			}
			shown, trouble = version, ""
			if err := s.out(text); err != nil {
				return err
			}
		}
		if pause(ctx, poll) != nil {
			return nil // somebody has seen enough
		}
	}
}

// drawn formats are drawn for people; the others are read by programs.
func (f format) drawn() bool { return f == asText || f == asWide }

// glance is what a watch shows now. What has the same version need not be shown
// again.
func (s *session) glance(ctx context.Context, c client.Reader, key client.ObjectKey, f statusFlags) (text, version string, err error) {
	m := &v1.Migration{}
	if err := c.Get(ctx, key, m); err != nil {
		return "", "", err
	}
	if f.format.drawn() && !s.OutTTY {
		line := view.Line(m) + "\n"
		return line, line, nil
	}
	text, err = s.statusText(ctx, c, m, f)
	switch f.format {
	case asJSON:
		return text, m.ResourceVersion, err
	case asYAML:
		return "---\n" + text, m.ResourceVersion, err
	default:
		return text, text, err
	}
}

// redrawn puts text over what stands on the screen, without a flicker.
func redrawn(text string, first bool) string {
	text = "\x1b[H" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\x1b[K\n") + "\x1b[J\n"
	if first {
		return "\x1b[2J" + text
	}
	return text
}
