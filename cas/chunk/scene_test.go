package chunk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// makeScene takes a path and a number of objects, each with a mesh of its own; every fourth has none that is large.
const makeScene = `
import bpy, random, sys
path, objects = sys.argv[-2], int(sys.argv[-1])
random.seed(1)
bpy.ops.wm.read_factory_settings(use_empty=True)
for i in range(objects):
    n = 6 if i % 4 == 0 else 60 + i % 50
    vertices = [(random.random(), random.random(), random.random()) for _ in range(n * n)]
    faces = [(r*n+c, r*n+n+c, r*n+n+c+1, r*n+c+1) for r in range(n-1) for c in range(n-1)]
    mesh = bpy.data.meshes.new(f"mesh {i}")
    mesh.from_pydata(vertices, [], faces)
    mesh.uv_layers.new()
    thing = bpy.data.objects.new(f"object {i}", mesh)
    thing["note"] = f"number {i}"
    bpy.context.scene.collection.objects.link(thing)
bpy.ops.wm.save_as_mainfile(filepath=path, compress=False)
`

// moveOne takes the paths of a scene and of what it becomes.
const moveOne = `
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-2])
bpy.data.objects["object 5"].location.x += 1.5
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1], compress=False)
`

func runBlender(t *testing.T, script string, arguments ...string) {
	t.Helper()
	command := append([]string{"-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", script, "--"}, arguments...)
	if out, err := exec.CommandContext(t.Context(), "blender", command...).CombinedOutput(); err != nil {
		t.Fatalf("blender: %v\n%s", err, out)
	}
}

// travel gives the bytes that a new version costs where the old one is known: chunks that are not, compressed in frames
// of a mebibyte at zstd's fastest level, and the recipe as a delta.
func travel(t *testing.T, before, after []byte, spans func([]byte) []Range) int {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	base, have := inSpans(t, before, spans(before)...)
	frames := map[bool][]byte{}
	sent := 0
	flush := func(literal bool) {
		sent += len(encoder.EncodeAll(frames[literal], nil))
		frames[literal] = frames[literal][:0]
	}
	recipe, err := split(t.Context(), bytes.NewReader(after), int64(len(after)), spans(after), func(p Piece) error {
		if have[p.ID] != nil {
			return nil
		}
		frames[p.Literal] = append(frames[p.Literal], p.Data...)
		if len(frames[p.Literal]) >= 1<<20 {
			flush(p.Literal)
		}
		return have.put(p)
	})
	if err != nil {
		t.Fatal(err)
	}
	flush(true)
	flush(false)
	makes(t, recipe, have, after)
	return sent + len(recipe.AppendDelta(nil, base))
}

// TestSceneSavedAnew lets the real Blender make a scene and another Blender open it, move one object and save: the
// structure makes that thirty times cheaper at least, and cheap. The test needs Blender; .ci/setup test installs it.
func TestSceneSavedAnew(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.blend"), filepath.Join(dir, "second.blend")
	runBlender(t, makeScene, first, strconv.Itoa(48))
	runBlender(t, moveOne, first, second)
	var versions [2][]byte
	for i, path := range []string{first, second} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		versions[i] = content
	}
	before, after := versions[0], versions[1]
	plain := travel(t, before, after, func(file []byte) []Range { return []Range{{Length: int64(len(file))}} })
	structured := travel(t, before, after, func(file []byte) []Range {
		spans, sure := BlendSpans(bytes.NewReader(file), int64(len(file)))
		if !sure {
			t.Fatal("in doubt of what Blender wrote")
		}
		return spans
	})
	t.Logf("%d bytes saved anew: %d travel, %d if cut as plain bytes", len(after), structured, plain)
	if structured > len(after)*3/1000 || structured*30 > plain {
		t.Errorf("%d of %d bytes travel, %d if cut as plain bytes", structured, len(after), plain)
	}
}
