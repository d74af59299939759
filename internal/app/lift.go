package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/freeze"
)

// runLift lifts freezes in one cluster. It does not wait for the fence: whoever
// holds it may be what has to be survived.
func runLift(ctx context.Context, o cli.LiftOptions) ([]string, error) {
	c, err := reachContext(ctx, "--context", o.Kubeconfig, o.Context)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	lifted, err := lift(ctx, c.Unfenced(), o.Migration)
	if err != nil {
		return nil, fmt.Errorf("--context %q: %w", o.Context, err)
	}
	return lifted, nil
}

// lift removes the freeze of a migration, or all of them.
func lift(ctx context.Context, api cluster.API, migration string) ([]string, error) {
	standing, err := freeze.Standing(ctx, api)
	if err != nil {
		return nil, err
	}
	var lifted, others []string
	for _, f := range standing {
		if migration != "" && f.Migration != migration {
			others = append(others, f.Migration)
			continue
		}
		if err := freeze.Lift(ctx, api, f.Migration); err != nil {
			return nil, err
		}
		lifted = append(lifted, liftedSentence(f))
	}
	if len(lifted) == 0 && len(others) > 0 {
		return nil, fmt.Errorf("%w: no freeze of migration %s stands; there are those of %s", cli.ErrNo, migration, strings.Join(others, ", "))
	}
	return lifted, nil
}

func liftedSentence(f freeze.Freeze) string {
	text := "lifted the freeze of migration " + f.Migration
	if !f.Since.IsZero() {
		text += ", which stood since " + f.Since.UTC().Format(time.RFC3339)
	}
	if !f.Bound {
		text += " and refused nothing"
	}
	return text
}
