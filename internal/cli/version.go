package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// A build says what program this is.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (s *session) version() *cobra.Command {
	var f format
	cmd := &cobra.Command{
		Use: "version", Short: "Say which version this is", Long: "Says which version of Crossfade this is, and what it was built with.",
		Example: "  crossfade version -o json",
		Args:    atMost(0),
	}
	outputFlag(cmd, &f, asJSON, asYAML)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := build{s.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
		if f != asText {
			return s.printData(b, f)
		}
		return s.out(fmt.Sprintf("crossfade %s (%s, %s)\n", b.Version, b.Go, b.Platform))
	}
	return cmd
}
