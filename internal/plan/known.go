package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Known remembers what the workloads of one cluster showed when the inventory was
// taken last. What lasts for a generation is not looked for again: API servers count
// it up with every change of a spec (API conventions, "Metadata"). Workloads that have
// no UID or no generation, as in files, are looked at every time. The zero value knows
// nothing. Its method must not be called twice at once.
type Known struct {
	shown map[state]*shown
}

// A state is a workload as far as its lasting signs go.
type state struct {
	uid        types.UID
	generation int64
	served     bool
}

// shown is the evidence that the lasting signs found, "" for none, by their place in
// signs; looked says which have been looked for.
type shown struct {
	looked   [len(signs)]bool
	evidence [len(signs)]string
}

// of is what is known of a workload, to be added to. It is kept in next.
func (k *Known) of(meta *metav1.ObjectMeta, served bool, next map[state]*shown) *shown {
	s := state{meta.UID, meta.Generation, served}
	if s.uid == "" || s.generation == 0 {
		return &shown{}
	}
	known := k.shown[s]
	if known == nil {
		known = &shown{}
	}
	next[s] = known
	return known
}
