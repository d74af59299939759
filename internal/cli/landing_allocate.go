package cli

import (
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/view"
)

func (s *session) landingAllocate() *cobra.Command {
	var f landingFlags
	var write bool
	cmd := &cobra.Command{
		Use:   "allocate",
		Short: "Give every claim its network, and say when pools end",
		Long: `Says which network every claim gets, keeps, grows or shrinks to, and which claim is
refused and why; and for each pool whether what is planned fits and when it ends.
Networks never overlap, and the same files always give the same answer.

With --write, what a claim was given is written into its file (status), so that it
keeps it from then on. The exit code is 1 if a claim is refused, or cannot be answered.`,
		Example: "  crossfade landing allocate -f examples/landing\n  crossfade landing allocate --write",
		Args:    noArgs,
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "Write what claims were given into their files")
	cmd.RunE = func(*cobra.Command, []string) error {
		zone, at, err := f.ask(s)
		if err != nil {
			return err
		}
		a := allocated(zone, nil, at)
		if write {
			written, err := s.writeGiven(f, zone, a.Steps, at)
			if err != nil {
				return err
			}
			s.say("wrote the networks of %d claims", written)
		}
		r := view.AllocatedReport(f.folderTitle(), a, f.most(10))
		if len(a.Changes()) > 0 && !write {
			r.Next = []string{"crossfade landing allocate" + f.again() + " --write"}
		}
		return s.answer(f, a, r, blocked(a.Findings))
	}
	return cmd
}

// allocated is what becomes of the claims of a zone, which before, unless nil, had
// networks as well.
func allocated(zone, before *folder.Folder, at time.Time) view.Allocated {
	var old *ipam.Addresses
	if before != nil {
		old = before.Addresses
	}
	a := view.Allocated{At: at, Steps: zone.Addresses.Plan(old)}
	a.Forecast = zone.Addresses.Forecast(at)
	a.Pools = zone.Addresses.Space.Usages()
	a.Findings = append(ipam.Findings(a.Steps), ipam.ForecastFindings(a.Forecast)...)
	return a
}
