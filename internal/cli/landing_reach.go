package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/wan"
	"crossfade.dev/internal/view"
)

func (s *session) landingReach() *cobra.Command {
	var f landingFlags
	var network string
	cmd := &cobra.Command{
		Use:   "reach [FROM [TO]]",
		Short: "Say who reaches whom, along which hops and through which inspection",
		Long: `Says who of FROM reaches what of TO through the core network, along which hops, and
which inspection group looks at the packets. Each is an address range, or the name of
a segment, an attachment, an account or a group, with its kind before it where the name
alone is not clear (segment:dev); * is everything, and what is left out is *.

With FROM and TO the exit code is 0 if all of FROM reaches all of TO, and 1 if
anything does not, or is not known.`,
		Example: `  crossfade landing reach -f examples/landing segment:prod segment:payments
  crossfade landing reach player-dev 10.64.224.0/22
  crossfade landing reach`,
		Args: atMost(2),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&network, "network", "", "Core network to ask (all of them if empty)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		zone, _, err := f.ask(s)
		if err != nil {
			return err
		}
		from, to := "*", "*"
		if len(args) > 0 {
			from = args[0]
		}
		if len(args) > 1 {
			to = args[1]
		}
		answers, err := reached(zone, network, from, to)
		if err != nil {
			return err
		}
		code := codeYes
		if len(args) == 2 && !view.AllReach(answers) {
			code = codeNo
		}
		return s.answer(f, answers, view.ReachReport(from, to, answers, len(args) == 2, f.most(10)), code)
	}
	return cmd
}

// reached asks every core network that is meant.
func reached(zone *folder.Folder, network, from, to string) ([]view.Reached, error) {
	networks := zone.Networks
	if network != "" {
		networks = slices.DeleteFunc(slices.Clone(networks), func(n *wan.Network) bool { return n.Name != network })
	}
	switch {
	case len(zone.Networks) == 0:
		return nil, no(fmt.Errorf("there is no document of kind %s in the folder", wan.Kind))
	case len(networks) == 0:
		var names []string
		for _, n := range zone.Networks {
			names = append(names, n.Name)
		}
		return nil, no(fmt.Errorf("--network %q: there is no such core network%s", network, thereAre(names)))
	}
	var answers []view.Reached
	for _, n := range networks {
		flows, err := n.Reach(from, to)
		switch {
		case err != nil && n.Policy.Broken:
			return nil, no(fmt.Errorf("core network %s has errors, so that nobody can say who reaches whom: see crossfade landing validate: %w", n.Name, err))
		case err != nil:
			return nil, no(err)
		}
		answers = append(answers, view.ReachedIn(n, flows))
	}
	return answers, nil
}
