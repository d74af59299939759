package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/policy/detect"
	"crossfade.dev/internal/view"
)

func (s *session) landingCheck() *cobra.Command {
	var f landingFlags
	var resources []string
	cmd := &cobra.Command{
		Use:   "check --resources FILE",
		Short: "Say which resources comply with the detective rules",
		Long: `Asks the rules of every detective guardrail about snapshots of resources: JSON files
with a list of objects that have type, id, account, region, tags, configuration, and
unknown, the parts that the snapshot could not see. A guardrail is asked about the
resources of the accounts that it is attached to.

The exit code is 0 if everything is COMPLIANT, and 1 if anything is NON_COMPLIANT or
there is INSUFFICIENT_DATA.`,
		Example: "  crossfade landing check -f examples/landing --resources examples/landing/snapshots/storage.json",
		Args:    noArgs,
	}
	f.register(cmd)
	cmd.Flags().StringArrayVar(&resources, "resources", nil, "JSON file with snapshots of resources (may be repeated)")
	cmd.RunE = func(*cobra.Command, []string) error {
		if len(resources) == 0 {
			return fmt.Errorf(`--resources "": want a JSON file with snapshots of resources`)
		}
		zone, _, err := f.ask(s)
		if err != nil {
			return err
		}
		all, err := s.snapshots(resources)
		if err != nil {
			return err
		}
		return s.answerChecks(f, checked(zone, all))
	}
	return cmd
}

// snapshots reads the resources of every file. One that is wrong ends the command:
// what is left out would be taken for something that is not there.
func (s *session) snapshots(files []string) ([]detect.Resource, error) {
	var all []detect.Resource
	for _, name := range files {
		data, err := os.ReadFile(s.at(name))
		if err != nil {
			return nil, fmt.Errorf("--resources %q: %w", name, plainPathError(err))
		}
		resources, found := detect.ParseResources(filepath.ToSlash(name), data)
		if errors := found.Errors(); len(errors) > 0 {
			return nil, fmt.Errorf("--resources %q: %s (%s in all)", name, errors[0], view.Tally(errors))
		}
		all = append(all, resources...)
	}
	return all, nil
}

// checked asks every pack about the resources of the accounts that it concerns.
func checked(zone *folder.Folder, all []detect.Resource) []detect.Report {
	reports := []detect.Report{}
	for _, pack := range zone.Packs {
		reports = append(reports, pack.Check(slices.DeleteFunc(slices.Clone(all), func(r detect.Resource) bool {
			return !zone.Concerns(pack.Name, r.Account)
		})))
	}
	return reports
}

func (s *session) answerChecks(f landingFlags, reports []detect.Report) error {
	code := codeYes
	for _, r := range reports {
		if r.Status != detect.Compliant {
			code = codeNo
		}
	}
	if len(reports) == 0 {
		return no(fmt.Errorf("--folder %q: there is no guardrail of type Detective in it", f.folder))
	}
	return s.answer(f, reports, view.ChecksReport(f.folderTitle(), reports, f.most(10)), code)
}
