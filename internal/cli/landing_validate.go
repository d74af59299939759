package cli

import (
	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/view"
)

// A validation, as programs read it.
type validation struct {
	Files     int             `json:"files"`
	Documents int             `json:"documents"`
	Errors    int             `json:"errors"`
	Warnings  int             `json:"warnings"`
	Findings  source.Findings `json:"findings"`
}

func (s *session) landingValidate() *cobra.Command {
	var f landingFlags
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Say everything that is wrong with the files of a landing zone",
		Long: `Reads every file of the folder and says everything that is wrong: file, line, JSON
path, value, and what was expected. One bad file never hides what is wrong in others.

The exit code is 1 if there are errors; warnings alone leave it at 0.`,
		Example: "  crossfade landing validate -f examples/landing\n  crossfade landing validate -o sarif > landing.sarif",
		Args:    noArgs,
	}
	f.register(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		zone, _, err := f.load(s)
		if err != nil {
			return err
		}
		const mostPerFile = 20
		r := view.FindingsReport(f.folderTitle(), zone.Counts(), zone.Findings, f.most(mostPerFile))
		errors := len(zone.Findings.Errors())
		code := codeYes
		if errors > 0 {
			code = codeNo
		} else {
			r.Next = []string{"crossfade landing plan" + f.again()}
		}
		return s.answer(f, validation{
			Files: len(zone.Files), Documents: len(zone.Documents), Errors: errors, Warnings: len(zone.Findings) - errors,
			Findings: append(source.Findings{}, zone.Findings...),
		}, r, code)
	}
	return cmd
}
