package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
	"crossfade.dev/internal/object"
)

// pageSize is how many objects are in memory at once.
const pageSize = 500

// Options say what to archive, and where.
type Options struct {
	// Namespaces is true for the namespaces of the estate. Objects without a
	// namespace are archived in any case, except those that clusters furnish.
	Namespaces func(string) bool
	// Name is the archive's folder in the bucket; it must not exist yet.
	Name string
	// Recipients may read the Secrets.
	Recipients []age.Recipient
	Clock      clock.PassiveClock
}

// Take archives a cluster. Each kind is shown as it was at one moment, kinds one
// after the other. After an error nothing counts as an archive; the next one takes
// another name.
func Take(ctx context.Context, from Cluster, bucket *blob.Bucket, o Options) (Manifest, error) {
	t := &taking{Options: o, from: from, bucket: bucket, scope: scope{o.Namespaces}}
	m, err := t.take(ctx)
	if err != nil {
		return Manifest{}, fmt.Errorf("archive %s: %w", o.Name, err)
	}
	return m, nil
}

type taking struct {
	Options
	scope
	from   Cluster
	bucket *blob.Bucket
}

func (t *taking) take(ctx context.Context) (Manifest, error) {
	m := Manifest{Format: format, Name: t.Name, Cluster: t.from.UID(), Began: t.Clock.Now().UTC(), Secrets: Encrypted}
	if len(t.Recipients) == 0 {
		m.Secrets = DataLeftOut
	}
	var err error
	if m.Version, err = t.from.Version(ctx); err != nil {
		return m, fmt.Errorf("ask for the version: %w", err)
	}
	kinds, err := t.from.Kinds(ctx)
	if err != nil {
		return m, fmt.Errorf("ask what the cluster serves: %w", err)
	}
	for _, kind := range inOrder(kinds) {
		file, err := t.kind(ctx, kind)
		if err != nil {
			return m, fmt.Errorf("%s: %w", kind.GroupKind(), err)
		}
		if file.Objects > 0 {
			m.Files = append(m.Files, file)
			m.Objects += file.Objects
		}
	}
	for _, kind := range kinds {
		left, err := t.leftOut(ctx, kind)
		if err != nil {
			return m, fmt.Errorf("%s: %w", kind.GroupKind(), err)
		}
		if left.Objects > 0 {
			m.LeftOut = append(m.LeftOut, left)
		}
	}
	m.Ended = t.Clock.Now().UTC()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("write the manifest as JSON: %w", err)
	}
	if err := t.bucket.WriteAll(ctx, manifestKey(t.Name), append(text, '\n'), nil); err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	return m, nil
}

// kind archives the objects of one kind. A kind without objects gets no file.
func (t *taking) kind(ctx context.Context, kind cluster.Kind) (file File, err error) {
	file = File{Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Name: t.fileName(kind)}
	var out *fileWriter
	defer func() {
		if out != nil && err != nil {
			out.abandon()
		}
	}()
	file.ResourceVersion, err = pages(ctx, t.from, kind.GroupVersionKind, func(obj *unstructured.Unstructured) error {
		if !t.holds(obj) {
			return nil
		}
		if out == nil {
			if out, err = t.create(ctx, kind, file.Name); err != nil {
				return err
			}
		}
		file.Objects++
		return out.add(line{UID: obj.GetUID(), Object: t.portable(obj).Object})
	})
	if err != nil || out == nil {
		return file, err
	}
	if err := out.close(); err != nil {
		return file, err
	}
	file.Bytes, file.SHA256 = out.bytes, hex.EncodeToString(out.digest.Sum(nil))
	return file, nil
}

// pages lists a kind page by page, all of one moment, and returns the
// resourceVersion of that moment.
func pages(ctx context.Context, from client.Reader, kind schema.GroupVersionKind, each func(*unstructured.Unstructured) error) (version string, err error) {
	next := ""
	for {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := from.List(ctx, &list, client.Limit(pageSize), client.Continue(next)); err != nil {
			return version, fmt.Errorf("list: %w", err)
		}
		version = list.GetResourceVersion()
		for i := range list.Items {
			obj := &list.Items[i]
			obj.SetGroupVersionKind(kind)
			if err := each(obj); err != nil {
				return version, err
			}
		}
		if next = list.GetContinue(); next == "" {
			return version, nil
		}
	}
}

// portable is what the archive keeps of an object. Without recipients a Secret
// keeps nothing that may tell its data; kubectl's annotation repeats it.
func (t *taking) portable(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := object.Portable(obj)
	if out.GroupVersionKind().GroupKind() == secretKind && len(t.Recipients) == 0 {
		delete(out.Object, "data")
		delete(out.Object, "stringData")
		unstructured.RemoveNestedField(out.Object, "metadata", "annotations")
	}
	return out
}

// leftOut names the objects of a kind that no archive keeps and no controller makes.
func (t *taking) leftOut(ctx context.Context, kind cluster.Kind) (LeftOut, error) {
	left := LeftOut{Kind: kind.Kind, Reason: acts[kind.GroupKind()]}
	if left.Reason == "" || !verbs(kind, "list") {
		return left, nil
	}
	_, err := pages(ctx, t.from, kind.GroupVersionKind, func(obj *unstructured.Unstructured) error {
		controlled := slices.ContainsFunc(obj.GetOwnerReferences(), isController)
		if t.holds(obj) && !controlled {
			if left.Objects++; len(left.Examples) < 20 {
				left.Examples = append(left.Examples, obj.GetNamespace()+"/"+obj.GetName())
			}
		}
		return nil
	})
	return left, err
}

func (t *taking) fileName(kind cluster.Kind) string {
	name := kind.Resource + ".jsonl.zst"
	if kind.Group != "" {
		name = kind.Resource + "." + kind.Group + ".jsonl.zst"
	}
	if t.encrypts(kind) {
		name += ".age"
	}
	return name
}

func (t *taking) encrypts(kind cluster.Kind) bool {
	return kind.GroupKind() == secretKind && len(t.Recipients) > 0
}

func manifestKey(name string) string { return path.Join(name, "manifest.json") }

// A fileWriter writes lines through compression and, for Secrets, encryption into a
// file of the bucket, and counts and digests what is stored.
type fileWriter struct {
	lines  *json.Encoder
	layers []io.Closer // in the order of closing
	file   *blob.Writer
	cancel context.CancelFunc
	bytes  int64
	digest hash.Hash
}

func (t *taking) create(ctx context.Context, kind cluster.Kind, name string) (*fileWriter, error) {
	ctx, cancel := context.WithCancel(ctx)
	file, err := t.bucket.NewWriter(ctx, path.Join(t.Name, name), nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	w := &fileWriter{file: file, cancel: cancel, digest: sha256.New()}
	var out io.Writer = w
	if t.encrypts(kind) {
		sealed, err := age.Encrypt(out, t.Recipients...)
		if err != nil {
			w.abandon()
			return nil, fmt.Errorf("encrypt %s: %w", name, err)
		}
		out, w.layers = sealed, append(w.layers, sealed)
	}
	squeezed, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		w.abandon()
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	w.layers = append([]io.Closer{squeezed}, w.layers...)
	w.lines = json.NewEncoder(squeezed)
	w.lines.SetEscapeHTML(false)
	return w, nil
}

// Write stores bytes as they will be read.
func (w *fileWriter) Write(data []byte) (int, error) {
	n, err := w.file.Write(data)
	w.bytes += int64(n)
	w.digest.Write(data[:n])
	return n, err
}

func (w *fileWriter) add(l line) error {
	if err := w.lines.Encode(l); err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	return nil
}

func (w *fileWriter) close() error {
	defer w.cancel()
	for _, layer := range append(w.layers, w.file) {
		if err := layer.Close(); err != nil {
			return fmt.Errorf("finish the file: %w", err)
		}
	}
	return nil
}

// abandon leaves no file behind.
func (w *fileWriter) abandon() {
	w.cancel()
	_ = w.file.Close() // with its context cancelled it discards what was written
}
