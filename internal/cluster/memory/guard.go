package memory

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
)

// guard keeps the digest of an object that is stored; new is nil when it is gone.
func (c *Cluster) guard(r ref, new Object) {
	switch {
	case !c.options.Guard:
	case new == nil:
		delete(c.digests, r)
	default:
		c.digests[r] = digest(new)
	}
}

// Tampered names the objects that are no longer as they were stored, because a
// reader changed what was lent to it by UnsafeDisableDeepCopy. It needs Options.Guard.
func (c *Cluster) Tampered() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var changed []string
	for r, want := range c.digests {
		if digest(c.tables[r.kind].get(r.key)) != want {
			changed = append(changed, fmt.Sprintf("%s %s", r.kind.Kind, r.key))
		}
	}
	slices.Sort(changed)
	return changed
}

func digest(obj Object) uint64 {
	data, err := json.Marshal(obj)
	if err != nil {
		panic(fmt.Errorf("write out %s: %w", obj.GetName(), err))
	}
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}
