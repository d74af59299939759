package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/checkout"
	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/view"
)

// Forms in which only the proofs of a landing zone are written.
const (
	asSARIF    format = "sarif"
	asMarkdown format = "markdown"
)

func (s *session) landing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "landing",
		Short: "Prove what a landing zone lets happen, before it exists",
		Long: `Answers questions about accounts, guardrails, addresses, segments, quotas, reviews
and decisions from a folder of YAML files, without any cloud and before anything is
changed. What the files do not tell is unknown and is named; it is never a yes.`,
		Example: `  crossfade landing validate -f examples/landing
  crossfade landing plan -f examples/landing --from main
  crossfade landing explain -f examples/landing --account player-prod --action s3:PutObject --region eu-west-1`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	// The flags that lead to a hub say nothing here.
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), "{{if .HasAvailableInheritedFlags}}", "{{if false}}"))
	cmd.AddCommand(s.landingValidate(), s.landingPlan(), s.landingExplain(),
		s.landingReach(), s.landingAllocate(), s.landingQuota(), s.landingReview(), s.landingCheck())
	return cmd
}

// landingFlags are what every command about a landing zone takes.
type landingFlags struct {
	folder string
	at     string
	format format
	all    bool
}

func (f *landingFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.folder, "folder", "f", ".", "Folder with the files of the landing zone")
	cmd.Flags().StringVar(&f.at, "at", "", "Answer as of this day, as 2027-05-29 (today if empty)")
	cmd.Flags().BoolVar(&f.all, "all", false, "Show everything, not the worst only")
	outputFlag(cmd, &f.format, asJSON, asYAML, asMarkdown, asSARIF)
}

// noArgs refuses arguments, of which the folder is the likeliest.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q: %s takes no argument; a folder is named with -f", args[0], cmd.CommandPath())
}

// most is how many of a kind are shown.
func (f *landingFlags) most(few int) int {
	if f.all {
		return -1
	}
	return few
}

// read reads the folder as it stands on disk.
func (f *landingFlags) read(s *session) ([]source.File, error) {
	return s.readFolder("--folder", f.folder)
}

// time is when the answer is for: the beginning of today, where the person is, or of
// the day that --at names. Both give the same answer for the same day.
func (f *landingFlags) time(s *session) (time.Time, error) {
	if f.at == "" {
		y, m, d := s.Now().Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), nil
	}
	at, err := time.Parse(time.DateOnly, f.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %q: want a day, as 2027-05-29", f.at)
	}
	return at, nil
}

// at is where a folder that a person has named is.
func (s *session) at(folder string) string {
	if filepath.IsAbs(folder) {
		return folder
	}
	return filepath.Join(s.Dir, folder)
}

// readFolder reads a folder that a flag has named.
func (s *session) readFolder(flag, name string) ([]source.File, error) {
	dir := s.at(name)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("want a folder, and this is a file")
	}
	var files []source.File
	if err == nil {
		files, err = checkout.Disk(dir, name)
	}
	if err == nil && !slices.ContainsFunc(files, func(f source.File) bool { return source.IsYAML(f.Name) }) {
		err = errors.New("there is no YAML file in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", flag, name, plainPathError(err))
	}
	return files, nil
}

// load reads the folder as a landing zone, at the time that the answer is for.
func (f *landingFlags) load(s *session) (*folder.Folder, time.Time, error) {
	at, err := f.time(s)
	if err != nil {
		return nil, at, err
	}
	files, err := f.read(s)
	if err != nil {
		return nil, at, err
	}
	return folder.Load(files, at), at, nil
}

// ask is load for the commands that answer from a zone even if its files have errors,
// which it says on stderr.
func (f *landingFlags) ask(s *session) (*folder.Folder, time.Time, error) {
	zone, at, err := f.load(s)
	if err != nil {
		return nil, at, err
	}
	if found := zone.Findings.Errors(); len(found) > 0 {
		s.say("%s in the files: what that leaves open is unknown; see crossfade landing validate%s", view.Tally(found), f.again())
	}
	return zone, at, nil
}

// again is how another command names the same folder and day.
func (f *landingFlags) again() string {
	text := ""
	if f.folder != "." {
		text += " -f " + quoted(f.folder)
	}
	if f.at != "" {
		text += " --at " + f.at
	}
	return text
}

// answer writes data or the report of it, as was asked for, and ends with a code.
func (s *session) answer(f landingFlags, data any, r view.Report, code int) error {
	var err error
	switch f.format {
	case asText:
		err = s.out(view.ReportText(r, s.look()))
	case asMarkdown:
		err = s.out(view.ReportMarkdown(r))
	case asSARIF:
		err = s.out(view.ReportSARIF(r, s.Version))
	default:
		err = s.printData(data, f.format)
	}
	if err != nil {
		return err
	}
	return ended(code)
}

// folderTitle is what reports call the folder.
func (f *landingFlags) folderTitle() string {
	if f.folder != "." {
		return filepath.ToSlash(filepath.Clean(f.folder))
	}
	return "this folder"
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@,+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
