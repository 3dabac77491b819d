package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"hayloft/cas"
)

// Open makes the manager's store readable as any other; see [cas.Opener]. Reading on streams one answer, reading
// elsewhere asks for that range. Bytes are as the manager sends them: whoever keeps them checks the digest.
func (c *Client) Open(ctx context.Context, digest cas.Digest) (cas.Reader, error) {
	resp, err := c.blobFrom(ctx, digest, 0, -1)
	if err != nil {
		if errors.Is(err, ErrNotFound) && !errors.Is(err, cas.ErrNotFound) {
			err = fmt.Errorf("%w: %w", cas.ErrNotFound, err)
		}
		return nil, err
	}
	if resp.ContentLength < 0 {
		drain(resp)
		return nil, fmt.Errorf("read blob %s: the manager did not say its size", digest)
	}
	return &blobReader{ctx: ctx, client: c, blob: cas.Blob{Digest: digest, Size: resp.ContentLength}, body: resp.Body}, nil
}

// blobFrom asks for the bytes from an offset on: n of them, or all if n is negative.
func (c *Client) blobFrom(ctx context.Context, digest cas.Digest, from, n int64) (*http.Response, error) {
	wanted := http.StatusOK
	resp, err := c.wire.GetBlob(ctx, digest.String(), func(_ context.Context, r *http.Request) error {
		switch {
		case n >= 0:
			wanted = http.StatusPartialContent
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+n-1))
		case from > 0:
			wanted = http.StatusPartialContent
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		}
		return nil
	})
	return expect("read blob "+digest.String()[:12], resp, err, wanted)
}

// blobReader reads one blob of a manager. Its context is that of the Open that made it.
type blobReader struct {
	ctx    context.Context
	client *Client
	blob   cas.Blob
	offset int64
	body   io.ReadCloser // what comes from offset on; nil: not asked for yet
}

func (r *blobReader) Blob() cas.Blob { return r.blob }

func (r *blobReader) Read(p []byte) (int, error) {
	if r.offset >= r.blob.Size {
		return 0, io.EOF
	}
	if r.body == nil {
		resp, err := r.client.blobFrom(r.ctx, r.blob.Digest, r.offset, -1)
		if err != nil {
			return 0, err
		}
		r.body = resp.Body
	}
	n, err := r.body.Read(p)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) && r.offset < r.blob.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *blobReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read blob: negative offset")
	}
	if off >= r.blob.Size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.blob.Size-off)
	if n == 0 {
		return 0, nil
	}
	resp, err := r.client.blobFrom(r.ctx, r.blob.Digest, off, n)
	if err != nil {
		return 0, err
	}
	defer drain(resp)
	got, err := io.ReadFull(resp.Body, p[:n])
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return got, err
}

func (r *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.blob.Size
	}
	if offset < 0 {
		return 0, errors.New("seek in blob: negative offset")
	}
	if offset != r.offset && r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	r.offset = offset
	return offset, nil
}

func (r *blobReader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
