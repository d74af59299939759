package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// Groups of commands, as the help lists them.
const (
	groupLead   = "lead"
	groupRescue = "rescue"
	groupTry    = "try"
	groupProve  = "prove"
	groupRun    = "run"
)

// newRoot puts the commands together. Those whose function was not passed in are
// left out.
func newRoot(env Env, commands Commands) *cobra.Command {
	s := newSession(env, commands)
	root := &cobra.Command{
		Use:   "crossfade",
		Short: "Move a live Kubernetes estate from one cluster to another",
		Long: `Crossfade moves a live estate from one cluster to another: no failed request,
nothing for a team to do, and a way back from every step.

Commands say what you want by writing objects to the hub; the controller there
does the rest. "crossfade demo" shows all of it on this machine.`,
		SilenceErrors: true, SilenceUsage: true,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: displayName(env.Args)},
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	s.flags.AddFlags(root.PersistentFlags())
	root.PersistentFlags().Lookup("kubeconfig").Usage = "Kubeconfig file that leads to the hub ($KUBECONFIG and ~/.kube/config if empty)"
	root.PersistentFlags().Lookup("context").Usage = "Context of the kubeconfig to use (its current one if empty)"
	root.PersistentFlags().Lookup("namespace").Usage = "Namespace of the hub that holds Crossfade's objects"
	root.SetFlagErrorFunc(misusedFlag)
	root.AddGroup(
		&cobra.Group{ID: groupLead, Title: "Lead a migration:"},
		&cobra.Group{ID: groupRescue, Title: "In an emergency:"},
		&cobra.Group{ID: groupProve, Title: "Prove a landing zone:"},
		&cobra.Group{ID: groupTry, Title: "Try and measure:"},
		&cobra.Group{ID: groupRun, Title: "Run the engine:"},
	)
	for _, e := range s.entries() {
		if e.there {
			cmd := e.make()
			cmd.GroupID = e.group
			root.AddCommand(cmd)
		}
	}
	completion(root)
	help(root)
	return root
}

// help lets the command of that name refuse words that are no command.
func help(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.RunE = func(_ *cobra.Command, args []string) error {
				about, _, err := root.Find(args)
				if err != nil {
					return err
				}
				about.InitDefaultHelpFlag()
				return about.Help()
			}
		}
	}
}

// completion adds the command that writes a shell's completion, and lets it refuse
// shells that it does not know.
func completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// An entry is one command: the group under which the help lists it, whether it is
// there, and what makes it.
type entry struct {
	group string
	there bool
	make  func() *cobra.Command
}

// entries lists every command.
func (s *session) entries() []entry {
	c := s.commands
	return []entry{
		{groupLead, c.Plan != nil, s.plan},
		{groupLead, true, s.run},
		{groupLead, true, s.status},
		{groupLead, true, s.explain},
		{groupLead, true, s.approve},
		{groupLead, true, s.hold},
		{groupLead, true, s.resume},
		{groupLead, true, s.rollback},
		{groupLead, true, s.events},
		{groupLead, c.Diff != nil, s.diff},
		{groupLead, true, s.retire},
		{groupRescue, c.LiftFreeze != nil, s.freeze},
		{groupProve, true, s.landing},
		{groupTry, c.Demo != nil, s.demo},
		{groupTry, c.Load != nil, s.load},
		{groupTry, c.Bench != nil, s.bench},
		{groupRun, c.Controller != nil, s.controller},
		{"", true, s.version},
		{"", true, exitCodes},
		{"", true, s.genDocs},
		{"", c.Rehearse != nil, s.rehearse},
		{"", c.Follow != nil, s.followAlone},
	}
}

// displayName is how the program was called: as itself, or by kubectl.
func displayName(args []string) string {
	if strings.TrimSuffix(filepath.Base(args[0]), ".exe") == "kubectl-crossfade" {
		return "kubectl crossfade"
	}
	return "crossfade"
}
