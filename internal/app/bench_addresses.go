package app

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"crossfade.dev/internal/bench"
	landingbench "crossfade.dev/internal/landing/bench"
)

// addressPeer is where the command stands that replays a trace with go-ipam.
const addressPeer = "tools/ipam-peer"

// addressRows measure how networks are given out of pools.
func addressRows() []bench.Row {
	return []bench.Row{{Part: "landing", Name: "landing-addresses", Measure: measureAddresses}}
}

// measureAddresses measures beside the peer where its source is.
func measureAddresses(ctx context.Context, s *bench.Sheet) error {
	const operations = 10_000_000
	if _, err := os.Stat(addressPeer); err != nil {
		fmt.Fprintf(s.Narration, "without the peer: %s is where the source is\n", addressPeer)
		return landingbench.Addresses(ctx, s, operations, nil)
	}
	folder, err := os.MkdirTemp("", "crossfade-peer-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	binary := filepath.Join(folder, "ipam-peer")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir, build.Stdout, build.Stderr = addressPeer, s.Narration, s.Narration
	if err := build.Run(); err != nil {
		return fmt.Errorf("build %s: %w", addressPeer, err)
	}
	peer := exec.CommandContext(ctx, binary)
	peer.Stderr = s.Narration
	return landingbench.Addresses(ctx, s, operations, peer)
}
