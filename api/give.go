package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync"

	"hayloft/api/gen"
	"hayloft/api/octets"
	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/disk"
	"hayloft/cas/pack"
)

// octetStream is the media type of bytes that mean nothing to HTTP.
const octetStream = "application/octet-stream"

// Recipes tells how a store keeps its blobs; see [hayloft/cas/disk.View].
type Recipes interface {
	Bundles
	// Recipe gives the recipe of a blob, or an error that is [cas.ErrNotFound] if it was never cut.
	Recipe(ctx context.Context, digest cas.Digest) (chunk.Recipe, error)
	RecipeByID(ctx context.Context, id chunk.ID) (chunk.Recipe, error)
	Generation() string
	Stats(ctx context.Context) (disk.Stats, error)
}

// Bundles finds many small blobs at once; see [hayloft/cas/disk.View].
type Bundles interface {
	Bundle(ctx context.Context, digests []cas.Digest) (*disk.Bundle, error)
}

// GetRecipe tells which chunks make a blob, as a delta if that is shorter.
func (s *Server) GetRecipe(ctx context.Context, r gen.GetRecipeRequestObject) (gen.GetRecipeResponseObject, error) {
	digest, err := cas.ParseDigest(r.Digest)
	if err != nil {
		return nil, err
	}
	leave, err := occupy(ctx, s.reads)
	if err != nil {
		return nil, err
	}
	encoded, err := s.encodeRecipe(ctx, digest, r.Params.Base)
	if err != nil {
		leave()
		return nil, fmt.Errorf("recipe of %s: %w", digest, err)
	}
	return recipeBody{encoded: encoded, leave: leave}, nil
}

// encodeRecipe encodes the recipe of a blob, against the one with the id base if that is known and makes it shorter.
func (s *Server) encodeRecipe(ctx context.Context, digest cas.Digest, base *string) ([]byte, error) {
	recipe, err := s.Recipes.Recipe(ctx, digest)
	if err != nil {
		return nil, err
	}
	whole, err := recipe.MarshalBinary()
	if err != nil || base == nil {
		return whole, err
	}
	id, err := chunk.ParseID(*base)
	if err != nil {
		return nil, err
	}
	earlier, err := s.Recipes.RecipeByID(ctx, id)
	if errors.Is(err, cas.ErrNotFound) {
		return whole, nil
	}
	if err != nil {
		return nil, err
	}
	if delta := recipe.AppendDelta(nil, earlier); len(delta) < len(whole) {
		return delta, nil
	}
	return whole, nil
}

// recipeBody answers with an encoded recipe.
type recipeBody struct {
	encoded []byte
	leave   func()
}

// VisitGetRecipeResponse sends it.
func (b recipeBody) VisitGetRecipeResponse(w http.ResponseWriter) error {
	defer b.leave()
	w.Header().Set("Content-Type", octetStream)
	w.Header().Set("Content-Length", strconv.Itoa(len(b.encoded)))
	return steadily(w, func(w http.ResponseWriter) error {
		_, err := io.Copy(w, bytes.NewReader(b.encoded))
		return err
	})
}

// ReadChunks gives the bytes of some chunks of a blob.
func (s *Server) ReadChunks(ctx context.Context, r gen.ReadChunksRequestObject) (gen.ReadChunksResponseObject, error) {
	digest, err := cas.ParseDigest(r.Digest)
	if err != nil {
		return nil, err
	}
	bitmap, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read which chunks are wanted: %w", err)
	}
	leave, err := occupy(ctx, s.reads)
	if err != nil {
		return nil, err
	}
	fill, err := s.chunksOf(ctx, digest, bitmap)
	if err != nil {
		leave()
		return nil, fmt.Errorf("chunks of %s: %w", digest, err)
	}
	return &frameBody{server: s, fill: fill, leave: leave, plain: isOnThisMachine(callOf(ctx).request)}, nil
}

// chunksOf finds all that is needed to send the chunks. What it returns sends them.
func (s *Server) chunksOf(ctx context.Context, digest cas.Digest, bitmap []byte) (func(*frameWriter) error, error) {
	recipe, err := s.Recipes.Recipe(ctx, digest)
	if err != nil {
		return nil, err
	}
	wanted, err := octets.ParseBitmap(bitmap, recipe.Len())
	if err != nil {
		return nil, err
	}
	reader, err := s.Blobs.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	return func(out *frameWriter) error {
		return errors.Join(sendChunks(ctx, out, recipe, wanted, reader), reader.Close())
	}, nil
}

func sendChunks(ctx context.Context, out *frameWriter, recipe chunk.Recipe, wanted []bool, from io.ReaderAt) error {
	ordinal := 0
	for c, ranges := range recipe.Chunks() {
		if ordinal++; !wanted[ordinal-1] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := out.add(pack.Item{ID: c.ID.Bytes(), Length: c.Length}, func(into []byte) error {
			return readRanges(from, ranges, into)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readRanges(from io.ReaderAt, ranges []chunk.Range, into []byte) error {
	for _, r := range ranges {
		if n, err := from.ReadAt(into[:r.Length], r.Offset); int64(n) < r.Length {
			return fmt.Errorf("read %d bytes at %d: %w", r.Length, r.Offset, err)
		}
		into = into[r.Length:]
	}
	return nil
}

// ReadFiles gives the bytes of many small files.
func (s *Server) ReadFiles(ctx context.Context, r gen.ReadFilesRequestObject) (gen.ReadFilesResponseObject, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read which files are wanted: %w", err)
	}
	digests, err := octets.ParseDigests(body)
	if err != nil {
		return nil, err
	}
	leave, err := occupy(ctx, s.reads)
	if err != nil {
		return nil, err
	}
	bundle, err := s.bundle(ctx, digests)
	if err != nil {
		leave()
		return nil, err
	}
	fill := func(out *frameWriter) error { return sendFiles(ctx, out, bundle) }
	return &frameBody{server: s, fill: fill, leave: leave, plain: isOnThisMachine(callOf(ctx).request)}, nil
}

// bundle makes sure that all blobs are there and may travel whole, since no error can be told after the first byte.
func (s *Server) bundle(ctx context.Context, digests []cas.Digest) (*disk.Bundle, error) {
	bundle, err := s.Recipes.Bundle(ctx, digests)
	if err != nil {
		return nil, err
	}
	for _, blob := range bundle.Blobs() {
		if blob.Size > octets.MaxFile {
			return nil, fmt.Errorf("%w: blob %s has %d bytes, more than %d; read it by its recipe, or by Range",
				errInvalid, blob.Digest, blob.Size, octets.MaxFile)
		}
	}
	return bundle, nil
}

func sendFiles(ctx context.Context, out *frameWriter, bundle *disk.Bundle) error {
	return bundle.Each(ctx, func(blob cas.Blob, data []byte) error {
		item := pack.Item{ID: blob.Digest.Bytes(), Length: len(data)}
		return out.add(item, func(into []byte) error {
			copy(into, data)
			return nil
		})
	})
}

// frameBody answers with frames.
type frameBody struct {
	server *Server
	fill   func(*frameWriter) error
	leave  func()
	plain  bool
}

// isOnThisMachine tells whether a request was made on this machine, where bytes cost next to nothing and compressing them
// would be most of the work of an answer. What a proxy on this machine passes on comes from elsewhere.
func isOnThisMachine(r *http.Request) bool {
	for _, passedOn := range []string{"Forwarded", "X-Forwarded-For", "Via"} {
		if r.Header.Get(passedOn) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// VisitReadChunksResponse sends frames of chunks.
func (b *frameBody) VisitReadChunksResponse(w http.ResponseWriter) error {
	return b.write(w, pack.ChunkKind)
}

// VisitReadFilesResponse sends frames of blobs.
func (b *frameBody) VisitReadFilesResponse(w http.ResponseWriter) error {
	return b.write(w, pack.BlobKind)
}

func (b *frameBody) write(w http.ResponseWriter, kind pack.Kind) error {
	defer b.leave()
	w.Header().Set("Content-Type", octets.FramesType)
	w.WriteHeader(http.StatusOK)
	err := steadily(w, func(w http.ResponseWriter) error {
		out := &frameWriter{kind: kind, plain: b.plain, to: w, frameBuffers: frameBufferPool.Get().(*frameBuffers)}
		defer out.release()
		if err := b.fill(out); err != nil {
			return err
		}
		return out.flush()
	})
	if err != nil {
		b.server.log.Warn("an answer in frames was cut off", "kind", kind, "error", err)
		panic(http.ErrAbortHandler) // the status is out; a cut connection says that something is missing
	}
	return nil
}

// frameWriter groups items into frames. It holds one frame in memory, raw and encoded.
type frameWriter struct {
	kind  pack.Kind
	plain bool // frames are not compressed
	to    io.Writer
	*frameBuffers
}

// frameBuffers are what a frameWriter works in, about 2 MiB. They are empty when they are not in use.
type frameBuffers struct {
	items   []pack.Item
	data    []byte
	encoded []byte
}

var frameBufferPool = sync.Pool{New: func() any { return new(frameBuffers) }}

// add makes an item part of the stream; read fills its bytes in.
func (f *frameWriter) add(item pack.Item, read func(into []byte) error) error {
	if len(f.data)+item.Length > pack.MaxData || len(f.items) == pack.MaxItems {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if f.data == nil {
		f.data = make([]byte, 0, pack.MaxData)
	}
	start := len(f.data)
	f.data = f.data[:start+item.Length]
	f.items = append(f.items, item)
	return read(f.data[start:])
}

// release ends the use of the buffers. Whoever was written to has taken a copy by then; see [io.Writer].
func (f *frameWriter) release() {
	f.items, f.data = f.items[:0], f.data[:0]
	frameBufferPool.Put(f.frameBuffers)
	f.frameBuffers = nil
}

// flush sends what has gathered.
func (f *frameWriter) flush() error {
	if len(f.items) == 0 {
		return nil
	}
	encode := pack.Append
	if f.plain {
		encode = pack.AppendPlain
	}
	f.encoded = encode(f.encoded[:0], f.kind, f.items, f.data)
	f.items, f.data = f.items[:0], f.data[:0]
	_, err := f.to.Write(f.encoded)
	return err
}
