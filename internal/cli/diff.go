package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/view"
)

func (s *session) diff() *cobra.Command {
	var f format
	var route Route
	cmd := &cobra.Command{
		Use:   "diff [NAME]",
		Short: "List the objects in which source and target differ",
		Long: `Compares both sides of a migration, object for object, from lists of what the two
API servers hold, and changes nothing. Differences that are meant (replicas, suspended
schedules, what each server fills in by itself) are not differences.

The exit code is 1 if anything differs.`,
		Example:           "  crossfade diff shop\n  crossfade diff shop -o json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames,
	}
	route.register(cmd)
	outputFlag(cmd, &f, asJSON, asYAML, asName)
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		m, err := s.pick(ctx, c, cmp.Or(append(args, "")...))
		if err != nil {
			return err
		}
		all, err := s.commands.Diff(ctx, DiffOptions{Hub: s.hub(), Route: route, Migration: m.Name})
		if err != nil {
			return err
		}
		return s.showDifferences(all, f)
	})
	return cmd
}

func (s *session) showDifferences(all []view.Difference, f format) error {
	var err error
	switch {
	case f == asName:
		for _, d := range all {
			err = s.out(d.Object + "\n")
		}
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
