// Package delay draws the waits that a real cluster has (a load balancer takes
// seconds to get its address) from a seed, so that a run can be repeated.
package delay

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// A Range is the shortest and the longest of a kind of delay, written "5s-30s";
// "2s" is both. It is a flag's value and a JSON or YAML string.
type Range struct{ Min, Max time.Duration }

// Parse reads a Range.
func Parse(text string) (Range, error) {
	low, high, found := strings.Cut(text, "-")
	if !found {
		high = low
	}
	var r Range
	var err error
	if r.Min, err = time.ParseDuration(low); err != nil {
		return Range{}, err
	}
	if r.Max, err = time.ParseDuration(high); err != nil {
		return Range{}, err
	}
	if r.Max < r.Min {
		return Range{}, fmt.Errorf("range %q runs backwards", text)
	}
	return r, nil
}

// Set is Parse for a flag.
func (r *Range) Set(text string) (err error) {
	*r, err = Parse(text)
	return err
}

// Type names the value in a command's usage.
func (r *Range) Type() string { return "range" }

// String writes what Parse reads.
func (r Range) String() string {
	if r.Min == r.Max {
		return r.Min.String()
	}
	return r.Min.String() + "-" + r.Max.String()
}

// UnmarshalJSON is Parse for a JSON string.
func (r *Range) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	return r.Set(text)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (r Range) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// Draw returns a delay of the range.
func (r Range) Draw(random *rand.Rand) time.Duration {
	if r.Max <= r.Min {
		return r.Min
	}
	return r.Min + time.Duration(random.Int64N(int64(r.Max-r.Min)+1))
}

// For returns the delay that belongs to a purpose ("address of shop/web"): the
// same for the same seed, whatever else was drawn before.
func (r Range) For(seed uint64, purpose string) time.Duration {
	return r.Draw(Random(seed, purpose))
}

// Random returns a source of its own for a purpose.
func Random(seed uint64, purpose string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}
