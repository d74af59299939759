package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cli"
	"crossfade.dev/internal/migration"
	"crossfade.dev/internal/object"
	"crossfade.dev/internal/plan"
)

// A pinned state is what --save writes: a digest of every object of the estate, as
// teams see it. Values are not in it.
type pinned struct {
	Source string    `json:"source"`
	UID    string    `json:"uid,omitempty"`
	Saved  time.Time `json:"saved"`
	// Objects are digests by kind namespace/name.
	Objects map[string]string `json:"objects"`
}

// save pins the source's state, if that was asked for.
func (p *planning) save(m *v1.Migration) error {
	if p.o.Save == "" {
		return nil
	}
	state := pinned{Source: m.Spec.Source, Saved: p.clock.Now().UTC(), Objects: digests(p.source.Objects, migration.Scope(m))}
	if p.sourceFacts != nil {
		state.UID = string(p.sourceFacts.UID())
	}
	text, err := json.MarshalIndent(state, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.o.Save, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	return nil
}

// digests are those of the estate's objects that teams write. What controllers change
// by themselves all the time, and pods, are left out.
func digests(o plan.Objects, in func(string) bool) map[string]string {
	o.Leases, o.Pods, o.ReplicaSets, o.Jobs, o.Claims = nil, nil, nil, nil, nil
	var all []plan.Object
	o.Each(func(obj plan.Object) {
		ca, isMap := obj.(*corev1.ConfigMap)
		if ns := obj.GetNamespace(); ns != "" && in(ns) && (!isMap || ca.Name != "kube-root-ca.crt") {
			all = append(all, obj)
		}
	})
	out := make(map[string]string, len(all))
	var mu sync.Mutex
	var group sync.WaitGroup
	for part := range slices.Chunk(all, max(1, len(all)/runtime.GOMAXPROCS(0)+1)) {
		group.Go(func() {
			for _, obj := range part {
				u, err := object.Unstructured(obj)
				if err != nil {
					continue // every kind here converts; one that did not would be missing on both sides
				}
				digest := object.Digest(object.Canonical(u))
				mu.Lock()
				out[obj.GetObjectKind().GroupVersionKind().Kind+" "+obj.GetNamespace()+"/"+obj.GetName()] = digest
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return out
}

// runPinned reads the source again and returns a sentence for each way in which it is
// no longer as a plan saved it.
func runPinned(ctx context.Context, file string, o cli.PlanOptions) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--plan: %w", err)
	}
	var before pinned
	if err := json.Unmarshal(text, &before); err != nil {
		return nil, fmt.Errorf("--plan %q: %w", file, err)
	}
	p := planning{o: o, close: func() {}}
	defer func() { p.close() }()
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	var out []string
	if p.sourceFacts != nil && before.UID != "" && before.UID != string(p.sourceFacts.UID()) {
		return []string{fmt.Sprintf("the plan is of another cluster, %s", before.UID)}, nil
	}
	now := digests(p.source.Objects, migration.Scope(o.Migration))
	for _, name := range slices.Sorted(maps.Keys(now)) {
		switch was, there := before.Objects[name]; {
		case !there:
			out = append(out, name+" is new")
		case was != now[name]:
			out = append(out, name+" has changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Objects)) {
		if _, there := now[name]; !there {
			out = append(out, name+" is gone")
		}
	}
	return out, nil
}
