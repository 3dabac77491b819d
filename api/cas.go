package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
)

// Refs keeps named trees; see [hayloft/cas/disk.Store].
type Refs interface {
	PutRef(ctx context.Context, name cas.RefName, manifest cas.Blob) error
	GetRef(ctx context.Context, name cas.RefName) (cas.Blob, error)
	ListRefs(ctx context.Context, after cas.RefName, each func(cas.RefName, cas.Blob) error) error
}

func blobToWire(blob cas.Blob) wire.BlobInfo {
	return wire.BlobInfo{Sha256: blob.Digest.String(), Size: blob.Size}
}

var errPageFull = errors.New("page is full")

// ListBlobs lists blobs in the order of their digests.
func (s *Server) ListBlobs(ctx context.Context, r gen.ListBlobsRequestObject) (gen.ListBlobsResponseObject, error) {
	var after cas.Digest
	if r.Params.After != nil {
		var err error
		if after, err = cas.ParseDigest(*r.Params.After); err != nil {
			return nil, err
		}
	}
	blobs, limit := []wire.BlobInfo{}, deref(r.Params.Limit)
	err := s.Blobs.List(ctx, after, func(blob cas.Blob) error {
		if len(blobs) == limit {
			return errPageFull
		}
		blobs = append(blobs, blobToWire(blob))
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	return gen.ListBlobs200JSONResponse{Blobs: blobs}, nil
}

// GetBlob gives the bytes of a blob, or a range of them.
func (s *Server) GetBlob(ctx context.Context, r gen.GetBlobRequestObject) (gen.GetBlobResponseObject, error) {
	digest, err := cas.ParseDigest(r.Digest)
	if err != nil {
		return nil, err
	}
	reader, err := s.Blobs.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	// A digest names its bytes for ever, so a copy of them never gets stale.
	return fileBody{
		request: callOf(ctx).request, content: reader,
		header: http.Header{"Etag": {`"` + digest.String() + `"`}, "Cache-Control": {"private, max-age=31536000, immutable"}},
	}, nil
}

// fileBody answers with bytes that can be read from any place: it knows Range, If-Range, If-None-Match and
// If-Modified-Since.
type fileBody struct {
	request  *http.Request
	content  io.ReadSeekCloser
	modified time.Time // zero: unknown
	header   http.Header
}

// VisitGetBlobResponse sends the bytes.
func (b fileBody) VisitGetBlobResponse(w http.ResponseWriter) error { return b.write(w) }

// VisitGetJobOutputResponse sends the bytes.
func (b fileBody) VisitGetJobOutputResponse(w http.ResponseWriter) error { return b.write(w) }

func (b fileBody) write(w http.ResponseWriter) error {
	for name, values := range b.header {
		w.Header()[name] = values
	}
	// Farm data is never to be taken for a page of the manager.
	w.Header().Set("Content-Type", octetStream)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return steadily(w, func(w http.ResponseWriter) error {
		http.ServeContent(w, b.request, "", b.modified, b.content)
		return b.content.Close()
	})
}

// ListRefs lists named trees by name.
func (s *Server) ListRefs(ctx context.Context, _ gen.ListRefsRequestObject) (gen.ListRefsResponseObject, error) {
	refs := []wire.Ref{}
	err := s.Refs.ListRefs(ctx, cas.RefName{}, func(name cas.RefName, manifest cas.Blob) error {
		refs = append(refs, wire.Ref{Name: name.String(), Manifest: blobToWire(manifest)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return gen.ListRefs200JSONResponse{Refs: refs}, nil
}

// GetRef tells which tree a name stands for.
func (s *Server) GetRef(ctx context.Context, r gen.GetRefRequestObject) (gen.GetRefResponseObject, error) {
	name, err := cas.ParseRefName(r.Ref)
	if err != nil {
		return nil, err
	}
	manifest, err := s.Refs.GetRef(ctx, name)
	if err != nil {
		return nil, err
	}
	return gen.GetRef200JSONResponse{Name: name.String(), Manifest: blobToWire(manifest)}, nil
}

// PutRef names a tree. A name never stands for a tree of which something is missing.
func (s *Server) PutRef(ctx context.Context, r gen.PutRefRequestObject) (gen.PutRefResponseObject, error) {
	name, err := cas.ParseRefName(r.Ref)
	if err != nil {
		return nil, err
	}
	blob, err := parseBlob(r.Body.Sha256, r.Body.Size)
	if err != nil {
		return nil, err
	}
	if err := s.checkTree(ctx, blob); err != nil {
		return nil, fmt.Errorf("ref %q: %w", name, err)
	}
	if err := s.Refs.PutRef(ctx, name, blob); err != nil {
		return nil, err
	}
	return gen.PutRef204Response{}, nil
}

// checkTree makes sure that a blob is a manifest and that all blobs of the manifest are stored.
func (s *Server) checkTree(ctx context.Context, blob cas.Blob) error {
	manifest, err := s.manifest(ctx, blob)
	if err != nil {
		return err
	}
	stored := make(map[cas.Blob]bool, manifest.Len())
	err = s.Blobs.Stat(ctx, manifest.Blobs(), func(have cas.Blob) error {
		stored[have] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up the blobs of the tree: %w", err)
	}
	return lackOf(manifest, stored)
}

// manifest reads a manifest out of the store.
func (s *Server) manifest(ctx context.Context, blob cas.Blob) (checkout.Manifest, error) {
	reader, err := s.Blobs.Open(ctx, blob.Digest)
	if err != nil {
		return checkout.Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	manifest, err := checkout.Decode(reader, checkout.DefaultLimits)
	if err = errors.Join(err, reader.Close()); err != nil {
		return checkout.Manifest{}, fmt.Errorf("manifest %v: %w", blob.Digest, err)
	}
	return manifest, nil
}

// shownMissing is how many missing files an error lists.
const shownMissing = 10

func lackOf(manifest checkout.Manifest, stored map[cas.Blob]bool) error {
	lack := &checkout.MissingBlobsError{}
	for entry := range manifest.Entries() {
		if stored[entry.Blob] {
			continue
		}
		if lack.Total++; len(lack.First) < shownMissing {
			lack.First = append(lack.First, entry)
		}
	}
	if lack.Total == 0 {
		return nil
	}
	return lack
}
