package bench

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// CROSSFADE_IPAM_PEER names the built tools/ipam-peer, CROSSFADE_IPAM_OPERATIONS
// how many operations the trace has.
func TestAddresses(t *testing.T) {
	operations := number(t, "CROSSFADE_IPAM_OPERATIONS", 200_000)
	var peer *exec.Cmd
	if path := os.Getenv("CROSSFADE_IPAM_PEER"); path != "" {
		peer = exec.CommandContext(t.Context(), path)
	}
	var out strings.Builder
	if err := Addresses(t.Context(), &out, operations, peer); err != nil {
		t.Error(err)
	}
	t.Log("\n" + out.String())
}

// With -race this is the proof that goroutines do not meet.
func TestNothingOverlapsTogether(t *testing.T) {
	var out strings.Builder
	if err := together(&out, trace(3, 100_000, 12, 10_000, 1.05), 12); err != nil {
		t.Fatal(err)
	}
}

// In pools of 1,024 and of 64 of the largest networks, at most one request in 1,000
// more is refused than go-ipam's placement refuses, and at half fill at least half of
// the networks can double.
func TestRoomCostsAlmostNoRefusals(t *testing.T) {
	for _, pool := range []int{8, 12} {
		ops := trace(1, 300_000, pool, 50_000, 1.05)
		s, err := space(pool)
		if err != nil {
			t.Fatal(err)
		}
		model, names := newBestFit(24-pool), tokens(requestsOf(ops))
		more := 0
		var looks tally
		for i, op := range ops {
			if op.release {
				_, _ = s.Release(names[op.id]) // nothing if it was refused
				model.release(op.id)
				continue
			}
			if _, err := s.Allocate(request(names[op.id], int(op.length))); err != nil {
				more++
			}
			if _, ok := model.allocate(op.id, int(op.length)-pool); !ok {
				more--
			}
			if i%100 == 0 {
				u := s.Usages()[0]
				looks.add(u.CanDouble, u.Networks, u.Given)
			}
		}
		if more > len(names)/1000 {
			t.Errorf("a /%d: %d requests more are refused, of %d", pool, more, len(names))
		}
		if half := looks.share[5] / looks.looks[5]; half < 0.5 {
			t.Errorf("a /%d: %.0f %% can double at half fill", pool, 100*half)
		}
	}
}

func number(t *testing.T, name string, fallback int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
