package migration

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// known is what the inventory of each migration showed last. It only saves work: a
// restart looks at everything once more.
type known struct {
	mu sync.Mutex
	of map[types.NamespacedName]*plan.Known
}

// in is what is known of a migration, to be added to.
func (k *known) in(m *v1.Migration) *plan.Known {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := client.ObjectKeyFromObject(m)
	if k.of[key] == nil {
		if k.of == nil {
			k.of = map[types.NamespacedName]*plan.Known{}
		}
		k.of[key] = &plan.Known{}
	}
	return k.of[key]
}

func (k *known) forget(key types.NamespacedName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, key)
}
