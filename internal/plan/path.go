package plan

import "crossfade.dev/internal/zone"

// OnPath are the record sets whose TTLs count when the names of a zone are led
// elsewhere: its own addresses, aliases, NS and SOA, and the parent's NS for it. It is
// signed if the parent holds DS records for it.
func OnPath(name string, own, parent []zone.RecordSet) (sets []zone.RecordSet, signed bool) {
	for _, s := range own {
		switch s.Type {
		case "A", "AAAA", "CNAME", "SOA":
			sets = append(sets, s)
		case "NS":
			if s.Name == name {
				sets = append(sets, s)
			}
		}
	}
	for _, s := range parent {
		if s.Name != name {
			continue
		}
		signed = signed || s.Type == "DS"
		if s.Type == "NS" {
			sets = append(sets, s)
		}
	}
	return sets, signed
}
