package dns

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Handler serves what a person or a gate may want to know:
//
//	GET  /counts                 queries per server, zone, client and response code, as JSON
//	GET  /zones                  the ids of the zones
//	GET  /zones/ID[?server=IP]   a zone's records, as one of its servers shows them
//	GET  /caches/IP              what a resolver has cached
//	POST /caches/IP/flush        empty that cache
//	GET  /healthz
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Counts()) })
	mux.HandleFunc("GET /zones", s.serveZones)
	mux.HandleFunc("GET /zones/{id}", s.serveZone)
	mux.HandleFunc("GET /caches/{address}", s.serveCache)
	mux.HandleFunc("POST /caches/{address}/flush", s.flushCache)
	return mux
}

func (s *Service) serveZones(w http.ResponseWriter, _ *http.Request) {
	ids := []string{}
	for _, zone := range s.zones {
		ids = append(ids, zone.ID)
	}
	writeJSON(w, ids)
}

func (s *Service) serveZone(w http.ResponseWriter, request *http.Request) {
	id := request.PathValue("id")
	at := slices.IndexFunc(s.zones, func(zone *heldZone) bool { return zone.ID == id })
	if at < 0 {
		http.Error(w, "no zone has this id", http.StatusNotFound)
		return
	}
	zone := s.zones[at]
	server := zone.Servers[0]
	if asked := request.FormValue("server"); asked != "" {
		parsed, err := netip.ParseAddr(asked)
		if err != nil || !slices.Contains(zone.Servers, parsed) {
			http.Error(w, "this server does not hold the zone", http.StatusNotFound)
			return
		}
		server = parsed
	}
	for _, rr := range zone.at(server).records() {
		fmt.Fprintln(w, rr)
	}
}

func (s *Service) cacheOf(w http.ResponseWriter, request *http.Request) *resolver {
	address, err := netip.ParseAddr(request.PathValue("address"))
	if err != nil || s.resolvers[address] == nil {
		http.Error(w, "no resolver has this address", http.StatusNotFound)
		return nil
	}
	return s.resolvers[address]
}

func (s *Service) serveCache(w http.ResponseWriter, request *http.Request) {
	if r := s.cacheOf(w, request); r != nil {
		fmt.Fprint(w, strings.Join(r.dump(), "\n"), "\n")
	}
}

func (s *Service) flushCache(w http.ResponseWriter, request *http.Request) {
	if r := s.cacheOf(w, request); r != nil {
		r.cache.flush()
		w.WriteHeader(http.StatusNoContent)
	}
}

// dump lists a cache, a line for each set with the seconds it has left.
func (r *resolver) dump() []string {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	now := r.now()
	var lines []string
	for _, d := range r.cache.delegations {
		if left := d.expires.Sub(now); left > 0 {
			lines = append(lines, fmt.Sprintf("servers\t%s\t%.0fs\tfrom-child=%t\t%s", d.zone, left.Seconds(), d.authoritative, strings.Join(d.hosts, " ")))
		}
	}
	for key, found := range r.cache.entries {
		left := found.expires.Sub(now)
		if left <= 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%.0fs\t%d records\trcode %d", key.name, typeName(key.rrtype), left.Seconds(), len(found.rrs), found.rcode))
	}
	slices.Sort(lines)
	return lines
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
