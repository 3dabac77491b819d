package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"os"
	"strings"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/checkout"
)

// ShamanCheckoutRequirements answers which files the store lacks: each blob once, with the first path that named it, in
// the order of the question.
func (s *Server) ShamanCheckoutRequirements(ctx context.Context, r gen.ShamanCheckoutRequirementsRequestObject) (gen.ShamanCheckoutRequirementsResponseObject, error) {
	blobs, files, err := distinct(r.Body.Files)
	if err != nil {
		return nil, err
	}
	stored := make(map[cas.Blob]bool, len(blobs))
	err = s.Blobs.Stat(ctx, blobs, func(have cas.Blob) error {
		stored[have] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up %d blobs: %w", len(blobs), err)
	}
	lacking := []wire.ShamanFileSpecWithStatus{}
	for i, blob := range blobs {
		if !stored[blob] {
			lacking = append(lacking, wire.ShamanFileSpecWithStatus{
				Sha: files[i].Sha, Size: files[i].Size, Path: files[i].Path, Status: s.lackingStatus(blob),
			})
		}
	}
	return gen.ShamanCheckoutRequirements200JSONResponse{Files: lacking}, nil
}

func (s *Server) lackingStatus(blob cas.Blob) wire.ShamanFileStatus {
	if s.Inflight.Has(blob) {
		return wire.ShamanFileStatusUploading
	}
	return wire.ShamanFileStatusUnknown
}

// distinct gives each blob of the list once, with the first file that named it.
func distinct(files []wire.ShamanFileSpec) ([]cas.Blob, []wire.ShamanFileSpec, error) {
	if files == nil {
		return nil, nil, bodyError("/files", "property \"files\" is missing")
	}
	seen := make(map[cas.Blob]bool, len(files))
	blobs := make([]cas.Blob, 0, len(files))
	first := make([]wire.ShamanFileSpec, 0, len(files))
	for _, file := range files {
		blob, err := parseBlob(file.Sha, file.Size)
		if err != nil {
			return nil, nil, fmt.Errorf("file %q: %w", file.Path, err)
		}
		if !seen[blob] {
			seen[blob] = true
			blobs, first = append(blobs, blob), append(first, file)
		}
	}
	return blobs, first, nil
}

// parseBlob reads a file's identity as Shaman clients write it.
func parseBlob(sha string, size int64) (cas.Blob, error) {
	digest, err := cas.ParseDigest(sha)
	if err != nil {
		return cas.Blob{}, fmt.Errorf("checksum %.80q: %w; send the file's SHA-256", sha, err)
	}
	if size < 0 || size == math.MaxInt64 {
		return cas.Blob{}, fmt.Errorf("%w: a file cannot have %d bytes", errInvalid, size)
	}
	return cas.Blob{Digest: digest, Size: size}, nil
}

// ShamanFileStoreCheck tells what the store knows of one file.
func (s *Server) ShamanFileStoreCheck(ctx context.Context, r gen.ShamanFileStoreCheckRequestObject) (gen.ShamanFileStoreCheckResponseObject, error) {
	blob, err := parseBlob(r.Checksum, r.Filesize)
	if err != nil {
		return nil, err
	}
	stored, err := s.stored(ctx, blob)
	if err != nil {
		return nil, err
	}
	status := wire.ShamanFileStatusStored
	if !stored {
		status = s.lackingStatus(blob)
	}
	return gen.ShamanFileStoreCheck200JSONResponse{Status: status}, nil
}

func (s *Server) stored(ctx context.Context, blob cas.Blob) (bool, error) {
	found := false
	err := s.Blobs.Stat(ctx, []cas.Blob{blob}, func(cas.Blob) error {
		found = true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look up blob %v: %w", blob, err)
	}
	return found, nil
}

// ShamanFileStore takes one file in. The answer 200 means that it is on stable storage.
func (s *Server) ShamanFileStore(ctx context.Context, r gen.ShamanFileStoreRequestObject) (gen.ShamanFileStoreResponseObject, error) {
	blob, err := parseBlob(r.Checksum, r.Filesize)
	if err != nil {
		return nil, err
	}
	if err := checkFilename(r.Params.XShamanOriginalFilename); err != nil {
		return nil, err
	}
	stored, err := s.stored(ctx, blob)
	switch {
	case err != nil:
		return nil, err
	case stored:
		callOf(ctx).drain(blob.Size)
		return gen.ShamanFileStore208Response{}, nil
	case strings.EqualFold(deref(r.Params.XShamanCanDeferUpload), "true") && s.Inflight.Has(blob):
		callOf(ctx).drain(blob.Size)
		return gen.ShamanFileStore425Response{}, nil
	}
	if err := s.receive(ctx, blob, r.Body); err != nil {
		return nil, fmt.Errorf("upload of %v: %w", blob, err)
	}
	s.offer(blob)
	return gen.ShamanFileStore200Response{}, nil
}

// checkFilename accepts ASCII and RFC 2047; the name itself is of no use here, but a client that garbles it garbles paths
// too.
func checkFilename(header *string) error {
	if header == nil {
		return nil
	}
	if _, err := new(mime.WordDecoder).DecodeHeader(*header); err != nil {
		return fmt.Errorf("%w: header X-Shaman-Original-Filename is neither ASCII nor UTF-8 as of RFC 2047: %w", errInvalid, err)
	}
	for i := range len(*header) {
		if (*header)[i] >= 0x80 {
			return fmt.Errorf("%w: header X-Shaman-Original-Filename has a byte outside of ASCII at %d; encode it as of RFC 2047", errInvalid, i)
		}
	}
	return nil
}

// receive streams a body into the store. It reads one byte more than announced at most, and says no before that when the
// length of the body is known to be wrong.
func (s *Server) receive(ctx context.Context, blob cas.Blob, body io.Reader) error {
	caller := callOf(ctx)
	length := caller.request.ContentLength
	if length >= 0 && length != blob.Size {
		return fmt.Errorf("%w: the body has %d bytes", cas.ErrSizeMismatch, length)
	}
	leave, err := occupy(ctx, s.uploads)
	if err != nil {
		return err
	}
	defer leave()
	defer s.Inflight.Begin(blob)()
	w, err := s.Blobs.Create(ctx, length)
	if err != nil {
		return err
	}
	defer w.Abort()
	steady := newSteadyBody(io.NopCloser(body), caller.writer)
	n, err := io.Copy(w, io.LimitReader(steady, blob.Size+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the body ended after %d bytes: %w", cas.ErrSizeMismatch, n, err)
	case err != nil:
		return err
	case n > blob.Size:
		return fmt.Errorf("%w: the body goes on after that", cas.ErrSizeMismatch)
	}
	return w.Commit(ctx, blob)
}

// drain takes the rest of a body that is not wanted, up to the announced size, so that a client that is still sending gets
// to read the answer. A client that asked first is told without it (RFC 9110, section 10.1.1).
func (c *call) drain(size int64) {
	if strings.EqualFold(c.request.Header.Get("Expect"), "100-continue") {
		return
	}
	if c.request.ContentLength != size {
		c.writer.Header().Set("Connection", "close")
	}
	// A client that breaks off has no use for the answer, and one that sends on loses its connection.
	_, _ = io.CopyN(io.Discard, newSteadyBody(c.request.Body, c.writer), size)
}

// ShamanCheckout lays out a checkout.
func (s *Server) ShamanCheckout(ctx context.Context, r gen.ShamanCheckoutRequestObject) (gen.ShamanCheckoutResponseObject, error) {
	if r.Body.Files == nil {
		return nil, bodyError("/files", "property \"files\" is missing")
	}
	manifest, err := shamanManifest(r.Body.Files)
	if err != nil {
		return nil, fmt.Errorf("checkout %q: %w", r.Body.CheckoutPath, err)
	}
	name, err := s.Checkouts.Create(ctx, r.Body.CheckoutPath, manifest)
	if err != nil {
		return nil, err
	}
	s.log.Info("checkout created", "checkout", name, "files", len(r.Body.Files))
	return gen.ShamanCheckout200JSONResponse{CheckoutPath: name}, nil
}

func shamanManifest(files []wire.ShamanFileSpec) (checkout.Manifest, error) {
	entries := make([]checkout.Entry, len(files))
	for i, file := range files {
		blob, err := parseBlob(file.Sha, file.Size)
		if err != nil {
			return checkout.Manifest{}, fmt.Errorf("file %q: %w", file.Path, err)
		}
		path, err := checkout.ParseShamanPath(file.Path)
		if err != nil {
			return checkout.Manifest{}, err
		}
		entries[i] = checkout.Entry{Path: path, Mode: checkout.Regular, Blob: blob}
	}
	return checkout.NewManifest(entries)
}

// missingFiles lists the files that an error complains about; nil for other errors.
func missingFiles(err error) *[]wire.ShamanFileSpec {
	var missing *checkout.MissingBlobsError
	if !errors.As(err, &missing) {
		return nil
	}
	files := convert(missing.First, func(e checkout.Entry) wire.ShamanFileSpec {
		return wire.ShamanFileSpec{Sha: e.Blob.Digest.String(), Size: e.Blob.Size, Path: e.Path.String()}
	})
	return &files
}
