package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Name makes an object name of parts: legible, at most 63 characters, and unique
// for the parts even where they had to be cut.
func Name(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	suffix := "-" + hex.EncodeToString(sum[:4])
	name := strings.ToLower(strings.Join(parts, "-"))
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(name[:min(len(name), 63-len(suffix))], "-") + suffix
}
