package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (s *session) demo() *cobra.Command {
	var o DemoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Move a live estate between two clusters on this machine",
		Long: `Starts two clusters and a hub from one binary (no containers, no root), an estate
that serves traffic, and the referee; moves the estate; and prints what its users
would have noticed. The exit code is 1 if anything failed or did not move.

With --source-context and --target-context the same is shown on two clusters that
exist, with a hub, names and resolvers on this machine: what --estate names is created
in the source first; without it, what stands in the source is moved. Their pods and
balancers must be reachable from here. In the end everything is led back, unless --keep
is given: nothing is deleted that the demo did not make.`,
		Example: `  crossfade demo
  crossfade demo --apps 200 --report report.json
  crossfade demo --back
  crossfade demo --chaos 1
  crossfade demo --estate manifests/ --keep
  crossfade demo --source-context kind-old --target-context kind-new --estate manifests/`,
		Args: atMost(0),
	}
	f := cmd.Flags()
	f.IntVar(&o.Apps, "apps", 0, "How many apps the estate has (40 if 0)")
	f.StringVar(&o.Estate, "estate", "", "File or folder of manifests to move instead of the generated estate")
	f.Uint64Var(&o.Seed, "seed", 1, "Seed of every delay and choice")
	f.BoolVar(&o.Back, "back", false, "Go to the end of Cutover, then roll everything back and compare")
	f.Uint64Var(&o.Chaos, "chaos", 0, "Kill the controller inside writes, kill each control plane and cut the source off, by this seed; 0 means not")
	f.BoolVar(&o.Keep, "keep", false, "Leave everything running until interrupted, and say how to look around")
	f.StringVar(&o.Report, "report", "", "File for the report as JSON")
	f.StringVar(&o.SourceContext, "source-context", "", "Use the cluster of this context as the source instead of starting one")
	f.StringVar(&o.TargetContext, "target-context", "", "Use the cluster of this context as the target")
	o.Route.register(cmd)
	f.StringVar(&o.Dir, "dir", "", "Folder for the sandbox's state (one that is removed again, if empty)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case o.Apps < 0:
			return fmt.Errorf("--apps %d: want 1 or more", o.Apps)
		case o.Apps > 0 && o.Estate != "":
			return fmt.Errorf("--apps %d: it says how large the generated estate is; --estate %q brings its own", o.Apps, o.Estate)
		}
		if err := checkContexts(o.SourceContext, o.TargetContext); err != nil {
			return err
		}
		if o.SourceContext == "" && len(o.Route.Translate)+len(o.Route.MapPorts) > 0 {
			return fmt.Errorf("--translate %q, --map-ports %q: they are about the clusters of --source-context and --target-context", o.Route.Translate, o.Route.MapPorts)
		}
		o.Kubeconfig = s.hub().Kubeconfig
		return s.commands.Demo(cmd.Context(), s.streams(), o)
	}
	return cmd
}
