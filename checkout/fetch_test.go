package checkout

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/cas"
	"hayloft/cas/chunk"
)

// largeTree has a file that comes by chunks, twice, and many that come together.
func largeTree() map[string]string {
	files := map[string]string{"scene.blend": random(1, 5<<20), "old/scene.blend": random(1, 5<<20), "empty": ""}
	for i := range 40 {
		files["tex/"+strings.Repeat("x", i+1)] = random(byte(i), 100*i)
	}
	return files
}

func mustLay(t *testing.T, dir string, m Manifest, blobs cas.Opener, o Options) Result {
	t.Helper()
	r, err := Materialise(t.Context(), dir, m, blobs, o)
	if err != nil {
		t.Fatal(err)
	}
	onlyThere(t, dir)
	return r
}

func isLaid(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := contents(t, dir)
	for path, content := range want {
		if got[path] != content {
			t.Errorf("%q has other content: %d bytes instead of %d", path, len(got[path]), len(content))
		}
		delete(got, path)
	}
	if diff := cmp.Diff(map[string]string{}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFetchesManyAtATimeAndByChunks(t *testing.T) {
	r := newRemote(t)
	files := largeTree()
	m := r.tree(t, files)
	dir := filepath.Join(t.TempDir(), "new")
	result := mustLay(t, dir, m, r, Options{Fetch: r})
	isLaid(t, dir, files)
	var bytes int64
	for _, b := range m.Blobs() {
		bytes += b.Size
	}
	if r.opened != 0 || r.asked != 1 || result.BytesFetched != bytes || r.sent != bytes {
		t.Errorf("opened %d, asked %d times, fetched %d of %d bytes", r.opened, r.asked, result.BytesFetched, bytes)
	}
	if result.FilesWritten != m.Len() || result.BytesWritten != m.Size() || result.How[Fetch]+result.How[Copy]+result.How[Reflink] != m.Len() {
		t.Errorf("%+v", result)
	}
	again := mustLay(t, dir, m, r, Options{Fetch: r})
	if diff := cmp.Diff(Result{FilesKept: m.Len(), How: map[Way]int{}}, again); diff != "" {
		t.Error(diff)
	}
}

func TestFetchesOnlyWhatTheFileInPlaceLacks(t *testing.T) {
	r := newRemote(t)
	files := largeTree()
	m := r.tree(t, files)
	for name, known := range map[string]*memory{"known": newMemory(), "unknown": nil} {
		t.Run(name, func(t *testing.T) {
			o := Options{Fetch: r, Replace: true}
			if known != nil {
				o.Known = known
			}
			dir := filepath.Join(t.TempDir(), "new")
			mustLay(t, dir, m, r, o)
			lay(t, dir, map[string]string{"mine.txt": "mine"})
			kept := stateOf(t, dir, "tex/xx")

			edited := largeTree()
			edited["scene.blend"] = files["scene.blend"][:1<<20] + random(7, 1000) + files["scene.blend"][1<<20:]
			bases := r.bases
			result := mustLay(t, dir, r.tree(t, edited), r, o)
			edited["mine.txt"] = "mine"
			isLaid(t, dir, edited)
			if result.BytesFetched > 600_000 || result.FilesWritten != 1 || r.bases != bases+1 {
				t.Errorf("%+v, %d deltas", result, r.bases-bases)
			}
			if !sameState(kept, stateOf(t, dir, "tex/xx")) {
				t.Error("a file that is equal was touched")
			}
			if known != nil && known.cut[filepath.Join(dir, "scene.blend")].Blob().Size != int64(len(edited["scene.blend"])) {
				t.Error("the recipe was not remembered")
			}
		})
	}
}

func TestInterruptedRunIsCompleted(t *testing.T) {
	r := newRemote(t)
	files := map[string]string{"scene.blend": random(1, 20<<20), "small": "small"}
	m := r.tree(t, files)
	dir := filepath.Join(t.TempDir(), "new")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.before = func(sent int64, data []byte) ([]byte, error) {
		if sent > 10<<20 {
			cancel()
		}
		return data, nil
	}
	first, err := Materialise(ctx, dir, m, r, Options{Fetch: r})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r.before = nil
	second := mustLay(t, dir, m, r, Options{Fetch: r})
	isLaid(t, dir, files)
	if sum := first.BytesFetched + second.BytesFetched; first.BytesFetched < 9<<20 || sum > m.Size()+chunk.MaxSize*parallel {
		t.Errorf("fetched %d and then %d of %d bytes", first.BytesFetched, second.BytesFetched, m.Size())
	}
}

func TestUncutFilesAreOpened(t *testing.T) {
	r := newRemote(t)
	r.uncut = true
	files := map[string]string{"scene.blend": random(1, 3<<20), "small": "small"}
	m := r.tree(t, files)
	dir := t.TempDir()
	result := mustLay(t, dir, m, r, Options{Fetch: r})
	isLaid(t, dir, files)
	if r.opened != 1 || result.BytesFetched != m.Size() {
		t.Errorf("opened %d, %+v", r.opened, result)
	}
}

// lie gives a recipe the name of another blob of the same size.
func lie(t *testing.T, recipe chunk.Recipe, name cas.Blob) chunk.Recipe {
	t.Helper()
	encoded, err := recipe.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	is, errIs := hex.DecodeString(recipe.Blob().Digest.String())
	should, errShould := hex.DecodeString(name.Digest.String())
	if err := errors.Join(errIs, errShould); err != nil {
		t.Fatal(err)
	}
	lying, err := chunk.DecodeRecipe(bytes.Replace(encoded, is, should, 1))
	if err != nil {
		t.Fatal(err)
	}
	return lying
}

func TestBadAnswers(t *testing.T) {
	large, other := random(1, 3<<20), random(2, 3<<20)
	wrong := func(_ int64, data []byte) ([]byte, error) {
		data = bytes.Clone(data)
		data[len(data)/2]++
		return data, nil
	}
	tests := map[string]struct {
		files  map[string]string
		change func(*remote)
		want   error
	}{
		"another recipe": {map[string]string{"a/bad": large}, func(r *remote) {
			recipe, err := r.split(t.Context(), blobOf(other).Digest, func(chunk.Piece) error { return nil })
			if err != nil {
				t.Error(err)
			}
			r.change = func(chunk.Recipe) chunk.Recipe { return recipe }
		}, cas.ErrDigestMismatch},
		"a recipe that lies": {map[string]string{"a/bad": large}, func(r *remote) {
			recipe, err := r.split(t.Context(), blobOf(other).Digest, func(chunk.Piece) error { return nil })
			if err != nil {
				t.Error(err)
			}
			r.change = func(chunk.Recipe) chunk.Recipe { return lie(t, recipe, blobOf(large)) }
			r.chunksOf = blobOf(other).Digest
		}, cas.ErrDigestMismatch},
		"wrong chunks": {map[string]string{"a/bad": large}, func(r *remote) { r.before = wrong }, cas.ErrDigestMismatch},
		"short chunks": {map[string]string{"a/bad": large}, func(r *remote) {
			r.before = func(_ int64, data []byte) ([]byte, error) { return data[1:], nil }
		}, chunk.ErrWrongChunk},
		"wrong file": {map[string]string{"a/bad": "small"}, func(r *remote) { r.before = wrong }, cas.ErrDigestMismatch},
		"short file": {map[string]string{"a/bad": "small"}, func(r *remote) {
			r.before = func(_ int64, data []byte) ([]byte, error) { return data[1:], nil }
		}, cas.ErrSizeMismatch},
		"no file": {map[string]string{"a/bad": "small"}, func(r *remote) { r.pack(t, blobOf("small")) }, cas.ErrNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t)
			r.put(t, other)
			m := r.tree(t, test.files)
			test.change(r)
			dir := t.TempDir()
			_, err := Materialise(t.Context(), dir, m, r, Options{Fetch: r})
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), `"a/bad"`) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if _, err := os.Lstat(filepath.Join(dir, "a/bad")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is there: %v", err)
			}
			// What came of a large file may stay for the next run, unless it is known to be wrong.
			if left, err := filepath.Glob(filepath.Join(dir, StagePrefix+"*")); err != nil || len(left) > 0 && test.want != chunk.ErrWrongChunk {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

// A file that somebody saves while its new version is on its way stays.
func TestFileChangedMeanwhile(t *testing.T) {
	for name, replace := range map[string]bool{"changed": true, "made": false} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t)
			m := r.tree(t, map[string]string{"scene.blend": "new"})
			dir := t.TempDir()
			if replace {
				lay(t, dir, map[string]string{"scene.blend": "old"})
			}
			r.before = func(_ int64, data []byte) ([]byte, error) {
				lay(t, dir, map[string]string{"scene.blend": "saved just now"})
				return data, nil
			}
			_, err := Materialise(t.Context(), dir, m, r, Options{Fetch: r, Replace: replace})
			if !errors.Is(err, ErrOccupied) || !strings.Contains(err.Error(), "in the meantime") {
				t.Errorf("got %v", err)
			}
			isLaid(t, dir, map[string]string{"scene.blend": "saved just now"})
		})
	}
}
