// Sandbox runs real Kubernetes clusters on one machine without containers, root or
// downloads: control planes, nodes whose pods are local processes or stand-ins,
// ingress and DNS. README.md says what is real and what stands in.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"crossfade.dev/sandbox/control"
	"crossfade.dev/sandbox/dns"
	"crossfade.dev/sandbox/ingress"
	"crossfade.dev/sandbox/node"
)

func main() {
	// kubectl brings a command tree with habits of its own: it gets the arguments
	// untouched, and costs nothing when something else was asked for.
	if len(os.Args) > 1 && os.Args[1] == "kubectl" {
		os.Args = append([]string{"kubectl"}, os.Args[2:]...)
		os.Exit(runKubectl())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(2)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "sandbox",
		Short:         "Real Kubernetes clusters on one machine, without containers",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(
		control.Command(),
		node.Command(),
		ingress.Command(),
		dns.Command(),
		&cobra.Command{Use: "kubectl", Short: "The real kubectl", DisableFlagParsing: true},
	)
	return cmd
}
