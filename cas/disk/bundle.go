package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"hayloft/cas"
	"hayloft/cas/index"
)

// Bundle is some blobs that were there when it was made, to be read one after the other. It is read-only.
type Bundle struct {
	view  *View
	blobs []cas.Blob
	at    []index.Location // of each blob; zero: it is kept whole
}

// Bundle finds many blobs with one look into the index. It is [cas.ErrNotFound], naming the first that lacks, unless the
// store holds all of them.
func (v *View) Bundle(ctx context.Context, digests []cas.Digest) (*Bundle, error) {
	b := &Bundle{view: v, blobs: make([]cas.Blob, len(digests))}
	var err error
	if b.at, err = v.shelf.find(ctx, digests); err != nil {
		return nil, fmt.Errorf("find %d blobs: %w", len(digests), err)
	}
	for i, digest := range digests {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("find %d blobs: %w", len(digests), err)
		}
		b.blobs[i] = cas.Blob{Digest: digest, Size: b.at[i].Size}
		if b.at[i] != (index.Location{}) {
			continue
		}
		if b.blobs[i].Size, err = v.wholeSize(digest); err != nil {
			return nil, fmt.Errorf("find blob %v: %w", digest, err)
		}
	}
	return b, nil
}

// wholeSize is the size in bytes of a blob that is kept whole.
func (v *View) wholeSize(digest cas.Digest) (int64, error) {
	whole, _, err := v.openBlob(digest)
	if errors.Is(err, fs.ErrNotExist) {
		err = cas.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return whole.blob.Size, whole.Close()
}

// Blobs are the blobs in the order of their digests as they were given. The slice must not be changed.
func (b *Bundle) Blobs() []cas.Blob { return b.blobs }

// Each calls visit with the bytes of every blob, in order, until visit returns an error, which is returned. The bytes are
// valid until visit returns, and must not be changed. It holds the largest of the blobs in memory. As with [View.Open], those
// that are kept whole are not checked against their digests.
func (b *Bundle) Each(ctx context.Context, visit func(cas.Blob, []byte) error) error {
	var buffer []byte
	for i, blob := range b.blobs {
		data, err := b.read(ctx, i, buffer)
		if err != nil {
			return fmt.Errorf("read blob %v: %w", blob, err)
		}
		if err := visit(blob, data); err != nil {
			return err
		}
		if b.at[i] == (index.Location{}) {
			buffer = data
		}
	}
	return nil
}

// read gives the bytes of one blob, in buffer if they are kept whole and it has the room. A blob whose frame cannot be read
// may have a whole file all the same.
func (b *Bundle) read(ctx context.Context, i int, buffer []byte) ([]byte, error) {
	if b.at[i] != (index.Location{}) {
		if data, err := b.view.shelf.bytes(ctx, b.at[i]); err == nil {
			return data, nil
		}
	}
	from, err := b.view.Open(ctx, b.blobs[i].Digest)
	if err != nil {
		return nil, err
	}
	size := b.blobs[i].Size
	if int64(cap(buffer)) < size {
		buffer = make([]byte, size)
	}
	_, err = io.ReadFull(from, buffer[:size])
	return buffer[:size], errors.Join(err, from.Close())
}
