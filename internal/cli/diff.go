package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
		Args:              cobra.MaximumNArgs(2),
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
		all, err := s.commands.Diff(ctx, DiffOptions{Hub: s.hub(), Route: route, Migration: m.Name, App: app})
		if err != nil {
			return err
		}
		return s.showDifferences(all, f)
	})
	return cmd
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
