package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// A Journal is what a bucket holds, read back.
type Journal struct {
	// Objects are what a hub needs to go on: Migrations, Clusters, what else was
	// kept, and the chunks and heads of their ledgers.
	Objects []client.Object
	// Torn names files that were cut short. They stand for changes that nobody was
	// told are durable; the state before each of them is in Objects.
	Torn []string

	journal *journal
	roots   []string
}

// Open reads the journal in a bucket, or of it what is about some migrations, each as
// NAMESPACE/NAME. The error wraps ErrMissing if a page that is in the journal cannot
// be read whole. Opening changes nothing.
func Open(ctx context.Context, bucket *blob.Bucket, only ...string) (*Journal, error) {
	opened := &Journal{journal: newJournal(nil, bucket)}
	files, err := opened.journal.list(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	folders, roots := map[string][]string{}, map[string]bool{}
	for _, f := range files {
		parts := strings.SplitN(f.key, "/", 3)
		if len(parts) < 3 || len(only) > 0 && !slices.Contains(only, parts[0]+"/"+parts[1]) {
			continue
		}
		folders[path.Dir(f.key)] = append(folders[path.Dir(f.key)], f.key)
		roots[parts[0]+"/"+parts[1]] = true
	}
	opened.roots = slices.Sorted(maps.Keys(roots))
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		switch parts := strings.Split(folder, "/"); {
		case len(parts) == 4 && parts[2] == "ledger":
			err = opened.page(ctx, folders[folder])
		case len(parts) == 5 && parts[2] == "objects":
			err = opened.object(ctx, parts[3], folders[folder])
		}
		if err != nil {
			return nil, fmt.Errorf("open the journal: %w", err)
		}
	}
	return opened, nil
}

// page takes the newest whole head of a page, and the chunks that it lists.
func (o *Journal) page(ctx context.Context, keys []string) error {
	heads := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(path.Base(key), "head-") })
	for _, key := range slices.Backward(heads) {
		h, err := o.journal.head(ctx, key)
		if errors.Is(err, errTorn) {
			o.Torn = append(o.Torn, key)
			continue
		}
		if err != nil {
			return err
		}
		return o.take(ctx, h)
	}
	if len(heads) > 0 {
		return fmt.Errorf("%s: no head is whole: %w", path.Dir(keys[0]), ErrMissing)
	}
	return nil // chunks of a change that was never finished
}

func (o *Journal) take(ctx context.Context, h head) error {
	p := &page{pageID: h.pageID}
	entries := index{}
	for _, c := range h.Chunks {
		data, err := o.journal.chunk(ctx, h.pageID, c)
		if errors.Is(err, errNoFile) {
			return fmt.Errorf("%s: chunk %s of %d entries is gone: %w", h.pageID, c.name(), c.Entries, ErrMissing)
		}
		if err != nil {
			return err
		}
		read, err := c.open(data)
		if err != nil {
			return fmt.Errorf("%s: %w", h.pageID, err)
		}
		entries.cover(read)
		o.Objects = append(o.Objects, p.object(p.chunkName(c), c.Number, c.Entries, data))
	}
	object, err := p.headObject(h, len(entries))
	if err != nil {
		return err
	}
	o.Objects = append(o.Objects, object)
	return nil
}

// object takes the newest whole state of an object.
func (o *Journal) object(ctx context.Context, kind string, keys []string) error {
	for _, key := range slices.Backward(keys) {
		data, err := o.journal.get(ctx, key)
		if err != nil {
			return err
		}
		text, err := unseam(data)
		if err != nil {
			o.Torn = append(o.Torn, key)
			continue
		}
		made, err := cluster.Scheme().New(v1.GroupVersion.WithKind(kind))
		if err != nil {
			return fmt.Errorf("journal: %s: %w", key, err)
		}
		object := made.(client.Object)
		if err := json.Unmarshal(text, object); err != nil {
			return fmt.Errorf("journal: %s: %w", key, err)
		}
		o.Objects = append(o.Objects, object)
		return nil
	}
	return fmt.Errorf("%s: no file is whole: %w", path.Dir(keys[0]), ErrMissing)
}

// Restore fills a hub from the journal, and makes it the journal's keeper: the hub
// that kept it before, should it come back, can no longer write there. What stands
// in the new hub already and says the same is left; anything else of the same name
// is an error. Restoring may be repeated.
func (o *Journal) Restore(ctx context.Context, hub cluster.API) error {
	for _, object := range o.Objects {
		if err := restore(ctx, hub, object); err != nil {
			return fmt.Errorf("restore %T %s/%s: %w", object, object.GetNamespace(), object.GetName(), err)
		}
	}
	j := newJournal(hub, o.journal.bucket)
	if err := j.identify(ctx); err != nil {
		return err
	}
	for _, root := range o.roots {
		n, keeper, err := j.keeper(ctx, root)
		if err != nil {
			return err
		}
		if keeper == string(j.uid) {
			continue
		}
		if err := j.put(ctx, epochPrefix(root, n+1)+string(j.uid), nil); err != nil {
			return err
		}
	}
	return nil
}

func restore(ctx context.Context, hub cluster.API, object client.Object) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}}
	if err := hub.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create its namespace: %w", err)
	}
	made := object.DeepCopyObject().(client.Object)
	err := hub.Create(ctx, made)
	if apierrors.IsAlreadyExists(err) {
		if err := hub.Get(ctx, client.ObjectKeyFromObject(object), made); err != nil {
			return err
		}
		if !equality.Semantic.DeepEqual(spec(made), spec(object)) {
			return fmt.Errorf("the hub holds another object of this name")
		}
	} else if err != nil {
		return err
	}
	if _, plain := object.(*v1.Ledger); plain {
		return nil // has no status
	}
	uid, version := made.GetUID(), made.GetResourceVersion()
	made = object.DeepCopyObject().(client.Object)
	made.SetUID(uid)
	made.SetResourceVersion(version)
	return hub.Status().Update(ctx, made)
}

func spec(object client.Object) any {
	switch object := object.(type) {
	case *v1.Migration:
		return object.Spec
	case *v1.Cluster:
		return object.Spec
	case *v1.Move:
		return object.Spec
	case *v1.Freeze:
		return object.Spec
	case *v1.Ledger:
		return object.Spec
	}
	return nil
}
