package cli

import (
	"cmp"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/referee"
)

func (s *session) load() *cobra.Command {
	var o LoadOptions
	cmd := &cobra.Command{
		Use:   "load --targets FILE",
		Short: "Ask an estate as its users do, and count what they notice",
		Long: `The referee: an independent load generator that knows nothing of the engine. It asks
the names in a file at a fixed pace, whatever the answers take, and accounts for
every request: sent = ok + failed + invalid. Writes are numbered and read back; players
follow streams; slow requests span the end of pods.

It runs for --duration, or until it is interrupted or told to stop; then it reads its
writes back and prints its report.`,
		Example: `  crossfade load --targets names.yaml --rate 200 --duration 5m --resolver 10.53.1.1
  crossfade load --targets names.yaml --listen 127.0.0.1:8080 --report report.json`,
		Args: atMost(0),
	}
	f := cmd.Flags()
	f.StringVar(&o.Targets, "targets", "", "File that lists the names to ask (required)")
	f.Float64Var(&o.Rate, "rate", referee.DefaultRate, "Requests in a second over all names; slow requests and players come on top")
	f.DurationVar(&o.Duration, "duration", 0, "How long to ask; 0 means until stopped")
	f.StringArrayVar(&o.Resolvers, "resolver", nil, "Resolver to use, as ADDRESS, ADDRESS:PORT or NAME=ADDRESS:PORT; a client each (may be repeated)")
	f.Uint64Var(&o.Seed, "seed", 0, "Seed of the order of requests and of choices among addresses")
	f.DurationVar(&o.Timeout, "timeout", referee.DefaultTimeout, "How long an answer may take, from the request's scheduled time")
	f.DurationVar(&o.SlowTimeout, "slow-timeout", referee.DefaultSlowTimeout, "The same for slow requests")
	f.DurationVar(&o.MaxSlip, "max-slip", referee.DefaultMaxSlip, "How late the referee may be itself before a sample is invalid")
	f.IntVar(&o.Window, "window", referee.DefaultWindow, "How many last answers of each name the report's last counts look at")
	f.StringVar(&o.Listen, "listen", "", "Address of the control endpoint; it asks nobody who they are, so keep it on loopback")
	f.StringVar(&o.Marks, "marks", "", "File from which names of periods are read, a line each")
	f.StringVar(&o.Report, "report", "", "File for the report as JSON")
	o.Route.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Targets == "" {
			return errors.New(`--targets "": want the file that lists the names to ask`)
		}
		if err := cmp.Or(
			atLeast("timeout", o.Timeout, time.Millisecond),
			atLeast("slow-timeout", o.SlowTimeout, time.Millisecond),
			atLeast("max-slip", o.MaxSlip, time.Millisecond),
		); err != nil {
			return err
		}
		return s.commands.Load(cmd.Context(), s.streams(), o)
	}
	return cmd
}
