// Package dns is the name system of the sandbox: authoritative servers that take
// updates, and caching resolvers of the kinds seen in the wild, all on loopback
// addresses and in one process.
//
// A Config says what is served; Start serves it; Command is `sandbox dns`, which serves
// until its context ends. Names inside the package are in lower case with the final dot.
package dns

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"crossfade.dev/sandbox/parent"
)

// Example is a Config in YAML with everything that a move of live.demo.test needs.
//
//go:embed example.yaml
var Example string

// Command returns `sandbox dns`.
func Command() *cobra.Command {
	var file, dir, inspect string
	var example, dieWithParent bool
	command := &cobra.Command{
		Use:   "dns --config FILE --dir DIR",
		Short: "Serve zones that take updates, and caching resolvers",
		Long: `Serve zones that take updates (RFC 2136 with TSIG), and caching resolvers of
several kinds, over UDP and TCP on loopback addresses.

Updates are kept in --dir and outlive any kill; --config gives a zone's content
for the first start only. When every address is served, the line "ready" is
printed.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if example {
				_, err := fmt.Fprint(command.OutOrStdout(), Example)
				return err
			}
			config, err := Load(file)
			if err != nil {
				return err
			}
			ctx := command.Context()
			if dieWithParent {
				ctx = parent.Follow(ctx)
			}
			return run(ctx, command, config, dir, inspect)
		},
	}
	flags := command.Flags()
	flags.StringVar(&file, "config", "dns.yaml", "YAML file that lists keys, zones and resolvers")
	flags.StringVar(&dir, "dir", "dns", "directory that keeps the zones' changes")
	flags.StringVar(&inspect, "inspect", "", "address that serves counts, zones and caches over HTTP; none by default")
	flags.BoolVar(&example, "example", false, "print an example of --config, and exit")
	flags.BoolVar(&dieWithParent, "die-with-parent", false, "end when the parent process ends or closes the pipe on standard input")
	return command
}

func run(ctx context.Context, command *cobra.Command, config Config, dir, inspect string) error {
	log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), nil))
	service, err := Start(config, dir, log)
	if err != nil {
		return err
	}
	if inspect != "" {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", inspect)
		if err != nil {
			return fmt.Errorf("listen for --inspect: %w", err)
		}
		server := &http.Server{Handler: service.Handler()}
		defer func() { _ = server.Close() }()
		go func() { _ = server.Serve(listener) }()
	}
	log.Info("names are served", "zones", len(config.Zones), "resolvers", len(config.Resolvers))
	fmt.Fprintln(command.OutOrStdout(), "ready")
	<-ctx.Done()
	return service.Close()
}
