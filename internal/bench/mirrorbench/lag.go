package mirrorbench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lags changes objects of the source so many times a second, and returns for each
// change how long after the source's answer the target showed it.
func (b *benchmark) lags(ctx context.Context, perSecond int, lasting time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := b.target.client.Watch(ctx, &corev1.ConfigMapList{}, client.MatchingLabels{changing: "true"})
	if err != nil {
		return nil, err
	}
	defer watch.Stop()
	var mu sync.Mutex
	written, shown := map[string]time.Time{}, map[string]time.Time{}
	go func() {
		for event := range watch.ResultChan() {
			if c, is := event.Object.(*corev1.ConfigMap); is {
				mu.Lock()
				if _, seen := shown[c.Data["turn"]]; !seen {
					shown[c.Data["turn"]] = time.Now()
				}
				mu.Unlock()
			}
		}
	}()
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(4 * perSecond)
	ticks := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticks.Stop()
	turns := int(lasting.Seconds()) * perSecond
	for turn := range turns {
		select {
		case <-writing.Done():
			return nil, errCause(group, writing)
		case <-ticks.C:
		}
		group.Go(func() error {
			err := b.change(writing, turn)
			mu.Lock()
			defer mu.Unlock()
			written[fmt.Sprint(turn)] = time.Now()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return awaitShown(ctx, turns, &mu, written, shown)
}

// errCause is why a group was cancelled.
func errCause(group *errgroup.Group, ctx context.Context) error {
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// awaitShown waits until the target has shown every change. An object is changed again
// only after a whole round, so that a change is hidden by the next one only if the
// mirror is seconds behind: then it counts from when the next one was shown.
func awaitShown(ctx context.Context, turns int, mu *sync.Mutex, written, shown map[string]time.Time) ([]time.Duration, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		var lags []time.Duration
		mu.Lock()
		for turn := range turns {
			for later := turn; later < turns; later += objectsChanged {
				if at, seen := shown[fmt.Sprint(later)]; seen {
					lags = append(lags, max(0, at.Sub(written[fmt.Sprint(turn)])))
					break
				}
			}
		}
		mu.Unlock()
		if len(lags) == turns {
			return lags, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the target has shown %d of %d changes a minute after the last one", len(lags), turns)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// change writes the number of a turn into one of the changing objects.
func (b *benchmark) change(ctx context.Context, turn int) error {
	name := fmt.Sprintf("changing-%03d", turn%objectsChanged)
	patch := fmt.Sprintf(`{"data":{"turn":"%d"}}`, turn)
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: changingNamespace, Name: name}}
	return b.source.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner("helm"))
}

// quantile is the nearest-rank quantile.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
