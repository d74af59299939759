package ttl

import (
	"fmt"
	"strings"
	"time"

	"crossfade.dev/internal/zone"
)

// Sources of what is said.
const (
	caching    = "RFC 1034 section 3.6, RFC 1035 section 3.2.1"
	negative   = "RFC 2308 sections 3 and 5"
	ranking    = "RFC 2181 section 5.4.1; measured with four resolvers"
	stale      = "RFC 8767 sections 4 and 5"
	failures   = "RFC 9520 section 3.2"
	signing    = "RFC 4035 section 5, RFC 8901"
	extended   = "8,524 resolvers, in TTL Violation of DNS Resolvers in the Wild, PAM 2023"
	registries = "RFC 1034 section 4.2.1"
)

// advise says what to know and do.
func advise(f Facts, p path, r Report) []Advice {
	var out []Advice
	say := func(when bool, source, format string, args ...any) {
		if when {
			out = append(out, Advice{Text: fmt.Sprintf(format, args...), Source: source})
		}
	}
	span := func(seconds uint32) string { return (time.Duration(seconds) * time.Second).String() }
	say(p.signed, signing, "The parent holds a DS record. Publish both services' keys in both copies of the zone first, or take the DS away and wait out its TTL: until then resolvers that validate refuse the new servers' answers.")
	say(p.parent == 0, caching, "The parent's NS set for %s was not seen, so how long its delegation is kept is unknown. Ask a server of the parent zone.", f.Zone)
	say(!p.started, negative, "The zone's SOA was not seen, so how long \"no such name\" is kept is unknown.")
	say(len(r.Lower) > 0, caching, "Lower %d TTLs to %d s now, and start no earlier than %s: until then resolvers may hold answers with the old ones, the longest for %s. Preflight does both.",
		len(r.Lower), f.Ceiling, r.Safe.UTC().Format(time.RFC3339), zone.OldAnswers(p.sets).Round(time.Second))
	say(len(r.Lower) == 0, caching, "Every TTL on the path is at %d s or below: a start is safe now.", f.Ceiling)
	say(p.fixed && p.parent > f.Ceiling, registries, "The parent is a top-level domain, and the TTL of its NS set (%s) is the registry's: nobody lowers it. Leave the delegation until last, when changing it changes no answer.", span(p.parent))
	say(p.apex > 0 && p.parent > 0 && p.apex != p.parent, ranking, "The parent's NS set is kept for %s and the zone's own for %s. Resolvers obey one or the other, and some never leave the servers that they know. Lead names in the old zone first; the delegation follows when both copies answer alike.", span(p.parent), span(p.apex))
	say(p.negative > f.Ceiling, negative, "\"No such name\" is kept for %s (the lower of the SOA's TTL and its minimum). Create names at the new servers before anybody can ask for them.", span(p.negative))
	about := len(out)
	say(true, stale, "Keep the old servers answering until long after Release. Resolvers that serve stale answers when no server answers may do so for days; those that do not would fail.")
	say(true, failures, "Never let the old servers refuse the zone: resolvers remember failures for up to 5 minutes, and their clients see them.")
	say(true, extended, "Some resolvers (8.74 %%) hold answers longer than they are told. Their clients enter the source for as long as its ingress stands, and the bridge serves them: retire the source when its servers and ingress see nothing any more.")
	for i := about; i < len(out); i++ {
		out[i].Always = true
	}
	return out
}

// topLevel tells whether the zone that delegates is a top-level domain: what it holds
// of itself has one label.
func topLevel(parent []zone.RecordSet, name string) bool {
	for _, s := range parent {
		if s.Type == "SOA" {
			return !strings.Contains(s.Name, ".")
		}
	}
	return strings.Count(name, ".") == 1
}
