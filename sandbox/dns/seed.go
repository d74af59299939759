package dns

import (
	"hash/fnv"
	"math/rand/v2"
)

// seeded returns a random source of its own for each purpose, so that what one
// part draws does not depend on what others drew.
func seeded(seed uint64, purpose string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}
