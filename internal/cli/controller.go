package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (s *session) controller() *cobra.Command {
	var o ControllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the engine that leads migrations",
		Long: `Runs the engine. It reads migrations from the hub, leads them through their stages,
and keeps no progress in memory: killed anywhere, it goes on where it was. Of several,
one leads; the others stand by.`,
		Example: "  crossfade controller --namespace crossfade-system",
		Args:    atMost(0),
	}
	f := cmd.Flags()
	f.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 means none")
	f.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz; 0 means none")
	f.BoolVar(&o.LeaderElect, "leader-elect", true, "Let one of several controllers lead")
	f.DurationVar(&o.LeaseDuration, "lease-duration", 15*time.Second, "How long the leases that fence the clusters hold without renewal")
	f.IntVar(&o.Workers, "workers", 16, "How many writes to a cluster may be under way at once")
	f.StringVar(&o.User, "user", "crossfade", "User name of the engine in the clusters, which a freeze exempts")
	f.BoolVar(&o.ProbePods, "probe-pods", false,
		"In Preflight, make short-lived pods in both clusters, which measure whether the networks reach each other, and remove them again")
	f.StringVar(&o.ProbeImage, "probe-image", "", "Image of those pods, if not the Kubernetes project's agnhost")
	o.Route.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case o.Workers < 1:
			return fmt.Errorf("--workers %d: want 1 or more", o.Workers)
		case o.User == "":
			return errors.New(`--user "": want the user name of the engine in the clusters`)
		}
		if err := atLeast("lease-duration", o.LeaseDuration, time.Second); err != nil {
			return err
		}
		o.Hub = s.hub()
		return s.commands.Controller(cmd.Context(), s.streams(), o)
	}
	return cmd
}

// atLeast refuses a duration that is too short.
func atLeast(flag string, d, least time.Duration) error {
	if d < least {
		return fmt.Errorf("--%s %s: want %s or more", flag, d, least)
	}
	return nil
}
