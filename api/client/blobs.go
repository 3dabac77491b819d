package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"hayloft/api/wire"
	"hayloft/cas"
)

// Checkout lays files out as a directory near the wanted name and returns the name really used.
func (c *Client) Checkout(ctx context.Context, wanted string, files []wire.ShamanFileSpec) (string, error) {
	if files == nil {
		files = []wire.ShamanFileSpec{} // a list without entries, which is not the same as none
	}
	resp, err := c.wire.ShamanCheckout(ctx, wire.ShamanCheckout{CheckoutPath: wanted, Files: files})
	result, err := decode[wire.ShamanCheckoutResult](fmt.Sprintf("lay out checkout %q", wanted), resp, err)
	return result.CheckoutPath, err
}

// uploadTries is how often a broken upload is sent; it is safe, since a blob is stored once however often it comes.
const uploadTries = 5

// Upload sends the bytes of a blob. open is called again for each try; progress, if not nil, is told of each piece that
// was read for sending and may be told of more than the blob's size when a try was repeated. sent is false when the store
// had the blob already.
func (c *Client) Upload(ctx context.Context, blob cas.Blob, open func() (io.ReadCloser, error), progress func(n int)) (sent bool, err error) {
	pause := 100 * time.Millisecond
	for try := 1; ; try++ {
		sent, err = c.uploadOnce(ctx, blob, open, progress)
		if err == nil || try == uploadTries || !worthAnotherTry(err) {
			return sent, err
		}
		if err := wait(ctx, pause); err != nil {
			return false, err
		}
		pause *= 3
	}
}

// worthAnotherTry tells transport errors and "not now" from answers that would be the same again, and from errors of
// reading the file.
func worthAnotherTry(err error) bool {
	var answer *Error
	if errors.As(err, &answer) {
		return answer.Is(ErrUnavailable)
	}
	var local localError
	return !errors.As(err, &local) && !errors.Is(err, context.Canceled)
}

// localError marks that the file to send could not be read.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

func (c *Client) uploadOnce(ctx context.Context, blob cas.Blob, open func() (io.ReadCloser, error), progress func(int)) (bool, error) {
	file, err := open()
	if err != nil {
		return false, localError{err}
	}
	defer file.Close() //nolint:errcheck // It was only read.
	body := &countingReader{from: file, progress: progress}
	resp, err := c.wire.ShamanFileStoreWithBody(ctx, blob.Digest.String(), blob.Size, &wire.ShamanFileStoreParams{},
		"application/octet-stream", body, func(_ context.Context, r *http.Request) error {
			r.ContentLength = blob.Size
			if blob.Size == 0 {
				r.Body = http.NoBody
			}
			return nil
		})
	if body.failed != nil {
		return false, localError{fmt.Errorf("read for upload: %w", body.failed)}
	}
	resp, err = expect("upload "+blob.Digest.String()[:12], resp, err, http.StatusOK, http.StatusNoContent, http.StatusAlreadyReported)
	if err != nil {
		return false, err
	}
	defer drain(resp)
	return resp.StatusCode != http.StatusAlreadyReported, nil
}

type countingReader struct {
	from     io.Reader
	progress func(int)
	failed   error
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if r.progress != nil && n > 0 {
		r.progress(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}

// blobsPage is how many blobs one request lists.
const blobsPage = 10000

// Blobs calls each for every blob of the store in the order of digests.
func (c *Client) Blobs(ctx context.Context, each func(cas.Blob) error) error {
	limit := blobsPage
	params := &wire.ListBlobsParams{Limit: &limit}
	for {
		resp, err := c.wire.ListBlobs(ctx, params)
		page, err := decode[wire.BlobList]("list blobs", resp, err)
		if err != nil {
			return err
		}
		for _, info := range page.Blobs {
			blob, err := parseBlob(info)
			if err != nil {
				return err
			}
			if err := each(blob); err != nil {
				return err
			}
			params.After = &info.Sha256
		}
		if len(page.Blobs) < limit {
			return nil
		}
	}
}

func parseBlob(info wire.BlobInfo) (cas.Blob, error) {
	digest, err := cas.ParseDigest(info.Sha256)
	if err != nil {
		return cas.Blob{}, fmt.Errorf("answer of the manager: %w", err)
	}
	return cas.Blob{Digest: digest, Size: info.Size}, nil
}

// Refs lists the named trees by name.
func (c *Client) Refs(ctx context.Context) ([]wire.Ref, error) {
	resp, err := c.wire.ListRefs(ctx)
	list, err := decode[wire.RefList]("list refs", resp, err)
	return list.Refs, err
}

// Ref returns the manifest that a name stands for.
func (c *Client) Ref(ctx context.Context, name string) (cas.Blob, error) {
	resp, err := c.wire.GetRef(ctx, name)
	ref, err := decode[wire.Ref](fmt.Sprintf("read ref %q", name), resp, err)
	if err != nil {
		return cas.Blob{}, err
	}
	return parseBlob(ref.Manifest)
}

// PutRef gives a stored manifest a name.
func (c *Client) PutRef(ctx context.Context, name string, manifest cas.Blob) error {
	resp, err := c.wire.PutRef(ctx, name, wire.BlobInfo{Sha256: manifest.Digest.String(), Size: manifest.Size})
	return done(fmt.Sprintf("name ref %q", name), resp, err, http.StatusNoContent)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
