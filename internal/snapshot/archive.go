package snapshot

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// An Archive can be read back.
type Archive struct {
	Manifest
	bucket     *blob.Bucket
	identities []age.Identity
}

// Open reads the manifest of an archive. The identities open its Secrets; without
// one that fits, they are not restored and not compared. The error wraps
// ErrNoArchive if there is no manifest.
func Open(ctx context.Context, bucket *blob.Bucket, name string, identities ...age.Identity) (*Archive, error) {
	text, err := bucket.ReadAll(ctx, manifestKey(name))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("open archive %s: %w", name, ErrNoArchive)
	}
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", name, err)
	}
	a := &Archive{bucket: bucket, identities: identities}
	if err := json.Unmarshal(text, &a.Manifest); err != nil {
		return nil, fmt.Errorf("open archive %s: read its manifest: %w: %w", name, ErrDamaged, err)
	}
	if a.Format != format {
		return nil, fmt.Errorf("open archive %s: its format is %q, not %q", name, a.Format, format)
	}
	a.Name = name // it may have been moved
	return a, nil
}

// Verify reads every file and compares it with the manifest. The error wraps
// ErrDamaged if one differs.
func (a *Archive) Verify(ctx context.Context) error {
	for _, file := range a.Files {
		in, err := a.raw(ctx, file)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, in)
		err = errors.Join(err, in.Close())
		if err != nil {
			return fmt.Errorf("archive %s: read %s: %w", a.Name, file.Name, err)
		}
	}
	return nil
}

// readable is false for the files that cannot be restored: Secrets without their
// data, or without an identity that opens them.
func (a *Archive) readable(file File) bool {
	if file.gvk().GroupKind() != secretKind {
		return true
	}
	return a.Secrets == Encrypted && len(a.identities) > 0
}

// namespaces are those of the archive's objects.
func (a *Archive) namespaces(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for _, file := range a.Files {
		if !a.readable(file) {
			continue
		}
		err := a.each(ctx, file, func(_ types.UID, obj *unstructured.Unstructured) error {
			if namespace := obj.GetNamespace(); namespace != "" {
				out[namespace] = true
			} else if file.gvk().GroupKind() == namespaceKind {
				out[obj.GetName()] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// each calls do for each object of a file, as it is in the archive, until do fails.
func (a *Archive) each(ctx context.Context, file File, do func(types.UID, *unstructured.Unstructured) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("archive %s: %s: %w", a.Name, file.Name, err)
		}
	}()
	stored, err := a.raw(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stored.Close()) }()
	var in io.Reader = stored
	if strings.HasSuffix(file.Name, ".age") {
		if in, err = age.Decrypt(in, a.identities...); err != nil {
			return fmt.Errorf("decrypt: %w", err)
		}
	}
	plain, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("decompress: %w: %w", ErrDamaged, err)
	}
	defer plain.Close()
	return lines(bufio.NewReaderSize(plain, 1<<16), file, do)
}

func lines(in *bufio.Reader, file File, do func(types.UID, *unstructured.Unstructured) error) error {
	count := 0
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("after object %d: %w: %w", count, ErrDamaged, err)
		}
		var head struct {
			UID    types.UID       `json:"uid"`
			Object json.RawMessage `json:"object"`
		}
		obj := &unstructured.Unstructured{}
		if err := errors.Join(json.Unmarshal(bytes.TrimSpace(text), &head), obj.UnmarshalJSON(head.Object)); err != nil {
			return fmt.Errorf("object %d: %w: %w", count+1, ErrDamaged, err)
		}
		count++
		if err := do(head.UID, obj); err != nil {
			return err
		}
	}
	if count != file.Objects {
		return fmt.Errorf("%d objects, the manifest says %d: %w", count, file.Objects, ErrDamaged)
	}
	return nil
}

// raw opens a file as it is stored. Closing it reads it to its end, and returns
// ErrDamaged if it was not what the manifest says.
func (a *Archive) raw(ctx context.Context, file File) (io.ReadCloser, error) {
	in, err := a.bucket.NewReader(ctx, path.Join(a.Name, file.Name), nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("archive %s: %s is gone: %w", a.Name, file.Name, ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("archive %s: open %s: %w", a.Name, file.Name, err)
	}
	digest := sha256.New()
	return &checked{Reader: io.TeeReader(in, digest), close: func(rest io.Reader) error {
		_, err := io.Copy(io.Discard, rest)
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
		if got := hex.EncodeToString(digest.Sum(nil)); got != file.SHA256 {
			return fmt.Errorf("its SHA-256 is %s, the manifest says %s: %w", got, file.SHA256, ErrDamaged)
		}
		return nil
	}}, nil
}

type checked struct {
	io.Reader
	close func(rest io.Reader) error
}

func (c *checked) Close() error { return c.close(c.Reader) }

func isController(owner metav1.OwnerReference) bool {
	return ptr.Deref(owner.Controller, false)
}
