package dryrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

// Bucket is a bucket whose writes and deletions are caught; who closes it closes the one
// behind it. Of a file the size is noted, not what is in it.
func (r *Recorder) Bucket(place Place, behind *blob.Bucket) *blob.Bucket {
	return blob.NewBucket(&files{behind: behind, place: place, record: r, written: memblob.OpenBucket(nil), hidden: map[string]bool{}})
}

// files are those of a bucket, with what was caught over them.
type files struct {
	behind  *blob.Bucket
	place   Place
	record  *Recorder
	written *blob.Bucket

	mu sync.Mutex
	// hidden are the files of the bucket behind that were written or deleted here.
	hidden map[string]bool
}

var _ driver.Bucket = (*files)(nil)

// in is the bucket that has the file now.
func (f *files) in(key string) *blob.Bucket {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hidden[key] {
		return f.written
	}
	return f.behind
}

func (f *files) hide(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden[key] = true
}

// size of a file, for people; empty if there is none.
func (f *files) size(ctx context.Context, key string) (string, error) {
	found, err := f.in(key).Attributes(ctx, key)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return "", nil
	case err != nil:
		return "", err
	}
	return bytesOf(found.Size), nil
}

func bytesOf(n int64) string { return fmt.Sprintf("%d bytes", n) }

// ErrorCode implements driver.Bucket.
func (f *files) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errExists) {
		return gcerrors.FailedPrecondition
	}
	return gcerrors.Code(err)
}

var errExists = errors.New("the file exists")

// As implements driver.Bucket.
func (f *files) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (f *files) ErrorAs(err error, i any) bool { return f.behind.ErrorAs(err, i) }

// Attributes implements driver.Bucket.
func (f *files) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	a, err := f.in(key).Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{
		CacheControl: a.CacheControl, ContentDisposition: a.ContentDisposition, ContentEncoding: a.ContentEncoding,
		ContentLanguage: a.ContentLanguage, ContentType: a.ContentType, Metadata: a.Metadata,
		CreateTime: a.CreateTime, ModTime: a.ModTime, Size: a.Size, MD5: a.MD5, ETag: a.ETag,
	}, nil
}

// ListPaged implements driver.Bucket; everything is one page.
func (f *files) ListPaged(ctx context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	found := map[string]*driver.ListObject{}
	for _, from := range []*blob.Bucket{f.behind, f.written} {
		for objects := from.List(&blob.ListOptions{Prefix: o.Prefix}); ; {
			object, err := objects.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if f.in(object.Key) != from {
				continue
			}
			item := &driver.ListObject{Key: object.Key, ModTime: object.ModTime, Size: object.Size, MD5: object.MD5}
			if name, _, below := strings.Cut(strings.TrimPrefix(object.Key, o.Prefix), o.Delimiter); o.Delimiter != "" && below {
				item = &driver.ListObject{Key: o.Prefix + name + o.Delimiter, IsDir: true}
			}
			found[item.Key] = item
		}
	}
	page := &driver.ListPage{}
	for _, item := range found {
		page.Objects = append(page.Objects, item)
	}
	slices.SortFunc(page.Objects, func(a, b *driver.ListObject) int { return strings.Compare(a.Key, b.Key) })
	return page, nil
}

// NewRangeReader implements driver.Bucket.
func (f *files) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	r, err := f.in(key).NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	return reader{r}, nil
}

type reader struct{ *blob.Reader }

func (r reader) As(any) bool { return false }

func (r reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.ContentType(), ModTime: r.ModTime(), Size: r.Size()}
}

// NewTypedWriter implements driver.Bucket.
func (f *files) NewTypedWriter(ctx context.Context, key, contentType string, o *driver.WriterOptions) (driver.Writer, error) {
	before, err := f.size(ctx, key)
	if err != nil {
		return nil, err
	}
	if o != nil && o.IfNotExist && before != "" {
		return nil, errExists
	}
	w, err := f.written.NewWriter(ctx, key, &blob.WriterOptions{ContentType: contentType})
	if err != nil {
		return nil, err
	}
	return &writer{Writer: w, files: f, key: key, before: before}, nil
}

// writer shows a file once it is whole, as object storage does.
type writer struct {
	*blob.Writer
	files       *files
	key, before string
	written     int64
}

func (w *writer) Write(data []byte) (int, error) {
	n, err := w.Writer.Write(data)
	w.written += int64(n)
	return n, err
}

// Close implements driver.Writer.
func (w *writer) Close() error {
	if err := w.Writer.Close(); err != nil {
		return err
	}
	w.files.hide(w.key)
	verb := Create
	if w.before != "" {
		verb = Update
	}
	w.files.record.Note(Write{Place: w.files.place, Verb: verb, Kind: "File", Name: w.key, Before: w.before, After: bytesOf(w.written)})
	return nil
}

// Copy implements driver.Bucket.
func (f *files) Copy(ctx context.Context, to, from string, _ *driver.CopyOptions) error {
	data, err := f.in(from).ReadAll(ctx, from)
	if err != nil {
		return err
	}
	w, err := f.NewTypedWriter(ctx, to, "application/octet-stream", nil)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// Delete implements driver.Bucket.
func (f *files) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	found, err := f.in(key).Attributes(ctx, key)
	if err != nil {
		return err
	}
	if err := f.written.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return err
	}
	f.hide(key)
	f.record.Note(Write{Place: f.place, Verb: Delete, Kind: "File", Name: key, Before: bytesOf(found.Size)})
	return nil
}

// SignedURL implements driver.Bucket: nobody else can read what was only caught.
func (f *files) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.ErrUnsupported
}

// Close implements driver.Bucket.
func (f *files) Close() error { return errors.Join(f.written.Close(), f.behind.Close()) }
