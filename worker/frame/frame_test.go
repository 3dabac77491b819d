package frame

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 1, 200, rapid.ID[int]).Draw(t, "frames")
		slices.Sort(frames)
		got, err := ParseList(FormatList(frames))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frames, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{"1": {1}, "3,1..2, 2": {1, 2, 3}, "0": {0}, "7..7": {7}} {
		got, err := ParseList(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
	for _, text := range []string{"", ",", "10..1", "abc", "+1", "-1", "1-3", "1..", "1...3", "1..999999", "99999999999999999999", "1e3"} {
		if got, err := ParseList(text); !errors.Is(err, ErrUnmanaged) {
			t.Errorf("%q gave %v, %v", text, got, err)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range []struct{ output, format, name string }{
		{"/out/######", "PNG", "000042.png"},
		{"/out/a_##_b", "JPEG", "a_42_b.jpg"},
		{"/out/shot.", "OPEN_EXR", "shot.0042.exr"},
		{"/out/", "TIFF", "0042.tif"},
		{"/out/###.jpeg", "JPEG", "042.jpeg"},
		{"/out/#", "PNG", "42.png"},
		{"/out/##_##", "PNG", "##_42.png"},
		{"/out/take #1_###", "JP2", "take #1_042.jp2"},
	} {
		p, err := ParsePattern(c.output, c.format)
		if err != nil || p.Name(42) != c.name || p.Dir != "/out" {
			t.Errorf("%s: %+v, %q, %v", c.output, p, p.Name(42), err)
		}
		if n, view, ok := p.Frame(c.name); n != 42 || view || !ok {
			t.Errorf("%s reads back as %d, %v, %v", c.name, n, view, ok)
		}
		staged, err := ParsePattern(p.Output("/staging"), c.format)
		if err != nil || staged.Name(42) != c.name || staged.Dir != "/staging" {
			t.Errorf("staged %s: %+v, %v", c.output, staged, err)
		}
	}
	if p, err := ParsePattern("/sh##t #1/####", "PNG"); err != nil || p.Path(42) != "/sh##t #1/0042.png" {
		t.Errorf("with # in folders: %+v, %v", p, err)
	}
	for _, output := range []string{"relative/####", "//blend/####", ""} {
		if _, err := ParsePattern(output, "PNG"); !errors.Is(err, ErrUnmanaged) {
			t.Errorf("%q gave %v", output, err)
		}
	}
	if _, err := ParsePattern("/out/####", "FFMPEG"); !errors.Is(err, ErrUnmanaged) {
		t.Errorf("a movie format gave %v", err)
	}
}

func TestPatternKnowsItsFrames(t *testing.T) {
	p := Pattern{Dir: "/out", Prefix: "f", Width: 4, Suffix: ".exr"}
	for name, want := range map[string]struct {
		n        int
		view, ok bool
	}{
		"f0001.exr": {1, false, true}, "f12345.exr": {12345, false, true}, "f0001_L.exr": {1, true, true},
		"f0001.jpg": {1, false, false}, "f001.exr": {}, "f01234.exr": {}, "g0001.exr": {}, "f0001x.exr": {1, false, false}, "f0001_.exr": {1, false, false},
	} {
		n, view, ok := p.Frame(name)
		if view != want.view || ok != want.ok || (ok && n != want.n) {
			t.Errorf("%s gave %d, %v, %v", name, n, view, ok)
		}
	}
	j, err := ParsePattern("/out/f####", "JP2")
	if err != nil || !slices.Equal(j.Names(7), []string{"f0007.jp2", "f0007.j2c"}) || j.Output("/staging") != filepath.FromSlash("/staging/f####") {
		t.Errorf("JPEG 2000: %+v, %v", j, err)
	}
	for name, isView := range map[string]bool{"f0007.j2c": false, "f0007.jp2": false, "f0007_L.j2c": true, "f0007_L.jp2": true} {
		if n, view, ok := j.Frame(name); n != 7 || view != isView || !ok {
			t.Errorf("%s gave %d, %v, %v", name, n, view, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, maxNumber).Draw(t, "n")
		if got, view, ok := p.Frame(p.Name(n)); got != n || view || !ok {
			t.Fatalf("%d reads back as %d, %v, %v", n, got, view, ok)
		}
	})
}

func TestParseArgs(t *testing.T) {
	args := []string{"--scene", "-f", "--python-expr", "import bpy", "-o", "/out/####", "-F", "PNG", "-x", "1", "-f", "1..4,9", "--", "-f", "7"}
	r, err := ParseArgs(args)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 9}, r.Frames); diff != "" {
		t.Error(diff)
	}
	want := slices.Clone(args)
	want[5], want[11] = filepath.FromSlash("/staging/####.png"), "2,9"
	if diff := cmp.Diff(want, r.Args("/staging", []int{2, 9})); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"", "-a", "-o /o/# -F PNG -a", "-f 1 -o /o/# -F PNG", "-o /o/# -F PNG -f", "-o /o/# -o /p/# -F PNG -f 1",
		"-o /o/# -f 1", "-o /o/# -F PNG -f +1", "-o /o/# -F PNG -- -f 1"} {
		if _, err := ParseArgs(strings.Fields(line)); !errors.Is(err, ErrUnmanaged) {
			t.Errorf("%q gave %v", line, err)
		}
	}
}

func noise(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = byte(i * i >> 3)
	}
	return img
}

func encodings(t *testing.T) map[string][]byte {
	t.Helper()
	var p, j bytes.Buffer
	if err := errors.Join(png.Encode(&p, noise(40, 30)), jpeg.Encode(&j, noise(40, 30), nil)); err != nil {
		t.Fatal(err)
	}
	exr, err := os.ReadFile("testdata/small.exr")
	if err != nil {
		t.Fatal(err)
	}
	multilayer, err := os.ReadFile("testdata/multilayer.exr")
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"a.png": p.Bytes(), "a.jpg": j.Bytes(), "a.exr": exr, "b.exr": multilayer}
}

func TestTruncatedFramesAreBroken(t *testing.T) {
	for name, whole := range encodings(t) {
		path := filepath.Join(t.TempDir(), name)
		for n := 0; n <= len(whole); n += 1 + len(whole)/300 {
			if len(whole)-n <= len(whole)/300 {
				n = len(whole)
			}
			if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			report, err := Check(path)
			switch {
			case n == len(whole) && (err != nil || report.Size != int64(n)):
				t.Errorf("the whole %s: %v", name, err)
			case n < len(whole) && !errors.Is(err, ErrBroken):
				t.Errorf("%s cut to %d of %d bytes gave %v", name, n, len(whole), err)
			}
		}
	}
}

func TestStructureOfLargeImages(t *testing.T) {
	files := encodings(t)
	for name, structure := range map[string]func(*os.File) error{"a.png": wholePNG, "a.jpg": wholeJPEG} {
		for _, n := range []int{len(files[name]), len(files[name]) - 1, len(files[name]) / 2} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, files[name][:n], 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := structure(f); (err == nil) != (n == len(files[name])) {
				t.Errorf("%s with %d bytes: %v", name, n, err)
			}
			f.Close()
		}
	}
}

func TestTIFF(t *testing.T) {
	for text, ok := range map[string]bool{
		"II*\x00\x08\x00\x00\x00\x01\x00": true, "MM\x00*\x00\x00\x00\x08\x00\x01": true,
		"II*\x00\x00\x00\x00\x00\x01\x00": false, "II*\x00\xff\x00\x00\x00\x01\x00": false, "II*": false, "nonsense!!": false,
	} {
		if err := wholeTIFF(strings.NewReader(text), int64(len(text))); (err == nil) != ok {
			t.Errorf("%q gave %v", text, err)
		}
	}
}

func TestUnusualFilesAreBroken(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "link.png")), os.Mkdir(filepath.Join(dir, "dir.png"), 0o755),
		os.WriteFile(filepath.Join(dir, "empty.webp"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link.png", "dir.png", "empty.webp"} {
		if _, err := Check(filepath.Join(dir, name)); !errors.Is(err, ErrBroken) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	if _, err := Check(filepath.Join(dir, "absent.png")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file gave %v", err)
	}
}

func TestSuspicion(t *testing.T) {
	fill := func(c color.NRGBA, share int) image.Image {
		img := noise(100, 100)
		for i := range 100 * share {
			img.SetNRGBA(i%100, i/100, c)
		}
		return img
	}
	for _, c := range []struct {
		img  image.Image
		want string
	}{
		{fill(color.NRGBA{255, 0, 255, 255}, 100), "magenta"},
		{fill(color.NRGBA{120, 10, 118, 255}, 40), "magenta"},
		{fill(color.NRGBA{255, 0, 255, 255}, 10), ""},
		{fill(color.NRGBA{200, 30, 40, 255}, 100), ""},
		{fill(color.NRGBA{}, 100), "blank"},
		{fill(color.NRGBA{0, 0, 0, 255}, 100), ""},
	} {
		if got := suspicion(c.img); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	staged, final := filepath.Join(dir, "staged"), filepath.Join(dir, "new", "final.png")
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(staged, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := Publish(t.Context(), staged, final)
		if err != nil || file.Size != int64(len(text)) {
			t.Fatalf("%+v, %v", file, err)
		}
		if got, err := os.ReadFile(final); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestPublishAcrossFileSystems(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "frame")
	if err != nil {
		t.Fatalf("this test needs a second file system at /dev/shm: %v", err)
	}
	defer os.RemoveAll(other)
	staged, dir := filepath.Join(other, "staged"), t.TempDir()
	if err := os.WriteFile(staged, []byte("bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Publish(t.Context(), staged, filepath.Join(dir, "final.png")); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "final.png" {
		t.Errorf("%v, %v", files, err)
	}
}

func TestCanceledCopyLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := filepath.Join(dir, "src")
	if err := os.WriteFile(src, []byte("bytes"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Copy(ctx, src, filepath.Join(dir, "dest")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

func FuzzEXR(f *testing.F) {
	for _, name := range []string{"testdata/small.exr", "testdata/multilayer.exr"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if wholeEXR(bytes.NewReader(data), int64(len(data))) == nil && len(data) < 16 {
			t.Errorf("%d bytes pass for an image", len(data))
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, text := range []string{"1", "1..3,5", "10..1", ",", "1..", "+1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		frames, err := ParseList(text)
		if err != nil {
			return
		}
		again, err := ParseList(FormatList(frames))
		if err != nil || !slices.Equal(frames, again) {
			t.Errorf("%q gives %v, and written again %v, %v", text, frames, again, err)
		}
	})
}
