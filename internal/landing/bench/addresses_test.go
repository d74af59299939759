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
	if err := together(&out, trace(3, 100_000, 12, 10_000, 0.05, 1.05), 12); err != nil {
		t.Fatal(err)
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
