package blend

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestLayersAreFound reads one composition in both forms that layers have; testdata/layers.py made them.
func TestLayersAreFound(t *testing.T) {
	top, err := filepath.Abs(filepath.Join("testdata", "caches", "usd"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"below.usdc", "clip.001.usdc", "clip.002.usdc", "clip.003.usdc", "manifest.usda", "referenced.usd"}
	want = append(want, "sub/deep.usda", "sub/deepest.usdc", "sub/payload.usdc", "unanchored.usda", "variant.usdc")
	for _, name := range []string{"top.usda", "top.usdc"} {
		found, missing, absolute := newTracer(t.Context(), top, Options{}).layersOf(filepath.Join(top, name))
		var got []string
		for _, path := range found {
			below, err := filepath.Rel(top, path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(below))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (- wanted, + found):\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{filepath.Join(top, "gone.usdc")}, missing); diff != "" || absolute != "" {
			t.Errorf("%s: absolute %q, missing:\n%s", name, absolute, diff)
		}
	}
}

func TestLayersInText(t *testing.T) {
	for text, want := range map[string][]layerName{
		"#usda 1.0\n(subLayers = [@./a.usda@, @b.usd@ (offset = 1)])":   {{"./a.usda", true}, {"b.usd", true}},
		"#usda 1.0\n# @comment.usda@\n\"@text.usda@\" '@x.usd@'":        nil,
		"#usda 1.0\n\"\"\"two \" @x.usda@ \\\" \"\"\" @y.usda@":         {{"y.usda", true}},
		"#usda 1.0\n\"a \\\" @x.usda@\" @y.usdc@":                       {{"y.usdc", true}},
		"#usda 1.0\n@@@./at@sign.usda@@@ @tex/wood.png@ @@":             {{"./at@sign.usda", true}},
		"#usda 1.0\n@box.usdz[inner/box.usdc]@</box>":                   {{"box.usdz", true}},
		"#usda 1.0\n@a.usda:SDF_FORMAT_ARGS:x=1@ @`${VAR}.usda`@":       {{"a.usda", true}},
		"#usda 1.0\nstring t = \"./clip.###.usd\" string s = \"a.usd\"": {{"./clip.###.usd", false}},
		"#usda 1.0\n@never ended.usda":                                  nil,
		"#usda 1.0\n@" + strings.Repeat("x", 5000) + ".usda@":           nil,
		"PK zip @a.usda@": nil,
	} {
		got, _ := readLayer(io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(layerName{})); diff != "" {
			t.Errorf("%.40q:\n%s", text, diff)
		}
	}
}

// TestLayersGoInCircles has two layers that name each other, and one that names a file by an absolute path.
func TestLayersGoInCircles(t *testing.T) {
	dir := t.TempDir()
	a := saved(t, filepath.Join(dir, "a.usda"), []byte("#usda 1.0\n(subLayers = [@../"+filepath.Base(dir)+"/b.usda@])"))
	b := saved(t, filepath.Join(dir, "b.usda"), []byte("#usda 1.0\n(subLayers = [@a.usda@, @/none/c.usda@])"))
	found, missing, absolute := newTracer(t.Context(), dir, Options{}).layersOf(a)
	if diff := cmp.Diff([][]string{{b}, {"/none/c.usda"}}, [][]string{found, missing}); diff != "" || absolute != "/none/c.usda" {
		t.Errorf("absolute %q:\n%s", absolute, diff)
	}
}

// packLZ4 makes an LZ4 block without repetitions but those that are told.
func packLZ4(plain []byte) []byte {
	length := func(n int) (token byte, more []byte) {
		if n < 15 {
			return byte(n), nil
		}
		for n -= 15; n >= 255; n -= 255 {
			more = append(more, 255)
		}
		return 15, append(more, byte(n))
	}
	var packed []byte
	for from := 0; ; {
		run := from + 1
		for run < len(plain) && plain[run] == plain[from] {
			run++
		}
		if from >= len(plain) || run-from-1 < 4 {
			token, more := length(len(plain) - from)
			return append(append(append(packed, token<<4), more...), plain[min(from, len(plain)):]...)
		}
		token, more := length(run - from - 1 - 4)
		packed = append(append(append(packed, 1<<4|token), plain[from], 1, 0), more...)
		from = run
	}
}

func TestLZ4(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var plain []byte
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			plain = append(plain, bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(1, 700).Draw(t, "length"))...)
		}
		plain = append(plain, rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "tail")...)
		if got := appendLZ4(nil, packLZ4(plain), len(plain)); !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes became %d", len(plain), len(got))
		}
		one := append([]byte{0}, packLZ4(plain)...)
		if got := unpackTokens(one, len(plain)); !bytes.Equal(got, plain) {
			t.Fatal("a single piece differs")
		}
		half := len(plain) / 2
		pieces := []byte{2}
		for _, piece := range [][]byte{packLZ4(plain[:half]), packLZ4(plain[half:])} {
			n := len(piece)
			pieces = append(append(pieces, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)), piece...)
		}
		if got := unpackTokens(pieces, len(plain)); !bytes.Equal(got, plain) {
			t.Fatal("two pieces differ")
		}
	})
}

// FuzzLayer reads layers of any bytes; the names are never longer than a name can be, nor more than the bytes give.
func FuzzLayer(f *testing.F) {
	for _, name := range []string{"top.usda", "top.usdc", "below.usdc"} {
		data, err := os.ReadFile(filepath.Join("testdata", "caches", "usd", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		names, looked := readLayer(io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))))
		for _, name := range names {
			if len(name.text) > mostLayerName || strings.ContainsAny(name.text, "\x00\n") {
				t.Errorf("%d bytes for a name", len(name.text))
			}
		}
		if looked > mostTokenBytes || int64(len(names)) > looked+1 {
			t.Errorf("%d names in %d bytes", len(names), looked)
		}
		layersInText(bufio.NewReader(bytes.NewReader(data)))
	})
}
