package checkout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"hayloft/cas"
)

func TestMain(m *testing.M) {
	if os.Getenv(killedAt) != "" {
		runUntilKilled()
	}
	goleak.VerifyTestMain(m)
}

// folderStore is a store of blobs as files in one folder: what checkouts need of a store and no more. Packed blobs are
// there too, under a name that Path does not give.
type folderStore struct{ dir string }

const packed = ".packed"

// pack makes a stored blob one that needs shaping.
func (s folderStore) pack(t testing.TB, blobs ...cas.Blob) {
	t.Helper()
	for _, b := range blobs {
		if err := os.Rename(s.Path(b.Digest), s.Path(b.Digest)+packed); err != nil {
			t.Fatal(err)
		}
	}
}

func (s folderStore) Shape(ctx context.Context, blobs []cas.Blob) (made int, err error) {
	for _, b := range blobs {
		if err := ctx.Err(); err != nil {
			return made, err
		}
		if _, err := os.Stat(s.Path(b.Digest)); err == nil {
			continue
		}
		if err := os.Link(s.Path(b.Digest)+packed, s.Path(b.Digest)); err != nil {
			return made, fmt.Errorf("shape %s: %w: %w", b, cas.ErrNotFound, err)
		}
		made++
	}
	return made, nil
}

func newStore(t testing.TB, dir string) folderStore {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return folderStore{dir: dir}
}

func (s folderStore) Path(d cas.Digest) string { return filepath.Join(s.dir, d.String()) }

func (s folderStore) Stat(ctx context.Context, blobs []cas.Blob, have func(cas.Blob) error) error {
	for _, b := range blobs {
		info, err := os.Stat(s.Path(b.Digest))
		if err != nil {
			info, err = os.Stat(s.Path(b.Digest) + packed)
		}
		if err != nil || info.Size() != b.Size {
			continue
		}
		if err := have(b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type folderReader struct {
	*bytes.Reader
	blob cas.Blob
}

func (r folderReader) Close() error   { return nil }
func (r folderReader) Blob() cas.Blob { return r.blob }

func (s folderStore) Open(_ context.Context, d cas.Digest) (cas.Reader, error) {
	content, err := os.ReadFile(s.Path(d))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cas.ErrNotFound, err)
	}
	return folderReader{bytes.NewReader(content), cas.Blob{Digest: d, Size: int64(len(content))}}, nil
}

func (s folderStore) put(t testing.TB, content string) cas.Blob {
	t.Helper()
	b := blobOf(content)
	if err := os.WriteFile(s.Path(b.Digest), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return b
}

func blobOf(content string) cas.Blob {
	return cas.Blob{Digest: cas.SumBytes([]byte(content)), Size: int64(len(content))}
}

func mustPath(t testing.TB, text string) Path {
	t.Helper()
	p, err := ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tree builds a manifest from path to content, and stores the contents.
func (s folderStore) tree(t testing.TB, files map[string]string) Manifest {
	t.Helper()
	var entries []Entry
	for path, content := range files {
		entries = append(entries, Entry{Path: mustPath(t, path), Blob: s.put(t, content)})
	}
	return mustManifest(t, entries)
}

func mustManifest(t testing.TB, entries []Entry) Manifest {
	t.Helper()
	m, err := NewManifest(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// contents reads every file below dir through links, as path to content; folders without files end in a slash, and
// links that lead to no file in an arrow.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			children, err := os.ReadDir(path)
			if len(children) == 0 && relative != "." {
				found[filepath.ToSlash(relative)+"/"] = ""
			}
			return err
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			target, err := os.Readlink(path)
			found[filepath.ToSlash(relative)+" ->"] = target
			return err
		}
		content, err := os.ReadFile(path)
		found[filepath.ToSlash(relative)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// farm is a shared storage with a store and the checkouts beside it.
type farm struct {
	shared string
	store  folderStore
	*Checkouts
}

func newFarm(t testing.TB, options ...Option) farm {
	t.Helper()
	shared := t.TempDir()
	store := newStore(t, filepath.Join(shared, "blobs"))
	c, err := New(filepath.Join(shared, "jobs"), store, options...)
	if err != nil {
		t.Fatal(err)
	}
	return farm{shared: shared, store: store, Checkouts: c}
}

// names lists what lies directly in the folder of checkouts called name; "" is the root.
func (f farm) names(t testing.TB, name string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.root, name))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		if e.Name() != buildingDir {
			names = append(names, e.Name())
		}
	}
	return names
}

// nothingLeft fails if anything half-built remains.
func (f farm) nothingLeft(t testing.TB) {
	t.Helper()
	if left := f.names(t, buildingDir); len(left) > 0 {
		t.Errorf("left in %s: %v", buildingDir, left)
	}
}

// sameBytes gives the same bytes for ever: a source of randomness that runs out of variants.
type sameBytes byte

func (s sameBytes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s)
	}
	return len(b), nil
}

var _ io.Reader = sameBytes(0)
