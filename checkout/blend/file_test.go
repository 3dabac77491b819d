package blend

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bytesAt(data []byte) io.ReaderAt { return bytes.NewReader(data) }

// tilesByImage are the tiles of each image.
func tilesByImage(t *testing.T, f *File) map[string][]int64 {
	t.Helper()
	images := map[string][]int64{}
	for b := range f.Blocks() {
		if b.Code() != "IM" {
			continue
		}
		s, ok, err := b.Struct()
		if err != nil || !ok {
			t.Fatalf("block %s: %v %v", b.Code(), ok, err)
		}
		name := s.Text("id.name")
		images[name] = nil
		for tile, err := range s.List("tiles") {
			if err != nil {
				t.Fatal(err)
			}
			images[name] = append(images[name], tile.Int("tile_number"))
		}
	}
	return images
}

func TestEveryLayoutReadsTheSame(t *testing.T) {
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			f := parsed(t, sample(l))
			if diff := cmp.Diff(l.header, f.Header()); diff != "" {
				t.Error(diff)
			}
			want := map[string][]int64{"IMtiled": {1001, 1005}, "IMother": {1012}}
			got := tilesByImage(t, f)
			got["IMtiled"] = got["IMtiled"][:2] // The loop is followed until the datablock's blocks are used up.
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			image, _, err := Block{f, 1}.Struct()
			if err != nil {
				t.Fatal(err)
			}
			if got := image.Text("filepath"); got != "//t.<UDIM>.png" {
				t.Errorf("by its new name, name is %q", got)
			}
			if got := [2]float64{image.Float("scale[0]"), image.Float("scale[2]")}; got != [2]float64{1, -2.5} {
				t.Errorf("scale is %v", got)
			}
			if raw := (Block{f, 6}); raw.Type() != "Image" && raw.Type() != "" {
				t.Errorf("raw memory has the type %q", raw.Type())
			}
			if _, ok := image.Field("id.nothing"); ok || image.Int("scale[9]") != 0 || image.Int("nothing.at.all") != 0 {
				t.Error("a field that is not there was found")
			}
		})
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	good := sample(layouts["8 bytes, little"])
	endless := bytes.Clone(good)
	copy(endless[headerSize+4:], []byte{0xff, 0xff, 0xff, 0x7f})
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"empty": {nil, ErrNotBlend}, "text": {[]byte("just some text, nothing else"), ErrNotBlend},
		"short": {good[:10], ErrCorrupt}, "cut": {good[:len(good)/2], ErrCorrupt}, "no end": {good[:len(good)-4], ErrCorrupt},
		"long block": {endless, ErrCorrupt}, "newer": {[]byte("BLENDER19-02v0612 and more"), ErrNewer},
		"header": {[]byte("BLENDER-x304 and more"), ErrCorrupt},
		"gzip":   {gzipped(t, []byte("text in an envelope")), ErrNotBlend}, "cut gzip": {gzipped(t, good)[:300], ErrCorrupt},
		"zstd": {zstdStream(t, []byte("text in an envelope")), ErrNotBlend}, "cut zstd": {zstdStream(t, good)[:300], ErrCorrupt},
		"frames": {zstdFrames(t, []byte("text in an envelope"), 5, false), ErrNotBlend},
	} {
		if f, err := Parse(bytesAt(test.data), int64(len(test.data))); !errors.Is(err, test.want) || f != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotBlend) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent.blend")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestLongStreamsLieOnDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	b := build(layouts["8 bytes, little"])
	b.block("IM", kindImage, 100, 1, b.image("first", "//a.png", imageFile, 0)).block("DATA", 0, 1, 1, make([]byte, maxInMemory+1))
	data := zstdStream(t, b.end())
	f, err := Parse(bytesAt(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got := tilesByImage(t, f); len(got) != 1 {
		t.Errorf("images: %v", got)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
