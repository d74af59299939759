package app

import (
	"io"
	"strings"
	"testing"

	"crossfade.dev/internal/bench"
)

func TestTheCapacityOfALargeEstateIsPlanned(t *testing.T) {
	var out strings.Builder
	sheet := bench.NewSheet(&out, io.Discard)
	if err := sheet.Run(t.Context(), roomRows()); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	for _, name := range []string{"plan-capacity-seconds ", "plan-capacity-rooms 16 ", "plan-capacity-pods 20000 "} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("no figure %s:\n%s", name, out.String())
		}
	}
}
