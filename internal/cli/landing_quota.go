package cli

import (
	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/view"
)

func (s *session) landingQuota() *cobra.Command {
	var f landingFlags
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "Say which limits run out before they can be raised, and which triggers are too slow",
		Long: `Extrapolates the use of every quota by its samples and planned events, and says which
one runs out before a raise asked for today would be there, and which trigger reacts
slower than the load can grow.

The exit code is 1 if a quota runs out, a trigger is too slow, or a fact is missing,
and no waiver covers it.`,
		Example: "  crossfade landing quota -f examples/landing\n  crossfade landing quota --at 2027-05-01 -o json",
		Args:    noArgs,
	}
	f.register(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		zone, at, err := f.ask(s)
		if err != nil {
			return err
		}
		found := quota.Check(zone.Quotas, at)
		return s.answer(f, found, view.QuotasReport(f.folderTitle(), found, f.most(10)), blocked(found.Findings))
	}
	return cmd
}

// blocked is the exit code for findings: 1 if one of them must not pass.
func blocked(all []finding.Finding) int {
	if len(finding.Blocking(all)) > 0 {
		return codeNo
	}
	return codeYes
}
