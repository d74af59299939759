package migration

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// known is what looks at each migration showed last. It only saves work: a restart
// looks at everything once more.
type known struct {
	mu sync.Mutex
	of map[types.NamespacedName]*looked
}

// A looked is what the last look at a migration showed, as long as the objects are the
// same that it is known of.
type looked struct {
	plan   plan.Known
	from   states       // of the inventory
	estate *plan.Estate // shared, and not to be changed

	pods      [2]podsKnown // by side
	audiences [2]audiencesKnown
}

// podsKnown is whose pods are, audiencesKnown who is behind Services.
type podsKnown struct {
	from  states
	of    map[client.ObjectKey]string // nil if it is not known
	loose []*metav1.PartialObjectMetadata
}

type audiencesKnown struct {
	from states
	of   map[client.ObjectKey]audience
}

// in is what is known of a migration, to be added to.
func (k *known) in(m *v1.Migration) *looked {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := client.ObjectKeyFromObject(m)
	if k.of[key] == nil {
		if k.of == nil {
			k.of = map[types.NamespacedName]*looked{}
		}
		k.of[key] = &looked{}
	}
	return k.of[key]
}

func (k *known) forget(key types.NamespacedName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, key)
}

// indexOf is the place of a side in what is known by side.
func indexOf(side v1.Side) int {
	if side == v1.Source {
		return 0
	}
	return 1
}

// states are the objects of some lists, in their order, each in one of its states.
type states struct {
	all     []objectState
	seen    int
	changed bool
}

// An objectState is one object as its resourceVersion has it.
type objectState struct {
	uid     types.UID
	version string
}

// see goes on with the next object.
func (s *states) see(uid types.UID, version string) {
	now := objectState{uid, version}
	switch {
	case s.seen == len(s.all):
		s.all, s.changed = append(s.all, now), true
	case s.all[s.seen] != now:
		s.all[s.seen], s.changed = now, true
	}
	s.seen++
}

// same ends a look, and tells whether it saw what the one before it did.
func (s *states) same() bool {
	same := !s.changed && s.seen == len(s.all)
	s.all, s.seen, s.changed = s.all[:s.seen], 0, false
	return same
}

// seeAll goes on with a list.
func seeAll[T any, P object[T]](s *states, list []P) {
	for _, o := range list {
		s.see(o.GetUID(), o.GetResourceVersion())
	}
}
