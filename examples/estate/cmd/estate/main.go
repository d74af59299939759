// Command estate is every real service of the example estate in one binary, and
// what renders the estate's manifests.
//
// The services take their settings from the environment: PORT, and those that the
// help of each one names.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "estate: %v\n", err)
		os.Exit(2)
	}
}
