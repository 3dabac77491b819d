package blend

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

// corpusTop is the corpus of the Blender on the PATH. Those of others lie beside it; all are removed when the tests are
// done.
var corpusTop, corpusAll string

func TestMain(m *testing.M) {
	var err error
	if corpusAll, err = os.MkdirTemp("", "hayloft-blend-corpus-*"); err == nil {
		corpusAll, err = filepath.EvalSymlinks(corpusAll)
		corpusTop = filepath.Join(corpusAll, "0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.RemoveAll(corpusAll)
	os.Exit(code)
}

// want is what a scene of the corpus needs.
type want struct {
	Files   []string `json:"files"`
	Missing []string `json:"missing"`
	Listed  []string `json:"listed"` // what Blender itself lists
}

// python runs a script in Blender.
type python struct {
	name  string
	top   string   // of its corpus
	begin []string // of the command, before the script
}

func (p python) run(script string, args ...string) ([]byte, error) {
	command := append(slices.Clone(p.begin), script, "--")
	command = append(command, args...)
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
	}
	return out, nil
}

// pythons are the Blender on the PATH, and the Pythons with a bpy module that HAYLOFT_BPY lists.
func pythons() []python {
	list := []python{{"blender", corpusTop, []string{"blender", "-b", "--factory-startup", "--python-exit-code", "1", "-P"}}}
	for i, path := range filepath.SplitList(os.Getenv("HAYLOFT_BPY")) {
		list = append(list, python{path, filepath.Join(corpusAll, fmt.Sprint(i+1)), []string{path}})
	}
	return list
}

var makeCorpora = sync.OnceValues(func() ([]map[string]want, error) {
	var corpora []map[string]want
	for _, p := range pythons() {
		if err := os.Mkdir(p.top, 0o755); err != nil {
			return nil, err
		}
		scenes := map[string]want{}
		for script, expected := range map[string]string{"testdata/corpus.py": "expected.json", "testdata/corners.py": "corners.json"} {
			if _, err := p.run(script, p.top); err != nil {
				return nil, fmt.Errorf("Blender makes the corpus: %w", err)
			}
			text, err := os.ReadFile(filepath.Join(p.top, expected))
			if err != nil {
				return nil, err
			}
			if err := json.Unmarshal(text, &scenes); err != nil {
				return nil, err
			}
		}
		corpora = append(corpora, scenes)
	}
	return corpora, nil
})

// eachScene runs a test for each scene of each Blender.
func eachScene(t *testing.T, test func(t *testing.T, p python, name string, want want)) {
	t.Helper()
	corpora, err := makeCorpora()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pythons() {
		for name, want := range corpora[i] {
			t.Run(filepath.Base(p.top)+"/"+name, func(t *testing.T) { test(t, p, name, want) })
		}
	}
}

func corpus(t *testing.T) map[string]want {
	t.Helper()
	corpora, err := makeCorpora()
	if err != nil {
		t.Fatal(err)
	}
	return corpora[0]
}

func traceOne(t *testing.T, path string, options Options) Report {
	t.Helper()
	report, err := Trace(t.Context(), []string{path}, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTraceFindsWhatScenesNeed(t *testing.T) {
	eachScene(t, func(t *testing.T, p python, name string, want want) {
		report := traceOne(t, filepath.Join(p.top, name), Options{})
		slices.Sort(want.Files)
		slices.Sort(want.Missing)
		if diff := cmp.Diff(want.Files, report.Files); diff != "" {
			t.Errorf("files (- wanted, + found):\n%s", diff)
		}
		if diff := cmp.Diff(want.Missing, report.Missing); diff != "" {
			t.Errorf("missing (- wanted, + found):\n%s", diff)
		}
		if len(report.Warnings) > 0 {
			t.Errorf("warnings: %q", report.Warnings)
		}
	})
}

// TestTraceFindsAllThatBlenderLists holds every path that Blender names itself against the findings.
func TestTraceFindsAllThatBlenderLists(t *testing.T) {
	eachScene(t, func(t *testing.T, p python, name string, want want) {
		found := map[string]bool{
			"/c/tex/drive.png": true, `\\server/tex/share.png`: true, // Blender's reading of paths of Windows.
			filepath.Join(p.top, "ocean"):                  true, // The ocean is not marked as baked, so nothing is read from there.
			filepath.Join(p.top, "external", "unused.ies"): true, // A node that takes its profile from a text has it.
		}
		report := traceOne(t, filepath.Join(p.top, name), Options{})
		for _, d := range report.Dependencies {
			found[d.Resolved] = true
			if d.Kind == "point cache" {
				found[filepath.Dir(d.Resolved)] = true
			}
			for _, file := range d.Files {
				found[file] = true
			}
			for _, file := range d.Missing {
				found[file] = true
			}
		}
		for _, path := range want.Listed {
			if !found[path] {
				t.Errorf("Blender lists %s", path)
			}
		}
	})
}

func TestFindingsNameTheirDatablock(t *testing.T) {
	corpus(t)
	report := traceOne(t, filepath.Join(corpusTop, "images.blend"), Options{})
	at := slices.IndexFunc(report.Dependencies, func(d Dependency) bool { return d.Datablock == "IMcase" })
	if at < 0 {
		t.Fatal("no finding for the image case")
	}
	missing := filepath.Join(corpusTop, "tex", "case.png")
	want := Dependency{
		Blend: filepath.Join(corpusTop, "images.blend"), Datablock: "IMcase", Kind: "image", Field: "Image.name",
		Written: "//tex/case.png", Resolved: missing, Required: true, Missing: []string{missing},
		Note: `there is "Case.png", which differs in upper and lower case only; rename one of them`,
	}
	if diff := cmp.Diff(want, report.Dependencies[at]); diff != "" {
		t.Error(diff)
	}
}

// TestOceanCountsOnceBaked sets the mark that Blender sets only with its window open.
func TestOceanCountsOnceBaked(t *testing.T) {
	corpus(t)
	data, err := os.ReadFile(filepath.Join(corpusTop, "caches.blend"))
	if err != nil {
		t.Fatal(err)
	}
	marked := false
	for b := range parsed(t, data).Blocks() {
		if b.Type() == "OceanModifierData" {
			kind := &b.file.catalogue.structs[b.entry().kind]
			data[b.entry().at+kind.member("cached").offset] = 1
			marked = true
		}
	}
	path := filepath.Join(corpusTop, "baked.blend")
	if err := os.WriteFile(path, data, 0o644); err != nil || !marked {
		t.Fatal(marked, err)
	}
	if got, want := traceOne(t, path, Options{}).Files, filepath.Join(corpusTop, "ocean", "disp_0001.exr"); !slices.Contains(got, want) {
		t.Errorf("%q does not hold %s", got, want)
	}
}

func TestFramesLimitSequences(t *testing.T) {
	corpus(t)
	report := traceOne(t, filepath.Join(corpusTop, "sequences.blend"), Options{Frames: []Range{{2, 2}}})
	var got []string
	for _, path := range report.Files {
		if !strings.Contains(path, "clip.") {
			got = append(got, filepath.Base(path))
		}
	}
	want := []string{"loop01.png", "loop10.png", "shot_004_left.png", "smoke_0004.vdb", "smoke_0010.vdb"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFeatures(t *testing.T) {
	corpus(t)
	report := traceOne(t, filepath.Join(corpusTop, "media.blend"), Options{})
	want := []string{"alembic", "blender:3.4", "denoiser:openimagedenoise", "engine:CYCLES", "fluid", "gpu", "osl", "usd"}
	if diff := cmp.Diff(want, report.Features); diff != "" {
		t.Error(diff)
	}
}

// TestCyclesDenoisesUnlessToldOtherwise has a scene with the settings of a new one, and one in which they were changed.
func TestCyclesDenoisesUnlessToldOtherwise(t *testing.T) {
	if _, err := makeCorpora(); err != nil {
		t.Fatal(err)
	}
	for _, p := range pythons() {
		const denoiser = "denoiser:openimagedenoise"
		if got := traceOne(t, filepath.Join(p.top, "lost.blend"), Options{}).Features; !slices.Contains(got, denoiser) {
			t.Errorf("%s: a new scene needs %q", p.name, got)
		}
		if got := traceOne(t, filepath.Join(p.top, "quick.blend"), Options{}).Features; !slices.Contains(got, "engine:CYCLES") || slices.Contains(got, denoiser) {
			t.Errorf("%s: a scene without denoising needs %q", p.name, got)
		}
	}
}

// TestPackedLibraryThatCannotBeRead damages the bytes of a library that lies in the scene.
func TestPackedLibraryThatCannotBeRead(t *testing.T) {
	corpus(t)
	path := filepath.Join(corpusTop, "packing", "scene.blend")
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // It is only read.
	plain, err := io.ReadAll(io.NewSectionReader(file.content, 0, file.content.size))
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; ; {
		next := bytes.Index(plain[at:], magic)
		if next < 0 {
			break
		}
		at += next + 1
		plain[at] = '?'
	}
	saved(t, filepath.Join(corpusTop, "packing", "damaged.blend"), plain)
	report := traceOne(t, filepath.Join(corpusTop, "packing", "damaged.blend"), Options{})
	if len(report.Warnings) == 0 || !strings.Contains(report.Warnings[0], "which is packed into") || len(report.Files)+len(report.Missing) > 0 {
		t.Errorf("%+v", report)
	}
}

// TestOneLibraryByTwoSpellings links to a folder and expects no datablock twice.
func TestOneLibraryByTwoSpellings(t *testing.T) {
	corpus(t)
	link := filepath.Join(t.TempDir(), "scenes")
	if err := os.Symlink(corpusTop, link); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(corpusTop, "libraries.blend"), filepath.Join(link, "libraries.blend")}
	both, err := Trace(t.Context(), paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	one := traceOne(t, paths[0], Options{})
	// Blender takes the two for two libraries, since ".." in them can mean different folders.
	want := map[string]bool{}
	for _, path := range one.Files {
		want[path] = true
		if below, inside := strings.CutPrefix(path, corpusTop); inside {
			want[link+below] = true
		}
	}
	if diff := cmp.Diff(ascending(want), both.Files); diff != "" {
		t.Error(diff)
	}
}

// TestLinksInCircles asks for a library by ever longer paths.
func TestLinksInCircles(t *testing.T) {
	corpus(t)
	folder := t.TempDir()
	if err := os.Symlink(folder, filepath.Join(folder, "again")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "leaf.blend")
	if err := os.Link(filepath.Join(corpusTop, "siblings", "leaf.blend"), path); err != nil {
		t.Fatal(err)
	}
	tracer := newTracer(t.Context(), folder, Options{})
	scenes := map[*scene]bool{}
	for range 30 {
		scenes[tracer.find(path)] = true
		path = filepath.Join(filepath.Dir(path), "again", "leaf.blend")
	}
	if len(scenes) != mostSpellings {
		t.Errorf("it counts as %d files, want %d", len(scenes), mostSpellings)
	}
}

// TestEnvelopesAndHeadersAgree wraps the same scene in every way that Blender and other tools do.
func TestEnvelopesAndHeadersAgree(t *testing.T) {
	corpus(t)
	plain, err := os.ReadFile(filepath.Join(corpusTop, "images.blend"))
	if err != nil {
		t.Fatal(err)
	}
	want := traceOne(t, filepath.Join(corpusTop, "images.blend"), Options{})
	for name, wrapped := range map[string][]byte{
		"gzip": gzipped(t, plain), "zstd without table": zstdStream(t, plain), "zstd with table": zstdFrames(t, plain, 20_000, false),
		"zstd with checksums": zstdFrames(t, plain, 1_000_000, true), "17-byte header": withLargeHeads(t, plain),
		"skippable frame first": append([]byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'}, zstdStream(t, plain)...),
	} {
		path := filepath.Join(corpusTop, "wrapped.blend")
		if err := os.WriteFile(path, wrapped, 0o644); err != nil {
			t.Fatal(err)
		}
		got := traceOne(t, path, Options{})
		if diff := cmp.Diff(want.Files, got.Files); diff != "" {
			t.Errorf("%s: files:\n%s", name, diff)
		}
		if diff := cmp.Diff(want.Missing, got.Missing); diff != "" {
			t.Errorf("%s: missing:\n%s", name, diff)
		}
	}
}

func gzipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b strings.Builder
	w := gzip.NewWriter(&b)
	write(t, w, plain)
	return []byte(b.String())
}

func zstdStream(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b strings.Builder
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, plain)
	return []byte(b.String())
}

func write(t testing.TB, w io.WriteCloser, data []byte) {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// failer is a test, or a draw of a property test.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// zstdFrames writes the seekable form with frames of a size.
func zstdFrames(t failer, plain []byte, size int, checksums bool) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close() //nolint:errcheck // It writes to nothing.
	var out, table []byte
	count := uint32(0)
	for piece := range slices.Chunk(plain, size) {
		packed := encoder.EncodeAll(piece, nil)
		out = append(out, packed...)
		table = binary.LittleEndian.AppendUint32(table, uint32(len(packed)))
		table = binary.LittleEndian.AppendUint32(table, uint32(len(piece)))
		if checksums {
			table = append(table, 0, 0, 0, 0)
		}
		count++
	}
	out = binary.LittleEndian.AppendUint32(out, tableMagic)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(table)+footerSize))
	out = append(out, table...)
	out = binary.LittleEndian.AppendUint32(out, count)
	if checksums {
		out = append(out, hasChecksums)
	} else {
		out = append(out, 0)
	}
	return binary.LittleEndian.AppendUint32(out, footerMagic)
}

// withLargeHeads turns a file of Blender 3.4 into the form of 5.0.
func withLargeHeads(t testing.TB, plain []byte) []byte {
	t.Helper()
	out := []byte("BLENDER17-01v0304")
	for at := headerSize; ; {
		head := plain[at:]
		size := binary.LittleEndian.Uint32(head[4:])
		out = append(out, head[:4]...)
		out = append(out, head[16:20]...)
		out = append(out, head[8:16]...)
		out = binary.LittleEndian.AppendUint64(out, uint64(size))
		out = binary.LittleEndian.AppendUint64(out, uint64(binary.LittleEndian.Uint32(head[20:])))
		if string(head[:4]) == "ENDB" {
			return out
		}
		out = append(out, head[24:24+size]...)
		at += 24 + int(size)
	}
}
