package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hayloft/cas"
	"hayloft/cas/chunk"
	"hayloft/checkout"
	"hayloft/checkout/fileindex"
)

// found is what one reading told, by path.
type found map[string]Found

// reads walks and reads a tree. Its clock is an hour ahead, so that no file is too young to be trusted.
func reads(t testing.TB, root string, how Reading) (checkout.Manifest, found, Summary) {
	t.Helper()
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := found{}
	how.Each = func(f Found) error {
		all[f.File.Path.String()] = f
		return nil
	}
	if how.Now == nil {
		how.Now = func() time.Time { return time.Now().Add(time.Hour) }
	}
	m, summary, err := Read(t.Context(), tree, how)
	if err != nil {
		t.Fatal(err)
	}
	if m.Len() != len(all) || summary.FilesNew+summary.FilesChanged+summary.FilesUnchanged != len(all) {
		t.Errorf("told of %d files, %d in the manifest, %+v", len(all), m.Len(), summary)
	}
	for e := range m.Entries() {
		if f := all[e.Path.String()]; f.Blob != e.Blob || f.Decoded != e.Origin || f.File.Mode != e.Mode {
			t.Errorf("told of %+v, but the manifest has %+v", f, e)
		}
	}
	return m, all, summary
}

func index(t testing.TB) *fileindex.Index {
	t.Helper()
	x, err := fileindex.Open(filepath.Join(t.TempDir(), "files.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(x.Damage(), x.Close()); err != nil {
			t.Error(err)
		}
	})
	return x
}

// opens gives the bytes that a found file opens to.
func opens(t testing.TB, f Found) []byte {
	t.Helper()
	b, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(io.NewSectionReader(b, 0, 1<<40))
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

func TestReadTellsWhatChanged(t *testing.T) {
	root, x := t.TempDir(), index(t)
	big := bytes.Repeat([]byte("some hay, "), 300_000)
	lay(t, root, map[string]string{"a": "one", "b/c": "two", "empty": "", "big": string(big)})
	first, all, summary := reads(t, root, Reading{Index: x})
	if summary != (Summary{FilesNew: 4, BytesRead: int64(len(big)) + 6}) {
		t.Errorf("at first: %+v", summary)
	}
	if f := all["big"]; f.Recipe.Blob() != f.Blob || f.Recipe.Len() == 0 || all["a"].Recipe.Len() != 0 {
		t.Error("large files are cut, and no others")
	}
	again, _, summary := reads(t, root, Reading{Index: x, Read: neverRead})
	if summary != (Summary{FilesUnchanged: 4}) || again.Digest() != first.Digest() {
		t.Errorf("unchanged: %+v", summary)
	}
	before := all["big"].Recipe
	lay(t, root, map[string]string{"a": "ONE", "new": "n", "big": string(big) + "more"})
	lay(t, root, map[string]string{"b/c": "two"}) // written again as it was
	_, all, summary = reads(t, root, Reading{Index: x})
	if summary != (Summary{FilesNew: 1, FilesChanged: 2, FilesUnchanged: 2, BytesRead: int64(len(big)) + 4 + 3 + 1 + 3}) {
		t.Errorf("after changes: %+v", summary)
	}
	for path, want := range map[string]State{"a": Changed, "new": New, "big": Changed, "b/c": Unchanged, "empty": Unchanged} {
		if all[path].State != want {
			t.Errorf("%s: state %v, not %v", path, all[path].State, want)
		}
	}
	if all["big"].Base.ID() != before.ID() || all["a"].Base.Len() != 0 {
		t.Error("the base is the recipe of the version before")
	}
	for path, f := range all {
		if cas.SumBytes(opens(t, f)) != f.Blob.Digest {
			t.Errorf("%s opens to other bytes", path)
		}
	}
	if _, _, summary = reads(t, root, Reading{Index: x, Rescan: true}); summary.FilesUnchanged != 5 || summary.BytesRead == 0 {
		t.Errorf("rescan: %+v", summary)
	}
}

// neverRead is a way to read that fails.
func neverRead(context.Context, io.ReaderAt, int64) (Content, error) {
	return Content{}, errors.New("a file was read")
}

// A file that was written at the moment when it was read may be written again without a sign of it.
func TestReadDoesNotTrustYoungFiles(t *testing.T) {
	root, x := t.TempDir(), index(t)
	lay(t, root, map[string]string{"f": "one"})
	moment := func() time.Time {
		info, err := os.Stat(filepath.Join(root, "f"))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	_, _, _ = reads(t, root, Reading{Index: x, Now: moment})
	if _, _, summary := reads(t, root, Reading{Index: x}); summary != (Summary{FilesUnchanged: 1, BytesRead: 3}) {
		t.Errorf("a young file: %+v", summary)
	}
	if _, _, summary := reads(t, root, Reading{Index: x}); summary != (Summary{FilesUnchanged: 1}) {
		t.Errorf("the same, read again: %+v", summary)
	}
}

// One tree is known whatever roots it is reached by.
func TestReadKnowsAllRoots(t *testing.T) {
	root, x := t.TempDir(), index(t)
	lay(t, root, map[string]string{"shots/a.blend": "a", "textures/x/wood.png": "w", "other": "o"})
	reads(t, root, Reading{Index: x})
	roots := []string{filepath.Join(root, "textures"), filepath.Join(root, "shots", "a.blend")}
	tree, err := WalkAll(t.Context(), roots, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, summary, err := Read(t.Context(), tree, Reading{Index: x, Read: neverRead})
	if err != nil || summary != (Summary{FilesUnchanged: 2}) || m.Len() != 2 {
		t.Errorf("%+v, %v", summary, err)
	}
}

// fileChanges are ways in which a file can differ from what was read of it.
func fileChanges(early time.Time) map[string]func(t *testing.T, path string, n int) {
	return map[string]func(t *testing.T, path string, n int){
		"grows": func(t *testing.T, path string, n int) {
			lay(t, filepath.Dir(path), map[string]string{"f": strings.Repeat("x", 10+n)})
		},
		"shrinks": func(t *testing.T, path string, n int) {
			lay(t, filepath.Dir(path), map[string]string{"f": strings.Repeat("x", 9-n)})
		},
		"touched": func(t *testing.T, path string, n int) {
			if err := os.Chtimes(path, early, early.Add(time.Duration(n)*time.Second)); err != nil {
				t.Error(err)
			}
		},
		"saved by renaming": func(t *testing.T, path string, n int) {
			// The new file has the old one's size and time.
			lay(t, filepath.Dir(path), map[string]string{"f@": fmt.Sprintf("xxxxxxxxx%d", n)})
			if err := errors.Join(os.Chtimes(path+"@", early, early), os.Rename(path+"@", path)); err != nil {
				t.Error(err)
			}
		},
	}
}

func TestReadReadsAChangedFileAgain(t *testing.T) {
	early := time.Now().Add(-time.Hour)
	for name, change := range fileChanges(early) {
		for _, times := range []int{1, attempts - 1, attempts} {
			t.Run(fmt.Sprintf("%s %d times", name, times), func(t *testing.T) { readWhileItChanges(t, early, change, times) })
		}
	}
}

func readWhileItChanges(t *testing.T, early time.Time, change func(t *testing.T, path string, n int), times int) {
	root := t.TempDir()
	lay(t, root, map[string]string{"f": "xxxxxxxxxx", "other": "a still file"})
	path := filepath.Join(root, "f")
	if err := os.Chtimes(path, early, early); err != nil {
		t.Fatal(err)
	}
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var done, total int64
	m, _, err := Read(t.Context(), tree, Reading{
		Progress: func(d, all int64) { done, total = d, all },
		Read: func(ctx context.Context, r io.ReaderAt, size int64) (Content, error) {
			content, err := sum(ctx, r, size)
			if still := content.Blob.Digest == cas.SumBytes([]byte("a still file")); !still && n < times {
				n++
				change(t, path, n)
			}
			return content, err
		},
	})
	if times == attempts {
		if !errors.Is(err, ErrChanging) || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for e := range m.Entries() {
		if e.Path.String() == "f" && (e.Blob.Digest != cas.SumBytes(content) || e.Blob.Size != int64(len(content))) {
			t.Errorf("read %v, the file has %q", e.Blob, content)
		}
	}
	if want := int64(len(content)) + 12; done != want || total != want {
		t.Errorf("progress ended at %d of %d, not %d", done, total, want)
	}
}

func TestReadNamesAllThatIsGone(t *testing.T) {
	root := t.TempDir()
	lay(t, root, map[string]string{"a": "a", "b": "b", "c": "c"})
	tree, err := Walk(t.Context(), root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(root, "a")), os.Remove(filepath.Join(root, "c"))); err != nil {
		t.Fatal(err)
	}
	_, _, err = Read(t.Context(), tree, Reading{Read: neverRead})
	var unusable *UnusableError
	if !errors.As(err, &unusable) || len(unusable.Causes) != 2 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What was read before an error need not be read again.
func TestReadEndsEarlyAndGoesOn(t *testing.T) {
	errEnough := errors.New("enough")
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprint(i)] = fmt.Sprint(i)
	}
	for name, end := range map[string]func(how *Reading, cancel func()) error{
		"by Each": func(how *Reading, _ func()) error {
			told := 0
			how.Each = func(Found) error {
				if told++; told == 10 {
					return errEnough
				}
				return nil
			}
			return errEnough
		},
		"by the reader": func(how *Reading, _ func()) error {
			how.Read = func(ctx context.Context, r io.ReaderAt, size int64) (Content, error) {
				content, err := sum(ctx, r, size)
				if content.Blob.Digest == cas.SumBytes([]byte("40")) {
					return Content{}, errEnough
				}
				return content, err
			}
			return errEnough
		},
		"by the context": func(how *Reading, cancel func()) error {
			told := 0
			how.Each = func(Found) error {
				if told++; told == 10 {
					cancel()
				}
				return nil
			}
			return context.Canceled
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, x := t.TempDir(), index(t)
			lay(t, root, files)
			tree, err := Walk(t.Context(), root, Options{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			how := Reading{Index: x, Now: func() time.Time { return time.Now().Add(time.Hour) }}
			want := end(&how, cancel)
			_, first, err := Read(ctx, tree, how)
			if !errors.Is(err, want) || errors.Is(err, ErrUnusable) {
				t.Fatalf("got %v", err)
			}
			if _, _, summary := reads(t, root, Reading{Index: x}); summary.FilesUnchanged < first.FilesNew || first.FilesNew == 0 {
				t.Errorf("%+v at first, then %+v", first, summary)
			}
		})
	}
}

func TestReadDoesWithoutAnIndexThatFails(t *testing.T) {
	root, x := t.TempDir(), index(t)
	lay(t, root, map[string]string{"a": "a"})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	m, _, summary := reads(t, root, Reading{Index: x})
	if m.Len() != 1 || !errors.Is(summary.Index, fileindex.ErrClosed) {
		t.Errorf("%d files, %+v", m.Len(), summary)
	}
}

func TestReadGivesTheReaderEveryByte(t *testing.T) {
	root := t.TempDir()
	content := bytes.Repeat([]byte("hay!"), 1<<20)
	lay(t, root, map[string]string{"big": string(content)})
	m, all, _ := reads(t, root, Reading{Read: func(ctx context.Context, r io.ReaderAt, size int64) (Content, error) {
		got := make([]byte, size)
		if n, err := r.ReadAt(got, 0); n < len(got) {
			return Content{}, err
		}
		recipe, err := chunk.Split(ctx, bytes.NewReader(got), size, func(chunk.Piece) error { return nil })
		return Content{Blob: recipe.Blob(), Recipe: recipe}, err
	}})
	if f := all["big"]; m.Size() != int64(len(content)) || f.Blob.Digest != cas.SumBytes(content) || f.Recipe.Blob() != f.Blob {
		t.Errorf("got %v", f.Blob)
	}
}

// What is laid out and gathered again is the same tree.
func TestThereAndBack(t *testing.T) {
	contents := rapid.MapOfN(rapid.StringMatching(`(a|b|é ü)(/(c|d){1,2}){0,2}\.png`), rapid.String(), 0, 8)
	rapid.Check(t, func(rt *rapid.T) {
		files := contents.Draw(rt, "files")
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		lay(t, root, files)
		tree, err := Walk(t.Context(), root, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		m, _, err := Read(t.Context(), tree, Reading{})
		if err != nil {
			rt.Fatal(err)
		}
		var entries []checkout.Entry
		for text, content := range files {
			p, err := checkout.ParsePath(text)
			if err != nil {
				rt.Fatal(err)
			}
			entries = append(entries, checkout.Entry{Path: p, Blob: cas.Blob{Digest: cas.SumBytes([]byte(content)), Size: int64(len(content))}})
		}
		want, err := checkout.NewManifest(entries)
		if err != nil || want.Digest() != m.Digest() {
			rt.Fatalf("%v: another tree came back", err)
		}
	})
}

// tenThousand is a project of as many small files.
func tenThousand(b *testing.B) string {
	root := b.TempDir()
	files := map[string]string{}
	for i := range 10_000 {
		files[fmt.Sprintf("textures/%03d/%d.png", i%100, i)] = fmt.Sprint(i)
	}
	lay(b, root, files)
	return root
}

func BenchmarkUnchanged(b *testing.B) {
	root, x := tenThousand(b), index(b)
	reads(b, root, Reading{Index: x})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			if _, err := Walk(b.Context(), root, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tree, err := Walk(b.Context(), root, Options{})
			if err != nil {
				b.Fatal(err)
			}
			_, summary, err := Read(b.Context(), tree, Reading{Index: x, Read: neverRead, Each: func(Found) error { return nil }})
			if err != nil || summary.FilesUnchanged != 10_000 {
				b.Fatal(summary, err)
			}
		}
	})
}

func BenchmarkNew(b *testing.B) {
	root := tenThousand(b)
	for b.Loop() {
		if _, _, summary := reads(b, root, Reading{}); summary.FilesNew != 10_000 {
			b.Fatal(summary)
		}
	}
}
