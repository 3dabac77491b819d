package checkout

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// remote is a store across the network: a folderStore that also answers as a Fetcher.
type remote struct {
	folderStore
	uncut    bool                                          // it has no recipes
	change   func(chunk.Recipe) chunk.Recipe               // nil: it tells the truth
	chunksOf cas.Digest                                    // whose chunks it sends instead; zero: those asked for
	before   func(sent int64, data []byte) ([]byte, error) // called with each chunk or file; nil: nothing happens

	mu     sync.Mutex
	opened int   // blobs that came through Open
	asked  int   // requests for files
	sent   int64 // bytes of chunks and files
	bases  int   // recipes that travelled as deltas
}

func newRemote(t testing.TB) *remote { return &remote{folderStore: newStore(t, t.TempDir())} }

func (r *remote) Open(ctx context.Context, d cas.Digest) (cas.Reader, error) {
	r.mu.Lock()
	r.opened++
	r.mu.Unlock()
	return r.folderStore.Open(ctx, d)
}

func (r *remote) send(data []byte) ([]byte, error) {
	r.mu.Lock()
	sent := r.sent
	r.sent += int64(len(data))
	r.mu.Unlock()
	if r.before == nil {
		return data, nil
	}
	return r.before(sent, data)
}

func (r *remote) split(ctx context.Context, d cas.Digest, emit func(chunk.Piece) error) (chunk.Recipe, error) {
	content, err := os.ReadFile(r.Path(d))
	if err != nil || r.uncut {
		return chunk.Recipe{}, fmt.Errorf("recipe of %s: %w: %w", d, cas.ErrNotFound, err)
	}
	return chunk.Split(ctx, bytes.NewReader(content), int64(len(content)), emit)
}

func (r *remote) Recipe(ctx context.Context, d cas.Digest, base chunk.Recipe) (chunk.Recipe, error) {
	recipe, err := r.split(ctx, d, func(chunk.Piece) error { return nil })
	if err != nil {
		return recipe, err
	}
	if r.change != nil {
		recipe = r.change(recipe)
	}
	if base.Blob().Size == 0 {
		return recipe, nil
	}
	r.mu.Lock()
	r.bases++
	r.mu.Unlock()
	return chunk.DecodeDelta(recipe.AppendDelta(nil, base), base)
}

func (r *remote) Chunks(ctx context.Context, recipe chunk.Recipe, wanted []bool, each func(chunk.Chunk, []byte) error) error {
	pieces := map[chunk.ID][]byte{}
	from := recipe.Blob().Digest
	if !r.chunksOf.IsZero() {
		from = r.chunksOf
	}
	_, err := r.split(ctx, from, func(p chunk.Piece) error {
		pieces[p.ID] = bytes.Clone(p.Data)
		return nil
	})
	if err != nil {
		return err
	}
	ordinal := -1
	for c := range recipe.Chunks() {
		if ordinal++; !wanted[ordinal] {
			continue
		}
		data, err := r.send(pieces[c.ID])
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = each(c, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) Files(ctx context.Context, digests []cas.Digest, each func(cas.Blob, []byte) error) error {
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	for _, d := range digests {
		content, err := os.ReadFile(r.Path(d))
		if err != nil {
			return fmt.Errorf("%w: %s", cas.ErrNotFound, d)
		}
		blob := cas.Blob{Digest: d, Size: int64(len(content))}
		if content, err = r.send(content); err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = each(blob, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// random gives the same n bytes for the same seed.
func random(seed byte, n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return string(b)
}

// memory is what a file index knows.
type memory struct {
	mu     sync.Mutex
	blobs  map[string]cas.Blob
	cut    map[string]chunk.Recipe
	states map[string]fs.FileInfo
}

func newMemory() *memory {
	return &memory{blobs: map[string]cas.Blob{}, cut: map[string]chunk.Recipe{}, states: map[string]fs.FileInfo{}}
}

func (k *memory) Content(path string, info fs.FileInfo) (cas.Blob, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	blob, ok := k.blobs[path]
	return blob, ok && sameState(info, k.states[path])
}

func (k *memory) Recipe(path string, info fs.FileInfo) (chunk.Recipe, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	recipe, ok := k.cut[path]
	return recipe, ok && sameState(info, k.states[path])
}

func (k *memory) Learn(path string, info fs.FileInfo, blob cas.Blob, recipe chunk.Recipe) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.blobs[path], k.states[path] = blob, info
	delete(k.cut, path)
	if recipe.Blob() == blob {
		k.cut[path] = recipe
	}
}

// stateOf is what a test remembers of a file to see whether it was touched.
func stateOf(t *testing.T, dir, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return info
}
