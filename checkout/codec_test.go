package checkout

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"hayloft/cas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func goldenManifest(t testing.TB) Manifest {
	return mustManifest(t, []Entry{
		{Path: mustPath(t, "textures/wood oak.png"), Blob: blobOf("wood")},
		{Path: mustPath(t, "textures/é ü.exr"), Blob: blobOf("")},
		{Path: mustPath(t, "tools/bake.sh"), Mode: Executable, Blob: blobOf("bar")},
		{Path: mustPath(t, "scene.blend"), Blob: blobOf("foo")},
		{Path: mustPath(t, `take "1": final?.blend`), Blob: blobOf("foo")},
	})
}

func goldenOrigins(t testing.TB) Manifest {
	return mustManifest(t, []Entry{
		{Path: mustPath(t, "scene.blend"), Blob: blobOf("foo"), Origin: FromZstd},
		{Path: mustPath(t, "old/scene.blend"), Blob: blobOf("foo"), Origin: FromGzip},
		{Path: mustPath(t, "textures/wood oak.png"), Blob: blobOf("wood")},
		{Path: mustPath(t, "bin/a"), Mode: Executable, Blob: blobOf("bar"), Origin: FromZstd},
		{Path: mustPath(t, "bin/b"), Mode: Executable, Blob: blobOf("bar"), Origin: FromGzip},
		{Path: mustPath(t, "bin/c"), Mode: Executable, Blob: blobOf("bar")},
	})
}

func encode(t testing.TB, m Manifest) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The encoded form names trees for ever: a change of these files is a new format version.
func TestGolden(t *testing.T) {
	for golden, m := range map[string]Manifest{
		"testdata/manifest-1.txt": goldenManifest(t),
		"testdata/manifest-2.txt": goldenOrigins(t),
	} {
		t.Run(golden, func(t *testing.T) {
			if *update {
				if err := os.WriteFile(golden, encode(t, m), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := encode(t, m); !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if m.Digest() != cas.SumBytes(want) {
				t.Error("the digest is not the SHA-256 of the encoded form")
			}
			again, err := Decode(bytes.NewReader(want), DefaultLimits)
			if err != nil || !slices.Equal(again.entries, m.entries) {
				t.Errorf("decoded %v, %v", again.entries, err)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(encode(t, goldenManifest(t)))
	lines := strings.SplitAfter(good, "\n")
	digest := blobOf("foo").Digest.String()
	small := func(line string) string { return "hayloft-manifest 1\nfiles 1\n" + line }
	tests := map[string]struct {
		text string
		want error
		says string
	}{
		"empty":             {"", ErrBadManifest, "line 1"},
		"something else":    {"{}\n", ErrBadManifest, "not a manifest"},
		"newer":             {"hayloft-manifest 3\n", ErrNewerManifest, "version 3"},
		"needless version":  {strings.Replace(good, "manifest 1", "manifest 2", 1), ErrBadManifest, "make version 1"},
		"origin too early":  {small("-z " + digest + " 3 a\n"), ErrBadManifest, "make version 2"},
		"origin":            {small("-b " + digest + " 3 a\n"), ErrBadManifest, `mode "-b"`},
		"origin alone":      {small("z " + digest + " 3 a\n"), ErrBadManifest, `mode "z"`},
		"older":             {"hayloft-manifest 0\n", ErrBadManifest, "no format version 0"},
		"padded version":    {"hayloft-manifest 01\n", ErrBadManifest, "not a manifest"},
		"no count":          {"hayloft-manifest 1\n", ErrBadManifest, "line 2"},
		"negative count":    {"hayloft-manifest 1\nfiles -1\n", ErrBadManifest, "number of files"},
		"cut at a line":     {strings.Join(lines[:4], ""), ErrBadManifest, "ends early"},
		"cut in a line":     {good[:len(good)-3], ErrBadManifest, "ends early"},
		"more":              {good + "x", ErrBadManifest, "more after"},
		"wrong order":       {strings.Join(slices.Concat(lines[:2], lines[3:4], lines[2:3], lines[4:]), ""), ErrBadManifest, "line 4"},
		"twice":             {strings.Join(slices.Concat(lines[:2], lines[2:3], lines[2:3], lines[4:]), ""), ErrBadManifest, "line 4"},
		"mode":              {small("w " + digest + " 3 a\n"), ErrBadManifest, `mode "w"`},
		"few fields":        {small("- " + digest + "\n"), ErrBadManifest, "line 3"},
		"digest":            {small("- " + strings.ToUpper(digest) + " 3 a\n"), cas.ErrBadDigest, "line 3"},
		"zero digest":       {small("- " + strings.Repeat("0", 64) + " 3 a\n"), cas.ErrBadDigest, "line 3"},
		"size with zeros":   {small("- " + digest + " 03 a\n"), ErrBadManifest, `size "03"`},
		"size with sign":    {small("- " + digest + " +3 a\n"), ErrBadManifest, `size "+3"`},
		"negative size":     {small("- " + digest + " -3 a\n"), ErrBadManifest, `size "-3"`},
		"size beyond int64": {small("- " + digest + " 9223372036854775808 a\n"), ErrBadManifest, "size"},
		"bad path":          {small("- " + digest + " 3 ../a\n"), ErrBadPath, `"../a"`},
		"carriage return":   {small("- " + digest + " 3 a\r\n"), ErrBadPath, "U+000D"},
		"long line":         {small("- " + digest + " 3 " + strings.Repeat("x", 10_000) + "\n"), ErrBadManifest, "too long"},
		"too many files":    {"hayloft-manifest 1\nfiles 11\n", ErrTooLarge, "11 files"},
		"too many bytes":    {"hayloft-manifest 1\nfiles 10\n" + strings.Repeat("x", 2000), ErrTooLarge, ""},
		"conflict":          {"hayloft-manifest 1\nfiles 2\n- " + digest + " 3 A\n- " + digest + " 3 a\n", ErrConflict, `"A" and "a"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bytes := int64(20_000)
			if test.want == ErrTooLarge {
				bytes = 1000
			}
			m, err := Decode(strings.NewReader(test.text), Limits{Files: 10, Bytes: bytes})
			if !errors.Is(err, test.want) || m.Len() != 0 {
				t.Fatalf("got %d entries, %v; want %v", m.Len(), err, test.want)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
}

func TestDecodeTakesExactlyItsLimits(t *testing.T) {
	m := goldenManifest(t)
	text := encode(t, m)
	limits := Limits{Files: m.Len(), Bytes: int64(len(text))}
	if _, err := Decode(bytes.NewReader(text), limits); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	limits.Bytes--
	if _, err := Decode(bytes.NewReader(text), limits); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte beyond: %v", err)
	}
}

func TestReadAndWriteErrorsComeThrough(t *testing.T) {
	broken := errors.New("the cable is out")
	text := encode(t, goldenManifest(t))
	for n := range len(text) + 1 {
		in := io.MultiReader(bytes.NewReader(text[:n]), iotest.ErrReader(broken))
		if _, err := Decode(in, DefaultLimits); !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	if err := goldenManifest(t).Encode(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("Encode: %v", err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := NewManifest(drawEntries(t))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.Encode(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(&b, DefaultLimits)
		if err != nil || !slices.Equal(again.entries, m.entries) {
			t.Fatalf("decoded %v, %v; want %v", again.entries, err, m.entries)
		}
	})
}

func FuzzDecode(f *testing.F) {
	golden := encode(f, goldenManifest(f))
	f.Add(golden)
	f.Add(encode(f, goldenOrigins(f)))
	f.Add(encode(f, Manifest{}))
	f.Add(golden[:len(golden)/2])
	f.Add([]byte("hayloft-manifest 1\nfiles 999\n"))
	limits := Limits{Files: 1000, Bytes: 1 << 16}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Decode(bytes.NewReader(text), limits)
		if err != nil {
			return
		}
		if got := encode(t, m); !bytes.Equal(got, text) {
			t.Fatalf("%q was decoded, but encodes as %q", text, got)
		}
		rebuilt, err := NewManifest(m.entries)
		if err != nil || rebuilt.Digest() != cas.SumBytes(text) {
			t.Fatalf("NewManifest does not take what Decode took: %v", err)
		}
	})
}
