package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/gather"
	"hayloft/checkout/gather/shot"
)

// TestPlanIsWhatHappens compares the numbers of a plan with those of the submission after it and with what the farm then
// lays out: for projects that the farm has never seen, that it has, and of which files were changed, renamed or taken
// away; for a plain scene, for a compressed one with files and libraries from outside, and for one that stays compressed.
func TestPlanIsWhatHappens(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		blend := project(t, 2)
		p := planned{scene: blend, texture: onlyPNG(t, filepath.Dir(blend)), library: filepath.Join(filepath.Dir(blend), "lib", "props.blend")}
		p.steps(t)
	})
	t.Run("compressed", func(t *testing.T) {
		t.Parallel()
		top, scene, _ := everyKind(t)
		elsewhere := filepath.Join(top, "elsewhere")
		p := planned{scene: scene, texture: filepath.Join(elsewhere, "tex", "outside.png"), library: filepath.Join(elsewhere, "library", "props", "chair.blend"),
			args: []string{"--project", filepath.Join(top, "project")}}
		t.Run("made plain", func(t *testing.T) { p.steps(t) })
		p.args = append(p.args, "--keep-compressed")
		t.Run("kept", func(t *testing.T) { p.steps(t) })
	})
}

// planned is a project whose plans are held against what happens.
type planned struct {
	scene, texture, library string
	args                    []string
	farm                    farm
}

// steps goes through the life of a project on a farm that has never seen it.
func (p planned) steps(t *testing.T) {
	t.Helper()
	p.farm = startFarm(t, "--workers", "0")
	p.args = append([]string{"--manager", p.farm.url, "--json", p.scene, "--setting", "frames=1,3", "--paused", "--index", filepath.Join(t.TempDir(), "index.db")}, p.args...)
	p.step(t, "a new project", func(lacking int) bool { return lacking > 1 })
	p.step(t, "a known project", func(lacking int) bool { return lacking == 0 })
	edit(t, p.texture)
	p.step(t, "a changed texture", func(lacking int) bool { return lacking == 1 })
	edit(t, p.library)
	edit(t, p.scene) // If it is taken out of its envelope, it is the same as before.
	p.step(t, "a changed scene and library", func(lacking int) bool { return lacking == 1 || lacking == 2 })
	hide(t, p.texture)
	p.args = append(p.args, "--allow-missing")
	p.step(t, "a texture less", func(lacking int) bool { return lacking <= 1 }) // the scene, if the texture's path was changed in it
}

// step plans and submits, and holds both against each other and against the checkout.
func (p planned) step(t *testing.T, what string, lacks func(files int) bool) {
	t.Helper()
	forPlan := slices.DeleteFunc(slices.Clone(p.args), func(arg string) bool { return arg == "--paused" || arg == "--allow-missing" })
	r := hayloft(t.Context(), append([]string{"plan"}, forPlan...)...)
	before := lastLine[plan](t, r)
	if before.FrameCount != 2 || before.Frames != "1,3" || r.code != map[bool]int{true: 3}[len(before.Missing) > 0] {
		t.Fatalf("%s: exit code %d, %+v\n%s", what, r.code, before, r.stderr)
	}
	r = hayloft(t.Context(), append([]string{"submit"}, p.args...)...)
	done := lastLine[submitted](t, r)
	if r.code != 0 || done.Plan == nil {
		t.Fatalf("%s: exit code %d, %+v\n%s", what, r.code, done, r.stderr)
	}
	if diff := cmp.Diff(before, *done.Plan, cmp.Comparer(func(a, b checkout.Path) bool { return a == b })); diff != "" {
		t.Errorf("%s: planned (-), and then (+):\n%s", what, diff)
	}
	sent := [4]int64{int64(done.Files), done.BytesTotal, int64(done.FilesUploaded), done.BytesUploaded}
	if said := [4]int64{int64(before.Files), before.Bytes, int64(before.FilesToSend), before.BytesToSend}; said != sent {
		t.Errorf("%s: planned %d files of %d bytes, %d of %d to send; then %d", what, said[0], said[1], said[2], said[3], sent)
	}
	files, bytes := laidOut(t, filepath.Join(p.farm.data, "storage", "jobs", filepath.FromSlash(done.Checkout)))
	if files != before.Files || bytes != before.Bytes {
		t.Errorf("%s: planned %d files of %d bytes, and the farm laid out %d of %d", what, before.Files, before.Bytes, files, bytes)
	}
	if !lacks(before.FilesToSend) {
		t.Errorf("%s: the farm lacks %d files", what, before.FilesToSend)
	}
}

// laidOut counts the files of a checkout, and their bytes.
func laidOut(t *testing.T, checkout string) (files int, bytes int64) {
	t.Helper()
	for _, name := range filesIn(t, checkout) {
		info, err := os.Stat(filepath.Join(checkout, name)) // it is a link
		if err != nil {
			t.Fatal(err)
		}
		files, bytes = files+1, bytes+info.Size()
	}
	return files, bytes
}

// edit changes a file behind the end of what is read of it.
func edit(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		// In a .blend file that is compressed, a frame of zstd that is skipped.
		err = os.WriteFile(path, append(content, "\x50\x2a\x4d\x18\x01\x00\x00\x00!"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPlanCostsNothingLater changes a large file in one place, twice: with a plan before it, the second submission sends
// as little as the first, although the plan has read the file already.
func TestPlanCostsNothingLater(t *testing.T) {
	t.Parallel()
	blend := writeFile(t, "scene.blend", "a scene", 0o644)
	content := make([]byte, 48<<20)
	rand.NewChaCha8([32]byte{1}).Read(content) //nolint:errcheck // It never fails.
	f := startFarm(t, "--workers", "0")
	args := []string{"--manager", f.url, "--json", "--whole-folder", blend, "--setting", "frames=1", "--index", filepath.Join(t.TempDir(), "index.db")}
	change := func(to byte) {
		t.Helper()
		content[len(content)/2] = to
		if err := os.WriteFile(filepath.Join(filepath.Dir(blend), "cache.vdb"), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	submit := func() int64 {
		t.Helper()
		r := hayloft(t.Context(), append([]string{"submit"}, args...)...)
		done := lastLine[submitted](t, r)
		if r.code != 0 {
			t.Fatal(r.stderr)
		}
		return done.BytesTravelled
	}
	change(1)
	submit()
	change(2)
	direct := submit()
	for _, b := range []byte{3, 4} {
		change(b)
		if r := hayloft(t.Context(), append([]string{"plan"}, args...)...); r.code != 0 {
			t.Fatal(r.stderr)
		}
	}
	if planned := submit(); planned > direct+direct/20 {
		t.Errorf("after plans %d bytes travelled, and %d without", planned, direct)
	}
}

// TestPlanText has more missing and outside files than anybody wants to read.
func TestPlanText(t *testing.T) {
	t.Parallel()
	seconds := 90.0
	p := plan{Blend: "/film/a.blend", Files: 1, Bytes: 10, FrameCount: 1, Frames: "7", Seconds: &seconds,
		Workers: []planWorker{{Name: "small", Why: "it has no gpu"}}}
	for n := range 5 {
		p.Missing = append(p.Missing, shot.Missing{Blend: p.Blend, Datablock: "IMsmoke", Kind: "image", Required: true, Resolved: fmt.Sprintf("/x/%d.png", n)})
		as, err := checkout.ParsePath(fmt.Sprintf("_outside/abc/%d.png", n))
		if err != nil {
			t.Fatal(err)
		}
		p.Outside = append(p.Outside, shot.Outside{Path: fmt.Sprintf("/far/%d.png", n), As: as})
	}
	p.Missing = append(p.Missing, shot.Missing{Blend: "/film/lib.blend", Datablock: "SOhum", Kind: "sound", Resolved: `P:\hum.wav`, Note: "a drive"})
	p.Outside = append(p.Outside, shot.Outside{Path: "/near/one.png", As: p.Outside[0].As})
	want := `1 frame: 7
MISSING   image IMsmoke  /x/0.png
MISSING   image IMsmoke  /x/1.png
MISSING   image IMsmoke  /x/2.png
          and 2 more of IMsmoke
optional  sound SOhum  P:\hum.wav (of /film/lib.blend): a drive
outside   5 files in /far  as _outside/abc
outside   /near/one.png  as _outside/abc/0.png
cannot    small: it has no gpu
nobody can take it now; it will wait for a worker that can
about 1m30s, if all that can and are awake render
`
	if diff := cmp.Diff(want, p.text()); diff != "" {
		t.Errorf("(- wanted, + said)\n%s", diff)
	}
	if heading := p.heading(); heading != "/film/a.blend\n1 file, 10 B; the farm lacks 0, 0 B\n" {
		t.Errorf("the heading is %q", heading)
	}
}

// TestPlanSaysWhoCan submits a scene of a Blender that the only worker does not have: the plan says so, and the worker
// takes what is less urgent instead.
func TestPlanSaysWhoCan(t *testing.T) {
	t.Parallel()
	f := startFarm(t, "--workers", "1")
	echo := func() {
		t.Helper()
		r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", "--type", "echo-sleep-test", "--setting", "message=hello", "--setting", "sleep_duration_seconds=0")
		if r.code != 0 {
			t.Fatalf("exit code %d\n%s", r.code, r.stderr)
		}
	}
	echo() // The worker is there, and has told what it can do.
	args := []string{"--manager", f.url, "--json", "--setting", "frames=1", filepath.Join("..", "..", "checkout", "blend", "testdata", "v5_0.blend")}
	said := lastLine[plan](t, hayloft(t.Context(), append([]string{"plan"}, args...)...))
	if len(said.Workers) != 1 || said.Workers[0].Can || !strings.Contains(said.Workers[0].Why, "blender:5.0") || !slices.Contains(said.Features, "blender:5.0") {
		t.Fatalf("the plan says of workers %+v, of features %q", said.Workers, said.Features)
	}
	r := hayloft(t.Context(), append([]string{"submit", "--allow-missing", "--priority", "100"}, args...)...)
	done := lastLine[submitted](t, r)
	if r.code != 0 || done.Plan == nil || !slices.Equal(done.Plan.Workers, said.Workers) {
		t.Fatalf("exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
	echo()
	if r := hayloft(t.Context(), "job", "show", "--manager", f.url, "--json", done.JobID); !strings.Contains(r.stdout, `"status":"queued"`) || strings.Contains(r.stdout, `"status":"active"`) {
		t.Errorf("the job is %s", r.stdout)
	}
	said = lastLine[plan](t, hayloft(t.Context(), append([]string{"plan"}, args...)...))
	if said.Seconds != nil {
		t.Errorf("it is estimated to take %v s although nobody can", *said.Seconds)
	}
}

// TestUnreadableFilesAreNamedWithTheirUsers has an error that only somebody without rights gets.
func TestUnreadableFilesAreNamedWithTheirUsers(t *testing.T) {
	t.Parallel()
	var g gathered
	g.shot.Report.Dependencies = []blend.Dependency{
		{Datablock: "IMwood", Kind: "image", Blend: "/film/lib.blend", Files: []string{"/film/a.png", "/film/wood.png"}},
		{Datablock: "IMsky", Kind: "image", Blend: "/film/a.blend", Files: []string{"/film/sky.png"}},
	}
	denied := &gather.UnusableError{Root: "/film", Causes: []error{&fs.PathError{Op: "open", Path: "/film/wood.png", Err: fs.ErrPermission}}}
	err := g.naming(fmt.Errorf("read 3 files: %w", denied))
	if !errors.Is(err, fs.ErrPermission) || !strings.HasSuffix(err.Error(), "\n  image wood of /film/lib.blend wants /film/wood.png") {
		t.Errorf("the message is %q", err)
	}
	if other := errors.New("another"); g.naming(other) != other {
		t.Error("an error about something else was changed")
	}
}

// TestProjectBehindALink names the project by one path and the scene in it by another.
func TestProjectBehindALink(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	if err := os.CopyFS(filepath.Join(top, "film", "shots"), os.DirFS(filepath.Join("..", "..", "checkout", "blend", "testdata"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(top, "film"), filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	f := startFarm(t, "--workers", "0")
	for _, mode := range [][]string{nil, {"--whole-folder"}} {
		for project, scene := range map[string]string{"film": "link", "link": "film"} {
			args := []string{"submit", "--manager", f.url, "--json", "--allow-missing", "--setting", "frames=1",
				"--project", filepath.Join(top, project), filepath.Join(top, scene, "shots", "small.blend")}
			r := hayloft(t.Context(), append(args, mode...)...)
			done := lastLine[submitted](t, r)
			if _, err := os.Stat(filepath.Join(f.data, "storage", "jobs", done.Checkout, "shots", "small.blend")); r.code != 0 || err != nil {
				t.Errorf("%q: exit code %d, %v\n%s", args, r.code, err, r.stderr)
			}
		}
	}
}

// TestMissingFilesAreRefusedByName takes a texture away: nothing is sent, and the message names the image.
func TestMissingFilesAreRefusedByName(t *testing.T) {
	t.Parallel()
	blend := project(t, 1)
	texture := onlyPNG(t, filepath.Dir(blend))
	if err := os.Remove(texture); err != nil {
		t.Fatal(err)
	}
	f := startFarm(t, "--workers", "0")
	args := []string{"--manager", f.url, "--json", blend, "--setting", "frames=1"}
	r := hayloft(t.Context(), append([]string{"plan"}, args...)...)
	if planned := lastLine[plan](t, r); r.code != 3 || len(planned.Missing) != 1 || !planned.Missing[0].Required || planned.Missing[0].Resolved != texture {
		t.Errorf("plan: exit code %d, %+v", r.code, planned)
	}
	r = hayloft(t.Context(), append([]string{"submit"}, args...)...)
	if refused := lastLine[submitted](t, r); r.code != 3 || refused.JobID != "" || len(refused.Missing) != 1 || !strings.Contains(r.stderr, texture) || !strings.Contains(r.stderr, "--allow-missing") {
		t.Errorf("submit: exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if stored := filesIn(t, filepath.Join(f.data, "storage", "jobs")); len(stored) > 0 {
		t.Errorf("a refused submission left %v", stored)
	}
	r = hayloft(t.Context(), append([]string{"submit", "--allow-missing"}, args...)...)
	done := lastLine[submitted](t, r)
	if r.code != 0 || len(done.Missing) != 1 {
		t.Fatalf("submit --allow-missing: exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
	shown := hayloft(t.Context(), "job", "show", "--manager", f.url, "--json", done.JobID)
	if !strings.Contains(shown.stdout, "allowed-missing") || !strings.Contains(shown.stdout, filepath.Base(texture)) {
		t.Errorf("the job does not say what it goes without: %s", shown.stdout)
	}
}

// onlyPNG finds the one texture of the test project.
func onlyPNG(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.png", "*/*.png"} {
		matches, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	if slices.Sort(found); len(found) != 1 {
		t.Fatalf("the project has the textures %v; want one", found)
	}
	return found[0]
}
