package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"crossfade.dev/internal/bench"
	landingbench "crossfade.dev/internal/landing/bench"
	"crossfade.dev/internal/landing/source"
)

// landingRows measure guardrails, core networks, and a plan from nothing.
func landingRows() []bench.Row {
	return []bench.Row{
		{Part: "landing", Name: "landing-guardrails", Measure: func(_ context.Context, s *bench.Sheet) error { return landingbench.Policy(s) }},
		{Part: "landing", Name: "landing-segments", Measure: func(_ context.Context, s *bench.Sheet) error { return landingbench.Segments(s) }},
		{Part: "landing", Name: "landing-plan", Measure: measureLandingPlan},
	}
}

// measureLandingPlan measures `crossfade landing plan` of 1,000 accounts with their
// networks and a core network, for every action and every region, as a process of
// its own: each account is a file, one state is in Git and the other on disk, and
// nothing is kept from run to run.
func measureLandingPlan(ctx context.Context, s *bench.Sheet) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("%w: git is not there", bench.ErrSkipped)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "crossfade-plan-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := changedZone(ctx, folder); err != nil {
		return err
	}
	const runs = 5
	var took []time.Duration
	for range runs {
		start := time.Now()
		plan := exec.CommandContext(ctx, program, "landing", "plan", "-f", folder)
		var said bytes.Buffer
		plan.Stdout, plan.Stderr = &said, &said
		err := plan.Run()
		took = append(took, time.Since(start))
		var code *exec.ExitError
		if err == nil || !errors.As(err, &code) || code.ExitCode() != 1 { // the states differ
			return fmt.Errorf("crossfade landing plan: %w: %s", err, said.Bytes())
		}
	}
	slices.Sort(took)
	s.Record("landing-plan-1000-accounts", took[runs/2].Seconds(), "s")
	s.Record("landing-plan-1000-accounts-slowest", took[runs-1].Seconds(), "s")
	return nil
}

// changedZone makes folder a repository in which a zone was committed and then
// changed.
func changedZone(ctx context.Context, folder string) error {
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=bench", "-c", "user.email=bench@crossfade.dev", "commit", "-q", "-m", "zone"}} {
		if args[0] == "add" {
			if err := writeZone(folder, false); err != nil {
				return err
			}
		}
		git := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...)
		if out, err := git.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return writeZone(folder, true)
}

// writeZone writes a zone of 1,000 accounts, each document into a file of its own.
func writeZone(folder string, changed bool) error {
	const accounts = 1000
	for part, files := range map[string][]source.File{
		"organization": landingbench.Separate(landingbench.Zone(accounts, 40, changed)), "network": landingbench.Rest(accounts, changed),
	} {
		if err := os.RemoveAll(filepath.Join(folder, part)); err != nil {
			return err
		}
		for _, f := range files {
			if err := writeFile(filepath.Join(folder, part), f); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeFile(folder string, f source.File) error {
	name := filepath.Join(folder, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, f.Data, 0o644)
}
