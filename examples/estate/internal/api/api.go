// Package api is the platform's core API: the catalogue of titles, and events that
// are counted in the key-value store.
//
// An event is counted once for each request that was answered with 201. A request
// that got another answer, or none, may have been counted or not: the API never
// sends an increment twice.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

	"crossfade.dev/examples/estate/internal/pod"
)

// Connections is how many connections each pod may hold to the store: a store has
// a limit of its own, and while an estate moves there are more pods than usual.
const Connections = 4

// probeTimeout is shorter than the timeout of the readiness probe.
const probeTimeout = 800 * time.Millisecond

// An Event is what a client counts, and the answer to it.
type Event struct {
	ID    string `json:"id"`
	Count int64  `json:"count"`
}

// A Title is something to watch.
type Title struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Minutes int    `json:"minutes"`
}

var titles = []Title{
	{"t-001", "The Long Cut", 104},
	{"t-002", "Night Ferry", 92},
	{"t-003", "A Desk by the Window", 118},
	{"t-004", "Second Unit", 47},
	{"t-005", "Low Tide", 96},
	{"t-006", "The Gaffer's Daughter", 131},
	{"t-007", "Test Card", 25},
	{"t-008", "Room Tone", 88},
}

// idPattern keeps the ids of events short, and free of what separates keys.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// Handler serves the API over store.
func Handler(store *redis.Client) http.Handler {
	a := &server{store: store}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", a.count)
	mux.HandleFunc("GET /v1/events/{id}", a.counted)
	mux.HandleFunc("GET /v1/catalog", a.catalog)
	mux.HandleFunc("GET /healthz", pod.Healthy)
	mux.HandleFunc("GET /readyz", a.ready)
	return mux
}

type server struct {
	store *redis.Client
}

func (a *server) count(w http.ResponseWriter, r *http.Request) {
	var event Event
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&event); err != nil {
		http.Error(w, "the body must be an object like {\"id\":\"e-1\"}: "+err.Error(), http.StatusBadRequest)
		return
	}
	if !idPattern.MatchString(event.ID) {
		badID(w)
		return
	}
	count, err := a.store.Incr(r.Context(), key(event.ID)).Result()
	if err != nil {
		http.Error(w, "count event "+event.ID+": "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	pod.JSON(w, http.StatusCreated, Event{ID: event.ID, Count: count})
}

// counted answers 0 for an event that was never counted.
func (a *server) counted(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !idPattern.MatchString(id) {
		badID(w)
		return
	}
	count, err := a.store.Get(r.Context(), key(id)).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		http.Error(w, "read event "+id+": "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	pod.JSON(w, http.StatusOK, Event{ID: id, Count: count})
}

func (a *server) catalog(w http.ResponseWriter, _ *http.Request) {
	pod.JSON(w, http.StatusOK, titles)
}

func (a *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	if err := a.store.Ping(ctx).Err(); err != nil {
		pod.NotReady(w, "the store does not answer: "+err.Error())
		return
	}
	pod.Healthy(w, r)
}

func key(id string) string { return "events:" + id }

func badID(w http.ResponseWriter) {
	http.Error(w, "the id must match "+idPattern.String(), http.StatusBadRequest)
}
