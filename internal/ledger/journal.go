package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// The journal's files, below NAMESPACE/MIGRATION/:
//
//	hubs/N-UID                        the hub that keeps the journal: the highest N
//	ledger/PAGE/head-SEQUENCE         a head; the highest sequence counts
//	ledger/PAGE/chunk-NUMBER-DIGEST   a chunk
//	objects/KIND/NAME/N-VERSION       an object of the hub; the highest counts
//
// Numbers have leading zeros, so that names are in order. Heads and objects end in
// the digest of what comes before it; a chunk's digest is in its head. A file is
// never changed, and one that was cut short is not believed.

// errNoFile says that a file is not there.
var errNoFile = errors.New("no such file in the journal")

// A journal is the ledger's second copy, in a bucket.
type journal struct {
	hub    cluster.API
	bucket *blob.Bucket

	mu      sync.Mutex
	uid     types.UID         // the hub's
	epochs  map[string]int    // by folder: the number by which this hub keeps it
	objects map[string]string // by folder: the newest file that this process wrote
}

func newJournal(hub cluster.API, bucket *blob.Bucket) *journal {
	return &journal{hub: hub, bucket: bucket, epochs: map[string]int{}, objects: map[string]string{}}
}

func (id pageID) root() string   { return path.Join(id.Namespace, id.Migration) }
func (id pageID) folder() string { return path.Join(id.root(), "ledger", id.label()) + "/" }

func headFile(h head) string { return fmt.Sprintf("%shead-%020d", h.folder(), h.Sequence) }

func chunkFile(id pageID, c chunk) string {
	return fmt.Sprintf("%schunk-%010d-%s", id.folder(), c.Number, c.Digest[:32])
}

// write adds a head and the chunks that came with it.
func (j *journal) write(ctx context.Context, h head, fresh []sealed) error {
	if err := j.claim(ctx, h.root()); err != nil {
		return err
	}
	for _, s := range fresh {
		if err := j.put(ctx, chunkFile(h.pageID, s.chunk), s.data); err != nil {
			return err
		}
	}
	return j.putHead(ctx, h)
}

// complete writes what the journal lacks of a page; data returns that of a chunk. A
// page that was never written needs no file.
func (j *journal) complete(ctx context.Context, h head, data func(context.Context, chunk) ([]byte, error)) error {
	if err := j.claim(ctx, h.root()); err != nil {
		return err
	}
	if h.Sequence == 0 {
		return nil
	}
	files, err := j.list(ctx, h.folder())
	if err != nil {
		return err
	}
	for _, c := range h.Chunks {
		if slices.Contains(files, file{chunkFile(h.pageID, c), int64(c.Bytes)}) {
			continue
		}
		text, err := data(ctx, c)
		if err != nil {
			return err
		}
		if err := j.put(ctx, chunkFile(h.pageID, c), text); err != nil {
			return err
		}
	}
	return j.putHead(ctx, h)
}

func (j *journal) putHead(ctx context.Context, h head) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write a head as JSON: %w", err)
	}
	return j.put(ctx, headFile(h), seam(text))
}

// holds is true if the journal has a page that was changed at least once.
func (j *journal) holds(ctx context.Context, id pageID) (bool, error) {
	if err := j.claim(ctx, id.root()); err != nil {
		return false, err
	}
	files, err := j.list(ctx, id.folder()+"head-")
	return len(files) > 0, err
}

func (j *journal) chunk(ctx context.Context, id pageID, c chunk) ([]byte, error) {
	return j.get(ctx, chunkFile(id, c))
}

// kept is how many heads the journal keeps of a page: should the newest be cut
// short, the one before is there.
const kept = 3

// sweep removes old heads, and the chunks that none of the kept ones lists. What is
// newer than h is another process's, and stays.
func (j *journal) sweep(ctx context.Context, h head) error {
	files, err := j.list(ctx, h.folder())
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	var old, chunks []string
	for _, f := range files {
		name := path.Base(f.key)
		if digits, ok := strings.CutPrefix(name, "head-"); ok {
			switch n, err := strconv.ParseUint(digits, 10, 64); {
			case err != nil:
			case n+kept <= h.Sequence:
				old = append(old, f.key)
			default:
				past, err := j.head(ctx, f.key)
				if err != nil && !errors.Is(err, errTorn) {
					return err
				}
				for _, c := range past.Chunks {
					listed[chunkFile(h.pageID, c)] = true
				}
			}
		}
		if number, ok := strings.CutPrefix(name, "chunk-"); ok {
			digits, _, _ := strings.Cut(number, "-")
			if n, err := strconv.Atoi(digits); err == nil && int32(n) < h.Next {
				chunks = append(chunks, f.key)
			}
		}
	}
	for _, c := range h.Chunks {
		listed[chunkFile(h.pageID, c)] = true
	}
	chunks = slices.DeleteFunc(chunks, func(key string) bool { return listed[key] })
	for _, key := range slices.Concat(old, chunks) {
		if err := j.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("remove %s from the journal: %w", key, err)
		}
	}
	return nil
}

// claim makes sure that this hub keeps the journal of the migration in folder root:
// a new journal belongs to the hub that writes it first, and to another one once
// that was filled from it. It asks each time for a successor.
func (j *journal) claim(ctx context.Context, root string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.identify(ctx); err != nil {
		return err
	}
	if n := j.epochs[root]; n > 0 {
		files, err := j.list(ctx, epochPrefix(root, n+1))
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return fmt.Errorf("%s: %w", files[0].key, ErrSuperseded)
		}
		return nil
	}
	n, keeper, err := j.keeper(ctx, root)
	if err != nil {
		return err
	}
	switch {
	case n == 0:
		n = 1
		if err := j.put(ctx, epochPrefix(root, n)+string(j.uid), nil); err != nil {
			return err
		}
	case keeper != string(j.uid):
		return fmt.Errorf("%s is kept by the hub %s, this one is %s: %w", root, keeper, j.uid, ErrSuperseded)
	}
	j.epochs[root] = n
	return nil
}

// identify asks the hub who it is, once.
func (j *journal) identify(ctx context.Context) error {
	if j.uid != "" {
		return nil
	}
	var system corev1.Namespace
	if err := j.hub.Get(ctx, client.ObjectKey{Name: "kube-system"}, &system); err != nil {
		return fmt.Errorf("ask the hub for its UID: %w", err)
	}
	j.uid = system.UID
	return nil
}

func epochPrefix(root string, n int) string { return fmt.Sprintf("%s/hubs/%06d-", root, n) }

// keeper returns the number and the UID of the hub that keeps the journal in root;
// zero if there is none.
func (j *journal) keeper(ctx context.Context, root string) (int, string, error) {
	files, err := j.list(ctx, root+"/hubs/")
	if err != nil || len(files) == 0 {
		return 0, "", err
	}
	digits, uid, _ := strings.Cut(path.Base(files[len(files)-1].key), "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, "", fmt.Errorf("journal: %s is not the name of a hub: %w", files[len(files)-1].key, err)
	}
	return n, uid, nil
}

// errTorn says that a file was cut short, or changed.
var errTorn = errors.New("the file is not whole")

// seam is text and its digest, in one file.
func seam(text []byte) []byte {
	sum := sha256.Sum256(text)
	return append(append(append([]byte(nil), text...), '\n'), hex.EncodeToString(sum[:])+"\n"...)
}

// unseam is the text of a file that seam made, or errTorn.
func unseam(data []byte) ([]byte, error) {
	text, digest, found := bytes.Cut(data, []byte("\n"))
	if !found || !bytes.Equal(seam(text), data) {
		return nil, fmt.Errorf("%d bytes, ending in %.20q: %w", len(data), digest, errTorn)
	}
	return text, nil
}

func (j *journal) head(ctx context.Context, key string) (head, error) {
	data, err := j.get(ctx, key)
	if err != nil {
		return head{}, err
	}
	text, err := unseam(data)
	if err != nil {
		return head{}, fmt.Errorf("journal: %s: %w", key, err)
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return head{}, fmt.Errorf("journal: %s: %w", key, err)
	}
	return h, nil
}

// A file is a file of the journal.
type file struct {
	key  string
	size int64
}

// list returns the files whose names begin with prefix, in the order of names.
func (j *journal) list(ctx context.Context, prefix string) ([]file, error) {
	var files []file
	objects := j.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.key, b.key) })
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the journal's %s: %w", prefix, err)
		}
		files = append(files, file{object.Key, object.Size})
	}
}

func (j *journal) put(ctx context.Context, key string, data []byte) error {
	if err := j.bucket.WriteAll(ctx, key, data, nil); err != nil {
		return fmt.Errorf("write %s to the journal: %w", key, err)
	}
	return nil
}

func (j *journal) get(ctx context.Context, key string) ([]byte, error) {
	data, err := j.bucket.ReadAll(ctx, key)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, fmt.Errorf("read %s: %w", key, errNoFile)
	case err != nil:
		return nil, fmt.Errorf("read %s from the journal: %w", key, err)
	}
	return data, nil
}
