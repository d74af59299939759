package mirrorbench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/bench"
)

// Of the copy that is killed: it has so many objects, and is killed so often.
const (
	killedObjects = 10000
	kills         = 10
)

// killSeed makes the moments of the kills; it is printed.
const killSeed = 1

// measureKills ends the mirror ten times in the middle of a copy with kill -9, at
// random moments, and then lets it finish.
func measureKills(ctx context.Context, s *bench.Sheet) error {
	b, err := start(ctx, s.Narration)
	if err != nil {
		return err
	}
	defer b.end()
	objects := secrets("killed", killedObjects)
	if _, err := b.source.post(ctx, objects); err != nil {
		return err
	}
	before, err := b.target.writes(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.narration, "mirror-kill: seed %d\n", killSeed)
	done, err := b.killed(ctx, rand.New(rand.NewPCG(killSeed, 0)), len(objects))
	if err != nil {
		return err
	}
	after, err := b.target.writes(ctx)
	if err != nil {
		return err
	}
	differences, err := b.differences(ctx, "killed")
	if err != nil {
		return err
	}
	s.Record("mirror-kill-times", float64(done), "kills")
	s.Record("mirror-kill-extra-writes", 100*float64(after-before-len(objects))/float64(len(objects)), "%")
	s.Record("mirror-kill-differences", float64(differences), "objects")
	if done < kills {
		return fmt.Errorf("the copy was over after %d of %d kills", done, kills)
	}
	return nil
}

// killed ends the mirror each time that it has written another share of the objects,
// at a moment within that share that chance chooses, and lets it come to its end.
func (b *benchmark) killed(ctx context.Context, random *rand.Rand, objects int) (int, error) {
	done := 0
	for ; done < kills; done++ {
		at := (done*objects + random.IntN(objects)) / (kills + 1)
		f, err := b.follow(ctx, "killed")
		if err != nil {
			return done, err
		}
		reached, err := b.awaitCopies(ctx, f, at)
		f.kill()
		if err != nil || !reached {
			return done, err
		}
	}
	_, err := b.copy(ctx, "killed", objects)
	return done, err
}

// awaitCopies waits until the target has so many of the objects. It returns false if
// the mirror was level before.
func (b *benchmark) awaitCopies(ctx context.Context, f *follower, want int) (bool, error) {
	deadline := time.Now().Add(patience)
	for {
		if f.pass().Level {
			return false, nil
		}
		have, err := b.target.writes(ctx)
		if err != nil || have >= want {
			return true, err
		}
		if time.Now().After(deadline) {
			return false, fmt.Errorf("the target has %d of %d copies after %s", have, want, patience)
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// differences counts the Secrets of a namespace that are not the same on both sides.
func (b *benchmark) differences(ctx context.Context, namespace string) (int, error) {
	var sides [2]map[types.NamespacedName]map[string][]byte
	for i, p := range []*plane{b.source, b.target} {
		var list corev1.SecretList
		if err := p.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return 0, err
		}
		sides[i] = map[types.NamespacedName]map[string][]byte{}
		for j := range list.Items {
			sides[i][client.ObjectKeyFromObject(&list.Items[j])] = list.Items[j].Data
		}
	}
	differing := 0
	for name, data := range sides[0] {
		if !reflect.DeepEqual(data, sides[1][name]) {
			differing++
		}
	}
	for name := range sides[1] {
		if _, is := sides[0][name]; !is {
			differing++
		}
	}
	return differing, nil
}
