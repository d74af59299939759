package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"crossfade.dev/internal/bench"
	"crossfade.dev/internal/bench/mirrorbench"
	"crossfade.dev/internal/cli"
)

// rows are what can be measured, in the order in which it is; package bench says
// how to add one.
func rows(streams cli.Streams, o cli.BenchOptions) []bench.Row {
	return slices.Concat(demoRows(streams, o), mirrorbench.Rows(), mirrorbench.PlanRows(), roomRows(), landingRows(), addressRows())
}

// runBench measures a part, or all there are, and writes a line for each figure.
// What was measured is kept whatever was wrong.
func runBench(ctx context.Context, streams cli.Streams, o cli.BenchOptions) error {
	ctrl.SetLogger(logr.Discard()) // clients would complain that nobody wants their log
	all := rows(streams, o)
	if o.Part != "" {
		all = slices.DeleteFunc(all, func(row bench.Row) bool { return row.Part != o.Part })
	}
	sheet := bench.NewSheet(streams.Out, streams.Err)
	wrong := sheet.Run(ctx, all)
	if o.Out != "" {
		if err := sheet.Keep(o.Out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	if wrong != nil {
		return fmt.Errorf("%w: %w", cli.ErrNo, wrong)
	}
	return nil
}
