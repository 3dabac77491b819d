package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"hayloft/api/octets"
	"hayloft/api/wire"
	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/cas/pack"
)

// Recipe gives the recipe of a blob, or an error that is [cas.ErrNotFound] if the store never cut it. base is a recipe that
// the caller has, against which the answer may travel; the zero value: none.
func (c *Client) Recipe(ctx context.Context, digest cas.Digest, base chunk.Recipe) (chunk.Recipe, error) {
	what := "read the recipe of blob " + digest.String()[:12]
	params := &wire.GetRecipeParams{}
	if base.Blob() != (cas.Blob{}) {
		id := base.ID().String()
		params.Base = &id
	}
	resp, err := c.wire.GetRecipe(ctx, digest.String(), params)
	encoded, err := c.octets(what, resp, err, pack.MaxRecipe)
	if err != nil {
		return chunk.Recipe{}, err
	}
	recipe, err := decodeRecipe(encoded, base)
	if err == nil && recipe.Blob().Digest != digest {
		err = fmt.Errorf("it is of %s", recipe.Blob())
	}
	if err != nil {
		return chunk.Recipe{}, fmt.Errorf("%s: the answer is not what a Hayloft manager sends: %w", what, err)
	}
	return recipe, nil
}

// decodeRecipe reads a recipe, or a delta against base.
func decodeRecipe(encoded []byte, base chunk.Recipe) (chunk.Recipe, error) {
	if _, err := chunk.DeltaBase(encoded); err == nil {
		return chunk.DecodeDelta(encoded, base)
	}
	return chunk.DecodeRecipe(encoded)
}

// Chunks reads the wanted chunks of a recipe, one bool for each in the order of [chunk.Recipe.Chunks], and calls each with
// their bytes in that order; these are checked, and valid until each returns. An error of each is returned. A connection
// that breaks is made again, and reading goes on where it broke.
func (c *Client) Chunks(ctx context.Context, r chunk.Recipe, wanted []bool, each func(chunk.Chunk, []byte) error) error {
	if len(wanted) != r.Len() {
		return fmt.Errorf("read chunks of %s: %d bits for %d chunks", r.Blob(), len(wanted), r.Len())
	}
	var items []pack.Item
	var places []int
	place := 0
	for c := range r.Chunks() {
		if wanted[place] {
			items, places = append(items, pack.Item{ID: c.ID.Bytes(), Length: c.Length}), append(places, place)
		}
		place++
	}
	f := fetch{what: "read chunks of blob " + r.Blob().Digest.String()[:12], kind: pack.ChunkKind, left: items}
	f.ask = func(done int) (*http.Response, error) {
		still := make([]bool, len(wanted))
		for _, place := range places[done:] {
			still[place] = true
		}
		return c.wire.ReadChunksWithBody(ctx, r.Blob().Digest.String(), octetStream, bytes.NewReader(octets.Bitmap(still)))
	}
	return f.run(ctx, func(item pack.Item, data []byte) error {
		return each(chunk.Chunk{ID: chunk.IDFromBytes(item.ID), Length: item.Length}, data)
	})
}

// Files reads many small blobs, of at most [octets.MaxFile] bytes each, and calls each with their bytes in the order of the
// digests; these are checked, and valid until each returns. An error of each is returned. A connection that breaks is made
// again, and reading goes on where it broke.
func (c *Client) Files(ctx context.Context, digests []cas.Digest, each func(cas.Blob, []byte) error) error {
	for len(digests) > 0 {
		some := digests[:min(len(digests), octets.MaxFiles)]
		digests = digests[len(some):]
		f := fetch{what: fmt.Sprintf("read %d small files", len(some)), kind: pack.BlobKind, left: make([]pack.Item, len(some))}
		for i, digest := range some {
			f.left[i] = pack.Item{ID: digest.Bytes(), Length: anyLength}
		}
		f.ask = func(done int) (*http.Response, error) {
			return c.wire.ReadFilesWithBody(ctx, octetStream, bytes.NewReader(octets.AppendDigests(nil, some[done:])))
		}
		done := 0
		err := f.run(ctx, func(item pack.Item, data []byte) error {
			done++
			return each(cas.Blob{Digest: some[done-1], Size: int64(item.Length)}, data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// anyLength stands for a length that is not known before.
const anyLength = -1

// fetch reads items out of frames, over as many connections as it takes.
type fetch struct {
	what string
	kind pack.Kind
	ask  func(done int) (*http.Response, error) // asks for all but the first so many items
	left []pack.Item                            // to come, in this order
	done int
}

// fetchTries is how often in a row a request is made that brings nothing.
const fetchTries = 5

func (f *fetch) run(ctx context.Context, each func(pack.Item, []byte) error) error {
	pause, tries := 100*time.Millisecond, 0
	for len(f.left) > 0 {
		before := f.done
		err := f.once(each)
		if err == nil {
			continue
		}
		if f.done > before {
			pause, tries = 100*time.Millisecond, 0
		}
		if tries++; tries == fetchTries || !passes(err) {
			return fmt.Errorf("%s: %w", f.what, err)
		}
		if err := wait(ctx, pause); err != nil {
			return fmt.Errorf("%s: %w", f.what, err)
		}
		pause *= 3
	}
	return nil
}

// passes tells errors that may be over soon.
func passes(err error) bool {
	var own localError
	return (errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnavailable)) && !errors.As(err, &own)
}

// once makes one request and takes what comes.
func (f *fetch) once(each func(pack.Item, []byte) error) error {
	resp, err := f.ask(f.done)
	resp, err = expect("ask", resp, err, http.StatusOK)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // It was only read.
	body := &countingReader{from: resp.Body}
	frames := pack.NewReader(body)
	for {
		frame, err := frames.Next()
		switch {
		case body.failed != nil && err != nil:
			return unreachable(body.failed)
		case errors.Is(err, io.EOF) && len(f.left) > 0:
			return fmt.Errorf("the answer ends before item %d", f.done)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := f.take(frame, each); err != nil {
			return err
		}
	}
}

// take hands the items of one frame on, if they are those that come next.
func (f *fetch) take(frame pack.Frame, each func(pack.Item, []byte) error) error {
	if frame.Kind != f.kind {
		return fmt.Errorf("the answer has a frame of %v where one of %v was asked for", frame.Kind, f.kind)
	}
	return frame.Each(func(item pack.Item, data []byte) error {
		if len(f.left) == 0 || f.left[0].ID != item.ID || (f.left[0].Length != item.Length && f.left[0].Length != anyLength) {
			return fmt.Errorf("the answer has %x, which was not asked for as item %d", item.ID, f.done)
		}
		if err := each(item, data); err != nil {
			return localError{err}
		}
		f.left, f.done = f.left[1:], f.done+1
		return nil
	})
}

// Stats tells what the store holds, and what each ref holds of it.
func (c *Client) Stats(ctx context.Context) (wire.StoreStats, error) {
	resp, err := c.wire.GetStoreStats(ctx)
	return decode[wire.StoreStats]("ask what the store holds", resp, err)
}
