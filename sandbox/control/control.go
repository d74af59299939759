// Package control runs the control plane of one cluster in one process: etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, all unmodified, from
// their Go modules.
//
// They share a process because three times the runtime and caches would cost three
// times the memory; clusters do not share one, because feature gates, metrics and
// configuration registries are global to a process. Everything that must outlive
// the process is below Config.Dir, and a process that is killed at any moment and
// started again carries on where it was.
package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/parent"
)

// authorityName is the file name, without extension, of the authority that signs
// for servers, users and nodes of every cluster of a sandbox.
const authorityName = "ca"

// Config says which control plane to run.
type Config struct {
	Cluster address.Cluster
	// Name is the name of the kubeconfig's context.
	Name string
	// Dir holds everything of this cluster, CA the authority of all clusters.
	Dir, CA string
	// SAN are further names by which clients reach the API server.
	SAN []string
	// Small leaves out the scheduler and the controllers of workloads: enough for
	// a cluster that only holds objects.
	Small bool
}

// Command is `sandbox control`.
func Command() *cobra.Command {
	var c Config
	var cluster int
	var dieWithParent bool
	cmd := &cobra.Command{
		Use:   "control --cluster N --dir DIR",
		Short: "Run the control plane of one cluster",
		Long: `Run etcd, kube-apiserver, kube-controller-manager and kube-scheduler of one
cluster in this process, at https://127.N.0.1:6443. Once the API is ready,
DIR/kubeconfig leads to it as a cluster administrator and the line "ready" is
printed. State is kept in DIR: stop or kill it, start it again, nothing is lost.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Cluster = address.Cluster(cluster)
			if err := c.complete(); err != nil {
				return err
			}
			ctx := cmd.Context()
			if dieWithParent {
				ctx = parent.Follow(ctx)
			}
			return Run(ctx, c, func() { fmt.Fprintln(cmd.OutOrStdout(), "ready") })
		},
	}
	f := cmd.Flags()
	f.IntVar(&cluster, "cluster", 1, "number of the cluster: decides its addresses")
	f.StringVar(&c.Name, "name", "", `name of the cluster's context (default "cluster-N")`)
	f.StringVar(&c.Dir, "dir", "", "folder for the cluster's state")
	f.StringVar(&c.CA, "ca", "", "folder of the authority shared by all clusters of a sandbox (default DIR/ca)")
	f.StringSliceVar(&c.SAN, "san", nil, "further names for the API server's certificate")
	f.BoolVar(&c.Small, "small", false, "no scheduler and no workload controllers")
	f.BoolVar(&dieWithParent, "die-with-parent", false, "end when the parent process ends or closes the pipe on standard input")
	if err := cmd.MarkFlagRequired("dir"); err != nil {
		panic(err)
	}
	cmd.AddCommand(kubeconfigCommand())
	return cmd
}

func (c *Config) complete() (err error) {
	if err := c.Cluster.Validate(); err != nil {
		return err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("cluster-%d", c.Cluster)
	}
	if c.CA == "" {
		c.CA = filepath.Join(c.Dir, "ca")
	}
	if c.CA, err = filepath.Abs(c.CA); err != nil {
		return err
	}
	return os.MkdirAll(c.pki(), 0o755)
}

func (c *Config) pki() string { return filepath.Join(c.Dir, "pki") }

// server is the URL of the API on the host.
func (c *Config) server() string {
	return "https://" + address.HostPort(c.Cluster.API(), apiPort)
}

// Run runs the control plane until ctx ends. It calls ready once the API answers
// and the kubeconfig is written. A component that ends by itself ends the process's
// reason to be: Run returns its error.
//
// The process is expected to exit when Run returns. There is no orderly shutdown:
// being killed has to be safe, and what is done every day is known to work.
func Run(ctx context.Context, c Config, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limitMemory(c.Small)
	if err := logTo(filepath.Join(c.Dir, "control.log")); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})

	admin, err := c.writeCredentials()
	if err != nil {
		return fmt.Errorf("credentials of %s: %w", c.Name, err)
	}
	sockets, err := os.Open(c.Dir)
	if err != nil {
		return err
	}
	defer sockets.Close()
	etcd, err := c.startEtcd(sockets)
	if err != nil {
		return fmt.Errorf("start etcd of %s: %w", c.Name, err)
	}
	if err := c.startEgress(ctx, sockets); err != nil {
		return fmt.Errorf("start egress of %s: %w", c.Name, err)
	}
	// The flags of the API server fill the registry of versions and feature gates
	// that all components of the process share.
	api, err := newAPIServer(&c, sockets)
	if err != nil {
		return fmt.Errorf("configure API server of %s: %w", c.Name, err)
	}
	if err := compatibility.DefaultComponentGlobalsRegistry.Set(); err != nil {
		return err
	}

	all := &components{config: &c, ended: make(chan error, 1)}
	all.run(ctx, "etcd", etcd)
	all.run(ctx, "API server", api.run)
	go func() {
		if err := c.waitReady(ctx, admin); err != nil {
			all.end(err)
			return
		}
		all.run(ctx, "controllers", runControllers)
		if !c.Small {
			all.run(ctx, "scheduler", runScheduler)
		}
		ready()
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-all.ended:
		if ctx.Err() != nil {
			return nil // they end because the control plane does
		}
		return err
	}
}

// components are what runs in a control plane. None of them is to end.
type components struct {
	config *Config
	ended  chan error // has the first end
}

// run runs a component beside the others.
func (c *components) run(ctx context.Context, name string, component func(context.Context, *Config) error) {
	go func() {
		err := component(ctx, c.config)
		if err == nil {
			err = errors.New("ended without an error")
		}
		c.end(fmt.Errorf("%s of %s: %w", name, c.config.Name, err))
	}()
}

func (c *components) end(err error) {
	select {
	case c.ended <- err:
	default: // something else ended before
	}
}

// limitMemory trades memory for speed: the collector is lazy in a cluster that is
// busy, keen in one that only holds objects, and hurries near the limit. GOGC and
// GOMEMLIMIT win.
func limitMemory(small bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(map[bool]int{false: 75, true: 50}[small])
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1100 << 20)
	}
}

// logTo sends what the components say to a file of their own.
func logTo(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	setLogFlags(map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"})
	klog.SetOutput(f)
	return nil
}
