package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

func (s *session) diff() *cobra.Command {
	var f format
	var route Route
	cmd := &cobra.Command{
		Use:   "diff [NAME] [NAMESPACE/APP]",
		Short: "List the objects in which source and target differ",
		Long: `Compares both sides of a migration, object for object, from lists of what the two
API servers hold, and changes nothing. Differences that are meant (replicas, suspended
schedules, what each server fills in by itself) are not differences. With an app only
its objects are shown, and those of its namespace that belong to no app.

The exit code is 1 if anything differs.`,
		Example:           "  crossfade diff shop\n  crossfade diff shop/cart\n  crossfade diff shop -o json",
		Args:              atMost(2),
		ValidArgsFunction: s.completeNames,
	}
	route.register(cmd)
	outputFlag(cmd, &f, asJSON, asYAML, asName)
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		name, app, err := migrationAndApp(args)
		if err != nil {
			return err
		}
		m, err := s.pick(ctx, c, name)
		if err != nil {
			return err
		}
		if err := s.checkApp(ctx, c, m, app); err != nil {
			return err
		}
		all, err := s.commands.Diff(ctx, DiffOptions{Hub: s.hub(), Route: route, Migration: m.Name, App: app})
		if err != nil {
			return err
		}
		return s.showDifferences(all, f)
	})
	return cmd
}

// checkApp refuses an app that the migration does not know: nothing differs in what is
// not there. Before its first look the engine knows none.
func (s *session) checkApp(ctx context.Context, c HubClient, m *v1.Migration, app string) error {
	if app == "" {
		return nil
	}
	moves, err := s.movesOf(ctx, c, m)
	if err != nil || len(moves) == 0 {
		return err
	}
	for _, move := range moves {
		if move.Spec.Namespace+"/"+move.Spec.App == app {
			return nil
		}
	}
	return no(fmt.Errorf("APP %q: migration %s has no such app; crossfade status %s -o wide --apps -1 lists them", app, m.Name, m.Name))
}

// migrationAndApp tells what was named: an app is the one with a slash.
func migrationAndApp(args []string) (name, app string, err error) {
	for _, arg := range args {
		into, field := &name, "NAME"
		if strings.Contains(arg, "/") {
			into, field = &app, "APP"
			if parts := strings.Split(arg, "/"); len(parts) != 2 || parts[0] == "" || parts[1] == "" {
				return "", "", fmt.Errorf("APP %q: want NAMESPACE/APP", arg)
			}
		}
		if *into != "" {
			return "", "", fmt.Errorf("%s %q: there is %q already", field, arg, *into)
		}
		*into = arg
	}
	return name, app, nil
}

func (s *session) showDifferences(all []view.Difference, f format) error {
	var err error
	switch {
	case f == asName:
		var objects []string
		for _, d := range all {
			objects = append(objects, d.Object)
		}
		err = s.showLines(objects, asText)
	case f != asText:
		err = s.printData(append([]view.Difference{}, all...), f)
	default:
		err = s.out(view.DifferenceText(all, s.look()))
	}
	switch {
	case err != nil:
		return err
	case len(all) == 0:
		s.say("no object differs")
		return nil
	case len(all) == 1:
		s.say("1 object differs")
	default:
		s.say("%d objects differ", len(all))
	}
	return ended(codeNo)
}
