// Package ingress is where clients enter a cluster of the sandbox: it serves every
// Ingress at one address, gives each LoadBalancer Service an address of its own,
// and sends requests and connections to ready pods, of whichever cluster.
//
// What the API server says arrives by feeds; a directory knows the endpoints;
// a table, made anew for each change, leads requests of the proxy to backends.
// What reached a pod is never sent a second time: a broken connection is the
// client's to see, so that whoever counts failures counts all of them.
package ingress

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"crossfade.dev/sandbox/address"
	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/parent"
)

// Command returns `sandbox ingress`, which serves until its context ends.
func Command() *cobra.Command {
	options := Options{
		AddressDelay:  delay.Range{Min: 5 * time.Second, Max: 30 * time.Second},
		EndpointDelay: delay.Range{Min: 200 * time.Millisecond, Max: 3 * time.Second},
	}
	var kubeconfig string
	var dieWithParent bool
	command := &cobra.Command{
		Use:   "ingress --cluster C --kubeconfig FILE --dir DIR",
		Short: "Serve a cluster's Ingresses and LoadBalancer Services",
		Long: `Serve a cluster's Ingresses at 10.C.240.1 (found at 127.C.240.1, ports 10080 and
10443) and each LoadBalancer Service at an address of its own from 10.C.240.2 on.

Addresses and changes of endpoints take effect after delays drawn from --seed, as
in a real cluster. Nothing that reached a pod is sent again. When the whole cluster
was seen once, and every port is served, the line "ready" is printed.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := address.Cluster(options.Cluster).Validate(); err != nil {
				return fmt.Errorf("--cluster: %w", err)
			}
			client, err := connect(kubeconfig)
			if err != nil {
				return err
			}
			options.Client = client
			options.Log = slog.New(slog.NewTextHandler(command.ErrOrStderr(), nil))
			options.Ready = func() { fmt.Fprintln(command.OutOrStdout(), "ready") }
			ctx := command.Context()
			if dieWithParent {
				ctx = parent.Follow(ctx)
			}
			return Run(ctx, options)
		},
	}
	flags := command.Flags()
	flags.IntVar(&options.Cluster, "cluster", 1, "number of the cluster, 1 to 99")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.Uint64Var(&options.Seed, "seed", 1, "chooses the delays")
	flags.Var(&options.AddressDelay, "address-delay", "until an Ingress or a load balancer has its address")
	flags.Var(&options.EndpointDelay, "endpoint-delay", "until a change of endpoints takes effect")
	flags.StringVar(&options.Class, "class", "sandbox", "IngressClass to make, and make the default, if the cluster has none; every class is served")
	flags.StringVar(&options.Metrics, "metrics", "", "address of /metrics, /healthz and /routes; none by default")
	flags.StringVar(&options.Dir, "dir", "ingress", "directory that keeps addresses and the certificate authority (ca.crt)")
	flags.DurationVar(&options.Drain, "drain", 2*time.Second, "for how long requests are taken after SIGTERM")
	flags.DurationVar(&options.DrainLimit, "drain-limit", 30*time.Second, "when requests still under way are cut")
	flags.BoolVar(&dieWithParent, "die-with-parent", false, "end when the parent process ends or closes the pipe on standard input")
	return command
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	config.UserAgent = "sandbox-ingress"
	config.ContentType = runtime.ContentTypeProtobuf
	config.QPS = -1 // one client on one machine: no limit
	return kubernetes.NewForConfig(config)
}
