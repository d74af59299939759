package bench

import (
	"testing"
	"time"

	"crossfade.dev/internal/landing/folder"
)

// What is measured is a landing zone without errors.
func TestZonesHaveNoErrors(t *testing.T) {
	for _, changed := range []bool{false, true} {
		zone := folder.Load(append(Separate(Zone(100, 4, changed)), Rest(100, changed)...), time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC))
		if errors := zone.Findings.Errors(); len(errors) > 0 {
			t.Errorf("changed %v: %d errors, the first %v", changed, len(errors), errors[0])
		}
		if len(zone.Guardrails.Accounts) != 100 || len(zone.Addresses.Claims) != 100 || len(zone.Networks[0].Attachments) != 100 {
			t.Errorf("changed %v: %s", changed, zone.Counts())
		}
	}
}
