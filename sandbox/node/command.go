package node

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/parent"
)

// Command is `sandbox node`.
func Command() *cobra.Command {
	cfg := Config{
		StartDelay:    delay.Range{Min: 500 * time.Millisecond, Max: 20 * time.Second},
		TaskTime:      delay.Range{Min: time.Second, Max: 3 * time.Second},
		EndpointDelay: delay.Range{Min: 200 * time.Millisecond, Max: 3 * time.Second},
	}
	var cluster int
	var dieWithParent bool
	cmd := &cobra.Command{
		Use:   "node --cluster N --kubeconfig FILE --dir DIR",
		Short: "Run the pods of one cluster, as local processes or stand-ins",
		Long: `Register a node and run the pods that are bound to it. Containers whose image is in
the table run as processes of this machine, all others are stood in for by listeners
that answer their ports and probes. The line "ready" is printed once the pods that
were there before are known.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Cluster = address.Cluster(cluster)
			if err := cfg.complete(); err != nil {
				return err
			}
			ctx := cmd.Context()
			if dieWithParent {
				ctx = parent.Follow(ctx)
			}
			return Run(ctx, cfg, func() { fmt.Fprintln(cmd.OutOrStdout(), "ready") })
		},
	}
	f := cmd.Flags()
	f.IntVar(&cluster, "cluster", 1, "number of the cluster: decides its addresses")
	f.StringVar(&cfg.Kubeconfig, "kubeconfig", "", "kubeconfig of a cluster administrator")
	f.StringVar(&cfg.Name, "name", "", `name of the node (default "node-N")`)
	f.StringVar(&cfg.Dir, "dir", "", "folder for logs, volumes and working folders")
	f.StringVar(&cfg.Images, "images", "", "YAML table of the images that run as processes: image to command, args, env, paths")
	f.Uint64Var(&cfg.Seed, "seed", 1, "seed of all delays")
	f.Var(&cfg.StartDelay, "start-delay", "how long pods take to start, as shortest-longest")
	f.Var(&cfg.TaskTime, "task-time", "how long the stand-in of a task takes, as shortest-longest")
	f.Var(&cfg.EndpointDelay, "endpoint-delay", "how long a change of endpoints takes to be in use, as shortest-longest")
	f.DurationVar(&cfg.Backoff, "backoff", 10*time.Second, "first pause before a container that keeps ending is started again")
	f.DurationVar(&cfg.BackoffLimit, "backoff-limit", 5*time.Minute, "longest pause before a container that keeps ending is started again")
	f.StringVar(&cfg.Resolver, "resolver", "", "ip:port of the resolver for names outside the cluster")
	f.StringVar(&cfg.Zone, "zone", "", `zone of the node (default "sandbox-N")`)
	f.BoolVar(&dieWithParent, "die-with-parent", false, "end when the parent process ends or closes the pipe on standard input")
	for _, name := range []string{"kubeconfig", "dir"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

func (c *Config) complete() (err error) {
	if err := c.Cluster.Validate(); err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("node-%d", c.Cluster)
	}
	if c.Zone == "" {
		c.Zone = fmt.Sprintf("sandbox-%d", c.Cluster)
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	return nil
}
