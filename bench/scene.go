package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"hayloft/cas/chunk"
)

//go:embed scene.py
var sceneScript []byte

// sceneKind is a scene that Blender makes, and what is asked of it.
type sceneKind struct {
	kind, text string
	count      int     // objects
	aimSent    float64 // % of the plain size
	aimFewer   float64 // times fewer bytes than plain cutting
}

const (
	aimSecondSave = 0.05 // % of the plain size
	aimStructure  = 1.1  // of the processor time for the same bytes cut as plain ones
)

// sceneKinds: an object with all that belongs to it takes 1.4 MB and eighty small blocks of meshes, and 60 KB and fifty small
// blocks of structure.
func (b *bench) sceneKinds() []sceneKind {
	return []sceneKind{
		{"meshes", "mesh-heavy", pick(b, 24, 390), 0.3, 30},
		{"structure", "structure-heavy", pick(b, 200, 4_200), 4, 10},
	}
}

// versions are the files of one scene: as it was made, and as one more Blender saved it, twice.
type versions struct{ made, first, second string }

// measureScene lets Blender make scenes, and another Blender open them, move one object and save. It measures what
// travels to a manager that has the version before.
func measureScene(ctx context.Context, b *bench) (rows []Row, err error) {
	blender, err := exec.LookPath("blender")
	if err != nil {
		return nil, fmt.Errorf("the scenes are Blender's, and it is not on PATH: %w", err)
	}
	for _, kind := range b.sceneKinds() {
		dir, err := b.folder("scene")
		if err != nil {
			return rows, err
		}
		more, err := b.oneScene(ctx, blender, dir, kind)
		rows = append(rows, more...)
		if err := errors.Join(err, removeAll(dir)); err != nil {
			return rows, fmt.Errorf("%s scene: %w", kind.text, err)
		}
	}
	return rows, nil
}

func (b *bench) oneScene(ctx context.Context, blender, dir string, kind sceneKind) ([]Row, error) {
	plain, packed, err := makeScene(ctx, blender, dir, kind)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(plain.first)
	if err != nil {
		return nil, err
	}
	size := float64(info.Size())
	sent, err := b.sendVersions(ctx, filepath.Join(dir, "plain"), kind.text, plain)
	if err != nil {
		return nil, err
	}
	sentPacked, err := b.sendVersions(ctx, filepath.Join(dir, "packed"), kind.text+", compressed by Blender", packed)
	if err != nil {
		return nil, err
	}
	cut, err := plainCutting(ctx, plain.made, plain.first)
	if err != nil {
		return nil, err
	}
	cutPacked, err := plainCutting(ctx, packed.made, packed.first)
	if err != nil {
		return nil, err
	}
	b.plot(Chart{Name: "scene-" + kind.kind, Title: fmt.Sprintf("%s scene of %.0f MB, one object moved: bytes to send", kind.text, size/1e6),
		Unit: "MB", Log: true, Bars: []Bar{
			{"Hayloft", sent[0] / 1e6, true}, {"Hayloft, compressed .blend", sentPacked[0] / 1e6, true},
			{"plain cutting + zstd", cut / 1e6, false}, {"the same, compressed .blend", cutPacked / 1e6, false},
			{"whole file", size / 1e6, false},
		}})
	name := fmt.Sprintf("%s, %.0f MB, one object moved in a new Blender: ", kind.text, size/1e6)
	rows := []Row{
		Row{Work: name + "sent, of its plain size", Figure: 100 * sent[0] / size, Unit: "%"}.aim(atMost(kind.aimSent)),
		Row{Work: name + "compressed, sent, of its plain size", Figure: 100 * sentPacked[0] / size, Unit: "%"}.aim(atMost(kind.aimSent)),
		{Work: name + "plain cutting and zstd", Figure: 100 * cut / size, Unit: "%"},
		{Work: name + "compressed, plain cutting and zstd", Figure: 100 * cutPacked / size, Unit: "%"},
		Row{Work: name + "fewer than plain cutting and zstd", Figure: cut / max(sent[0], 1), Unit: "times"}.aim(atLeast(kind.aimFewer)),
		Row{Work: kind.text + ", saved again by the same Blender: sent", Figure: 100 * sent[1] / size, Unit: "%"}.aim(atMost(aimSecondSave)),
	}
	cost, err := b.structureCost(ctx, dir, kind, plain.made)
	return append(rows, cost), err
}

// makeScene gives a scene's versions, saved plain and compressed.
func makeScene(ctx context.Context, blender, dir string, kind sceneKind) (plain, packed versions, err error) {
	name := func(file string) string { return filepath.Join(dir, file+".blend") }
	plain = versions{name("made"), name("first"), name("second")}
	packed = versions{name("packed-made"), name("packed-first"), name("packed-second")}
	if err := runSceneScript(ctx, blender, dir, "make", kind.kind, strconv.Itoa(kind.count), plain.made, packed.made); err != nil {
		return plain, packed, err
	}
	if err := runSceneScript(ctx, blender, dir, "move", plain.made, plain.first, plain.second, "no"); err != nil {
		return plain, packed, err
	}
	return plain, packed, runSceneScript(ctx, blender, dir, "move", packed.made, packed.first, packed.second, "yes")
}

func runSceneScript(ctx context.Context, blender, dir string, arguments ...string) error {
	return runInBlender(ctx, blender, dir, "scene.py", sceneScript, arguments...)
}

// runInBlender lets Blender run a script, with a folder as its home.
func runInBlender(ctx context.Context, blender, dir, name string, script []byte, arguments ...string) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, script, 0o666); err != nil {
		return err
	}
	command := append([]string{blender, "-b", "--factory-startup", "--python-exit-code", "1", "--python", path, "--"}, arguments...)
	out, _, err := runProgram(ctx, cleanEnvironment(dir), command...)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-600):])
	}
	return nil
}

// sendVersions syncs a folder to a manager of its own with the versions of a scene one after the other. It gives the
// bytes that went over the wire for the second and the third.
func (b *bench) sendVersions(ctx context.Context, tree, name string, v versions) (sent [2]float64, err error) {
	if err := os.MkdirAll(tree, 0o777); err != nil {
		return sent, err
	}
	k, err := b.farmKeeper(ctx, tree)
	if err != nil {
		return sent, err
	}
	defer func() { err = errors.Join(err, k.close(), os.RemoveAll(tree)) }()
	for _, step := range []struct {
		work, file string
		sent       *float64
	}{
		{firstWork, v.made, new(float64)}, {"one object moved in a new Blender", v.first, &sent[0]},
		{"saved again by the same Blender", v.second, &sent[1]},
	} {
		inPlace := filepath.Join(tree, "scene.blend")
		if err := os.RemoveAll(inPlace); err != nil {
			return sent, err
		}
		if err := os.Link(step.file, inPlace); err != nil {
			return sent, err
		}
		run, err := k.keep(ctx, name+": "+step.work)
		if err != nil {
			return sent, err
		}
		b.note(run)
		*step.sent = float64(run.Sent)
	}
	return sent, nil
}

// disguised is a file whose first byte is another one, so that nobody takes it for a .blend file.
type disguised struct{ io.ReaderAt }

// ReadAt reads; see [io.ReaderAt].
func (d disguised) ReadAt(p []byte, offset int64) (int, error) {
	n, err := d.ReaderAt.ReadAt(p, offset)
	if offset == 0 && n > 0 {
		p[0] ^= 0xff
	}
	return n, err
}

// plainCutting tells how many bytes a new version costs with the same cutting, the same compression and the same delta
// of recipes, but without the structure of .blend files.
func plainCutting(ctx context.Context, before, after string) (float64, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return 0, err
	}
	known := map[chunk.ID]bool{}
	base, err := cutPlainly(ctx, before, func(p chunk.Piece) { known[p.ID] = true })
	if err != nil {
		return 0, err
	}
	var frame, encoded []byte
	sent := 0
	flush := func() {
		encoded = encoder.EncodeAll(frame, encoded[:0])
		sent, frame = sent+min(len(encoded), len(frame)), frame[:0]
	}
	recipe, err := cutPlainly(ctx, after, func(p chunk.Piece) {
		if known[p.ID] {
			return
		}
		known[p.ID] = true
		if frame = append(frame, p.Data...); len(frame) >= miB {
			flush()
		}
	})
	flush()
	return float64(sent + len(recipe.AppendDelta(nil, base))), err
}

func cutPlainly(ctx context.Context, name string, each func(chunk.Piece)) (chunk.Recipe, error) {
	file, err := os.Open(name)
	if err != nil {
		return chunk.Recipe{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return chunk.Recipe{}, err
	}
	return chunk.Split(ctx, disguised{file}, info.Size(), func(p chunk.Piece) error {
		each(p)
		return nil
	})
}

// structureCost compares the processor time of storing a scene with that of storing the same bytes disguised.
func (b *bench) structureCost(ctx context.Context, dir string, kind sceneKind, scene string) (Row, error) {
	repeats := pick(b, 2, 3)
	times := map[bool][]float64{}
	for range repeats {
		for _, hidden := range []bool{true, false} {
			cpu, err := b.storeOnce(ctx, filepath.Join(dir, "cost"), scene, hidden)
			if err != nil {
				return Row{}, err
			}
			times[hidden] = append(times[hidden], cpu)
		}
	}
	return Row{Work: fmt.Sprintf("%s, first store: processor time, median of %d", kind.text, repeats), Figure: median(times[false]), Unit: "s"}.
		against("the same bytes cut as plain ones", median(times[true])).aim(ratioAtMost(aimStructure)), nil
}

// storeOnce stores a scene, disguised or not, in a new store of this machine: seconds of processor time.
func (b *bench) storeOnce(ctx context.Context, tree, scene string, hidden bool) (cpu float64, err error) {
	if err := os.Mkdir(tree, 0o777); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	if err := copyScene(filepath.Join(tree, "scene.blend"), scene, hidden); err != nil {
		return 0, err
	}
	k, err := b.ourKeeper(ctx, tree)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	run, err := k.keep(ctx, firstWork)
	return run.CPU, err
}

func copyScene(to, from string, hidden bool) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	var bytes io.ReaderAt = file
	if hidden {
		bytes = disguised{file}
	}
	return writeDurably(to, io.NewSectionReader(bytes, 0, info.Size()))
}
