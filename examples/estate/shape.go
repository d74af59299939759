package estate

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
)

// An app is a row of the catalogue with everything about it decided.
type app struct {
	row
	unit string // business unit
	team string
	zone string

	image        string
	version      string
	port         int32 // of the container
	readiness    probe
	lives        bool  // has a liveness probe
	grace        int64 // seconds; 0 leaves Kubernetes' 30
	sleeps       int64 // seconds before it stops; 0 means none
	rolling      rolling
	minReady     int32 // seconds
	milliCPU     int64
	memoryMi     int64
	limited      bool // has limits too
	locked       bool // has a strict security context
	scratch      bool // has an empty volume
	randomSecret string
}

type probe string

const (
	noProbe   probe = ""
	httpProbe probe = "http"
	tcpProbe  probe = "tcp"
	grpcProbe probe = "grpc"
)

// rolling is the strategy of a rolling update: its maxSurge and maxUnavailable;
// empty leaves Kubernetes' quarters.
type rolling struct{ surge, unavailable string }

// shape decides about everything that r leaves open. baseNamespace is the
// catalogue's namespace, which decides the business unit.
func shape(r row, baseNamespace string, options Options) app {
	random := randomFor(options.Seed, r.namespace+"/"+r.name)
	a := app{
		row:          r,
		unit:         unitOf[baseNamespace],
		team:         "team-" + r.namespace,
		zone:         options.Zone,
		version:      fmt.Sprintf("1.%d.%d", random.IntN(9), random.IntN(20)),
		port:         8080,
		readiness:    pick(random, httpProbe, httpProbe, httpProbe, tcpProbe, noProbe),
		lives:        random.IntN(3) == 0,
		grace:        pick[int64](random, 0, 0, 30, 45, 10, 15),
		sleeps:       pick[int64](random, 0, 0, 0, 1, 2),
		rolling:      pick(random, rolling{}, rolling{"1", "0"}, rolling{"25%", "0"}, rolling{"1", "1"}, rolling{"50%", "25%"}),
		minReady:     pick[int32](random, 0, 0, 0, 1, 2),
		milliCPU:     pick[int64](random, 5, 10, 20, 25),
		memoryMi:     pick[int64](random, 16, 24, 32, 48),
		limited:      random.IntN(2) == 0,
		locked:       random.IntN(3) == 0,
		scratch:      random.IntN(4) == 0,
		randomSecret: token(random, 24),
	}
	if a.replicas == 0 {
		a.replicas = pick[int32](random, 1, 2, 2, 2, 3, 3, 4, 6)
	}
	a.image = fmt.Sprintf("registry.example.com/%s/%s:%s", a.unit, a.name, a.version)
	a.settle()
	return a
}

// settle makes the shape fit what the features and the role say.
func (a *app) settle() {
	switch {
	case a.has(grpc):
		a.port, a.readiness = 9000, grpcProbe
	case a.has(statefulSet):
		a.port, a.readiness, a.grace = 5432, tcpProbe, 0
	case a.has(queueClient | daemonSet):
		a.readiness = noProbe
	}
	if a.role == "" {
		return
	}
	a.version, a.image = "v1", a.role.Image()
	a.readiness, a.lives = httpProbe, true
	a.sleeps, a.scratch, a.locked = 0, false, false // the services drain by themselves
	switch a.role {
	case Store:
		a.port, a.readiness, a.grace = 6379, tcpProbe, 5
	case Origin:
		a.grace = 15
	case Web, API:
		a.grace = 30
	}
}

// has holds when a has any of the features.
func (a *app) has(any feature) bool { return a.features&any != 0 }

// graceSeconds is the time from the order to stop until the pod is killed.
func (a *app) graceSeconds() int64 {
	if a.grace == 0 {
		return defaultGraceSeconds
	}
	return a.grace
}

// randomFor depends on nothing but the seed and the name, so that an application
// stays the same however many there are beside it.
func randomFor(seed int64, name string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return rand.New(rand.NewPCG(uint64(seed), hash.Sum64()))
}

func pick[T any](random *rand.Rand, choices ...T) T {
	return choices[random.IntN(len(choices))]
}

func token(random *rand.Rand, length int) string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789"
	var b strings.Builder
	for range length {
		b.WriteByte(letters[random.IntN(len(letters))])
	}
	return b.String()
}
