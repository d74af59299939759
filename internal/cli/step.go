package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

// stepping are the flags of commands after which the engine makes a step, which
// --dry-run=step tells of.
type stepping struct {
	writing
	route Route
	all   bool
	// only are the flags that make sense with --dry-run=step alone; the route also does
	// with another flag, if this is named.
	only     []string
	routesTo string
}

const stepHelp = `

--dry-run=step writes nothing, and prints every write that the next step would make
after this command, in hub, clusters, zones and buckets: the engine works in this
process, its writes are caught, and the API servers are asked by dry runs of their own
what they would make of them. If the step would write nothing outside the engine's own
record, it prints what that waits for. It needs the rights of the engine: to read the
hub's Secrets, and to reach what the controller reaches. The exit code is then 0, or as
that of status if the migration would wait, or 1 if a write would be refused.`

// register adds the flags; without somebody to tell of steps they are those of writing.
func (p *stepping) register(s *session, cmd *cobra.Command) {
	if s.commands.Step == nil {
		p.writing.register(cmd)
		return
	}
	p.registerFor(cmd, []dryRun{dryNone, dryClient, dryServer, dryStep},
		"Write nothing, and print the object: as it would be sent (client), or as the server would keep it (server); or print every write of the next step (step)")
	cmd.Flags().BoolVar(&p.all, "all", false, "With --dry-run=step: show every write with all its fields, however many there are")
	p.only = []string{"all"}
	if cmd.Flags().Lookup("translate") == nil {
		p.route.register(cmd)
		p.only = append(p.only, routeFlags...)
	}
	cmd.Long += stepHelp
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := p.check(cmd); err != nil || before == nil {
			return err
		}
		return before(cmd, args)
	}
}

// routeFlags are those of a Route.
var routeFlags = []string{"translate", "map-ports"}

// check refuses flags that only make sense with --dry-run=step.
func (p *stepping) check(cmd *cobra.Command) error {
	if p.dry == dryStep {
		return nil
	}
	for _, name := range p.only {
		routes := p.routesTo != "" && slices.Contains(routeFlags, name)
		switch {
		case !cmd.Flags().Changed(name), routes && cmd.Flags().Changed(p.routesTo):
		case routes:
			return fmt.Errorf("--%s: it needs --dry-run=step or --%s", name, p.routesTo)
		default:
			return fmt.Errorf("--%s: it needs --dry-run=step", name)
		}
	}
	return nil
}

// alter is that of writing; what it prints may be the step that would follow.
func (p *stepping) alter(ctx context.Context, s *session, c HubClient, m *v1.Migration, edit func(*v1.Migration) error, done, already string) error {
	if err := p.change(ctx, s, c, m, edit, done, already); err != nil {
		return err
	}
	return p.finish(ctx, s, m, exitCode)
}

// finish prints a migration that was changed, or the step that would follow. Code is
// what its standing means to who asked.
func (p *stepping) finish(ctx context.Context, s *session, m *v1.Migration, code func(view.Standing) int) error {
	if p.dry != dryStep {
		return p.print(s, m)
	}
	step, err := s.commands.Step(ctx, StepOptions{Hub: s.hub(), Route: p.route, Migration: m})
	if err != nil {
		return err
	}
	if err := p.show(s, step); err != nil {
		return err
	}
	outside, refused := step.Outside(), step.Refused()
	switch {
	case refused > 0:
		s.say("migration %s: the next step would make %s, of which %d would be refused (dry run)", m.Name, view.Count(outside, "write"), refused)
		return ended(codeNo)
	case outside > 0:
		s.say("migration %s: the next step would make %s (dry run)", m.Name, view.Count(outside, "write"))
		return nil
	}
	s.say("migration %s: the next step would write nothing but its own record (dry run)", m.Name)
	return ended(code(step.Standing))
}

func (p *stepping) show(s *session, step view.Step) error {
	switch p.format {
	case asText:
		return s.out(view.StepText(step, s.look(), p.all))
	case asName:
		for _, w := range step.Writes {
			if err := s.out(w.String() + "\n"); err != nil {
				return err
			}
		}
		return nil
	}
	return s.printData(step, p.format)
}
