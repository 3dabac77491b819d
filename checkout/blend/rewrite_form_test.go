package blend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func to(text string) func(Dependency) (string, bool) {
	return func(Dependency) (string, bool) { return text, true }
}

// contentOf is a file without its envelope.
func contentOf(t testing.TB, data []byte) []byte {
	t.Helper()
	c := parsed(t, data).content
	plain, err := io.ReadAll(io.NewSectionReader(c, 0, c.size))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestEnvelopesStay rewrites the same scene in every layout and envelope.
func TestEnvelopesStay(t *testing.T) {
	for name, l := range layouts {
		plain := sample(l)
		want, changed := rewritten(t, saved(t, filepath.Join(t.TempDir(), "a.blend"), plain), to("//other/x"))
		if changed != 3 || len(want) != len(plain) || bytes.Count(want, []byte("//other/x\x00")) != 3 {
			t.Errorf("%s: %d fields changed", name, changed)
		}
		for envelope, data := range map[string][]byte{
			"gzip": gzipped(t, plain), "zstd without table": zstdStream(t, plain), "zstd with table": zstdFrames(t, plain, 100, false),
			"zstd with checksums": zstdFrames(t, plain, 100, true),
		} {
			got, _ := rewritten(t, saved(t, filepath.Join(t.TempDir(), "a.blend"), data), to("//other/x"))
			if before, after := parsed(t, data).Compression(), parsed(t, got).Compression(); before != after {
				t.Errorf("%s, %s: became %s", name, envelope, after)
			}
			if !bytes.Equal(contentOf(t, got), want) {
				t.Errorf("%s, %s: not what the plain file became", name, envelope)
			}
			if _, seekable := parsed(t, got).content.ReaderAt.(*frames); seekable != strings.HasPrefix(envelope, "zstd") {
				t.Errorf("%s, %s: seekable is %v", name, envelope, seekable)
			}
		}
	}
}

// TestUntouchedFramesStay compares the packed bytes of all frames in which no path lies.
func TestUntouchedFramesStay(t *testing.T) {
	scenes := corpus(t)
	if _, ok := scenes["images_zstd.blend"]; !ok {
		t.Fatal("the corpus has no such scene")
	}
	source := read(t, filepath.Join(corpusTop, "images_zstd.blend"))
	plain := contentOf(t, source)
	data := zstdFrames(t, plain, 5000, false)
	got, changed := rewritten(t, saved(t, filepath.Join(t.TempDir(), "a.blend"), data), func(d Dependency) (string, bool) {
		return "//far/away.png", d.Datablock == "IMwood"
	})
	if changed != 1 {
		t.Fatalf("%d fields changed", changed)
	}
	before, after := parsed(t, data).content.ReaderAt.(*frames).list, parsed(t, got).content.ReaderAt.(*frames).list
	if len(before) != len(after) {
		t.Fatalf("%d frames became %d", len(before), len(after))
	}
	differ := 0
	for i := range before {
		a := data[before[i].packedAt:][:before[i].packedSize]
		b := got[after[i].packedAt:][:after[i].packedSize]
		if !bytes.Equal(a, b) {
			differ++
		}
	}
	if differ < 1 || differ > 2 { // The field can lie across a border.
		t.Errorf("%d of %d frames differ", differ, len(before))
	}
}

func TestPathsAreNeverCut(t *testing.T) {
	path := saved(t, filepath.Join(t.TempDir(), "a.blend"), sample(layouts["8 bytes, little"]))
	fits := strings.Repeat("x", 63)
	if _, changed := rewritten(t, path, to(fits)); changed != 3 {
		t.Errorf("%d fields changed", changed)
	}
	for _, c := range []struct {
		text string
		want error
	}{{fits + "x", ErrPathTooLong}, {"", ErrBadText}, {"//a\x00b", ErrBadText}} {
		var out bytes.Buffer
		changed, err := Rewrite(t.Context(), path, &out, to(c.text))
		if !errors.Is(err, c.want) || changed != 0 || out.Len() != 0 {
			t.Errorf("%q: %v, %d changes, %d bytes", c.text, err, changed, out.Len())
		}
		if err != nil && !strings.Contains(err.Error(), "IMtiled") {
			t.Errorf("%v does not name the datablock", err)
		}
	}
}

// TestLongTextsInBlocks looks at the limit of paths that have a block of their own.
func TestLongTextsInBlocks(t *testing.T) {
	corpus(t)
	path := filepath.Join(corpusTop, "media.blend")
	longest := "//" + strings.Repeat("x", longestPath-3)
	for text, want := range map[string]error{longest: nil, longest + "x": ErrPathTooLong} {
		_, err := Rewrite(t.Context(), path, io.Discard, func(d Dependency) (string, bool) { return text, d.Kind == "custom property asset" })
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}

func TestTheFileItselfIsNoCopy(t *testing.T) {
	data := sample(layouts["8 bytes, little"])
	path := saved(t, filepath.Join(t.TempDir(), "a.blend"), data)
	out, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // Nothing is written to it.
	if _, err := Rewrite(t.Context(), path, out, to("//x")); !errors.Is(err, ErrSameFile) {
		t.Error(err)
	}
	if !bytes.Equal(read(t, path), data) {
		t.Error("the file was changed")
	}
}

type fullDisk struct{ room int }

var errFull = errors.New("no space left")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestRewriteTellsErrors(t *testing.T) {
	plain := sample(layouts["8 bytes, little"])
	for name, data := range map[string][]byte{"plain": plain, "gzip": gzipped(t, plain), "stream": zstdStream(t, plain), "frames": zstdFrames(t, plain, 200, false)} {
		path := saved(t, filepath.Join(t.TempDir(), "a.blend"), data)
		for _, replace := range []func(Dependency) (string, bool){to("//x"), func(Dependency) (string, bool) { return "", false }} {
			if _, err := Rewrite(t.Context(), path, &fullDisk{10}, replace); !errors.Is(err, errFull) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Rewrite(ctx, path, io.Discard, func(Dependency) (string, bool) { cancel(); return "//x", true })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Rewrite(t.Context(), filepath.Join(t.TempDir(), "none.blend"), io.Discard, to("//x")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestCutEdits holds edits that are applied frame by frame against those that are applied at once.
func TestCutEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "plain")
		var edits []edit
		for at := 0; at < len(plain); {
			at += rapid.IntRange(0, 40).Draw(t, "gap")
			size := rapid.IntRange(1, 30).Draw(t, "size")
			if at+size > len(plain) {
				break
			}
			data := rapid.SliceOfN(rapid.Byte(), size, size+20).Draw(t, "data")
			edits = append(edits, edit{int64(at), int64(size), data})
			at += size
		}
		var want, got bytes.Buffer
		if err := copyEdited(context.Background(), &want, bytes.NewReader(plain), 0, int64(len(plain)), edits); err != nil {
			t.Fatal(err)
		}
		rest := slices.Clone(edits)
		for at, step := int64(0), int64(rapid.IntRange(1, 50).Draw(t, "frame")); at < int64(len(plain)); at += step {
			var here []edit
			last := min(at+step, int64(len(plain)))
			here, rest = cutAt(rest, last)
			if err := copyEdited(context.Background(), &got, bytes.NewReader(plain), at, last, here); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want.Bytes(), got.Bytes()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSplitLike(t *testing.T) {
	for _, c := range []struct{ text, old, dir, name string }{
		{"//a.png", "b.png", "//", "a.png"}, {"//x/a.png", "b.png", "//x/", "a.png"}, {"/a.png", "b.png", "/", "a.png"},
		{"a.png", "b.png", "", "a.png"}, {"//x/y/a.png", "s/b.png", "//x/", "y/a.png"}, {"//a.png", "s/b.png", "//", "a.png"},
		{`C:\x\a.png`, "b.png", `C:\x\`, "a.png"}, {"//x/", "b.png", "//x/", ""},
	} {
		if dir, name := splitLike(c.text, c.old); dir != c.dir || name != c.name {
			t.Errorf("%q like %q: %q, %q", c.text, c.old, dir, name)
		}
	}
}
