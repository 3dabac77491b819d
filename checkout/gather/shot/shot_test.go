package shot

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/checkout"
	"hayloft/checkout/blend"
	"hayloft/checkout/fileindex"
	"hayloft/checkout/gather"
)

func TestEveryRemovedFileIsNamed(t *testing.T) {
	top := project(t)
	scene, options := filepath.Join(top, "project", "shots", "010.blend"), projectOptions(t, top)
	whole := gatherOne(t, scene, options)
	kinds := map[string]bool{}
	for _, d := range whole.Report.Dependencies {
		if len(d.Files) == 0 {
			continue
		}
		kinds[d.Kind] = true
		t.Run(d.Datablock+" "+d.Field, func(t *testing.T) {
			for _, file := range d.Files {
				remove(t, file)
			}
			s := gatherOne(t, scene, options)
			for _, m := range s.Missing {
				// A library that is gone cannot be found from those that only it leads to.
				sameBlend := m.Blend == d.Blend || d.Kind == libraryKind
				if m.Datablock == d.Datablock && m.Path == d.Written && m.Kind == d.Kind && m.Required == d.Required && sameBlend {
					return
				}
			}
			t.Errorf("%s of %s is not among the missing: %+v", d.Written, d.Datablock, s.Missing)
		})
	}
	for _, kind := range []string{
		"IES profile", "OSL script", "cache file", "custom property asset", "fluid cache", "font", "image", "library", "mesh cache", "movie clip",
		"point cache", "sequencer strip", "sound", "volume",
	} {
		if !kinds[kind] {
			t.Errorf("the project has no %s", kind)
		}
	}
}

// remove hides a file until the test ends. Folders that held nothing else go too.
func remove(t *testing.T, file string) {
	t.Helper()
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := os.MkdirAll(filepath.Dir(file), 0o700)
		if err = errors.Join(err, os.Rename(away, file)); err != nil {
			t.Error(err)
		}
	})
	for folder := filepath.Dir(file); filepath.Base(folder) != "alias" && os.Remove(folder) == nil; {
		folder = filepath.Dir(folder)
	}
}

// placesOf gives the places of a tree's files.
func placesOf(s Shot) []string {
	var list []string
	for _, f := range s.Tree.Files {
		list = append(list, f.Path.String())
	}
	return list
}

func TestOtherSpellingsLeadToTheSameFiles(t *testing.T) {
	top := project(t)
	elsewhere := filepath.Join(top, "elsewhere")
	scene := filepath.Join(top, "project", "shots", "010.blend")
	want := placesOf(gatherOne(t, scene, projectOptions(t, top)))
	for name, test := range map[string]struct {
		spell     func(below string) string
		variables map[string]string
	}{
		"drive":   {func(below string) string { return `E:` + strings.ReplaceAll(below, "/", `\`) }, map[string]string{"e:/": elsewhere, "E:/library/none": "/none"}},
		"share":   {func(below string) string { return `\\Server\films` + strings.ReplaceAll(below, "/", `\`) }, map[string]string{`\\server\films\`: elsewhere}},
		"another": {func(below string) string { return "/Volumes/films" + below }, map[string]string{"/Volumes/films": elsewhere}},
		"case":    {func(below string) string { return filepath.Join(top, "ElseWhere", below) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(top, "project", "shots", name, "010.blend")
			respell(t, scene, path, func(written string) string {
				if below, ok := strings.CutPrefix(written, elsewhere); ok {
					return test.spell(below)
				}
				return strings.Replace(written, "//..", "//../..", 1)
			})
			options := projectOptions(t, top)
			maps.Copy(options.Variables, test.variables)
			s := gatherOne(t, path, options)
			if len(s.Missing) > 0 {
				t.Errorf("missing: %+v", s.Missing)
			}
			got := placesOf(s)
			for _, place := range want {
				if place != "shots/010.blend" && !slices.Contains(got, place) {
					t.Errorf("%s is lost", place)
				}
			}
			for _, place := range got {
				if !slices.Contains(want, place) && filepath.Base(place) != "010.blend" && !strings.Contains(place, "take_") {
					t.Errorf("%s is not needed", place)
				}
			}
			laid := layOut(t, s.Tree)
			report, err := blend.Trace(t.Context(), []string{filepath.Join(laid, s.Blend.String())}, blend.Options{})
			if err != nil || len(report.Missing) > 0 {
				t.Errorf("the tree lacks %q (%v)", report.Missing, err)
			}
		})
	}
}

// respell writes a copy of a scene whose paths say something else.
func respell(t *testing.T, from, to string, say func(written string) string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = blend.Rewrite(t.Context(), from, file, func(d blend.Dependency) (string, bool) {
		written := say(d.Written)
		return written, written != d.Written
	})
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// small is a scene with two images, IMwood and IMsky.
const small = "../../blend/testdata/small.blend"

// smallScene makes a scene in a new folder whose two images have the paths wood and sky, and files with these names.
func smallScene(t *testing.T, wood, sky string, files ...string) (scene string) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		write(t, filepath.Join(top, name), name)
	}
	scene = filepath.Join(top, "p", "scene.blend")
	respell(t, small, scene, func(written string) string {
		if strings.Contains(written, "wood") {
			return strings.ReplaceAll(wood, "TOP", top)
		}
		return strings.ReplaceAll(sky, "TOP", top)
	})
	return scene
}

// TestAnyPathIsLaidOutOrNamed draws paths of all sorts: what a datablock of the laid-out tree does not find was told.
func TestAnyPathIsLaidOutOrNamed(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p/a.png", "p/tex/001.png", "p/tex/002.png", "a.png", "tex/Aé.png", "tex/t.1001.png"} {
		write(t, filepath.Join(top, name), name)
	}
	scene, options := filepath.Join(top, "p", "scene.blend"), Options{Spool: t.TempDir(), Variables: map[string]string{"C:": top, "/tex": filepath.Join(top, "tex")}}
	pieces := []string{"//", "..", "/", "/", `\`, "C:", "t.<UDIM>.png", "001.png", "\xff", "aE\u0301.PNG", "a.png", "A.png", ".", " ", "tex", top}
	path := rapid.Custom(func(r *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(r, "pieces"), "")
	})
	rapid.Check(t, func(r *rapid.T) {
		paths := []string{path.Draw(r, "wood"), path.Draw(r, "sky")}
		respell(t, small, scene, func(written string) string {
			if strings.Contains(written, "wood") {
				return paths[0]
			}
			return paths[1]
		})
		s, err := Gather(t.Context(), scene, options)
		if err != nil {
			if !errors.Is(err, gather.ErrUnusable) && !errors.Is(err, checkout.ErrConflict) {
				r.Fatal(err)
			}
			return
		}
		var told []string
		for _, m := range s.Missing {
			told = append(told, m.Datablock)
		}
		report, err := blend.Trace(t.Context(), []string{filepath.Join(layOut(t, s.Tree), s.Blend.String())}, blend.Options{})
		if err != nil {
			r.Fatal(err)
		}
		for _, d := range report.Dependencies {
			if len(d.Missing) > 0 && !slices.Contains(told, d.Datablock) {
				r.Errorf("%s is not told: it lacks %q", d.Datablock, d.Missing)
			}
			if len(d.Missing) == 0 && slices.Contains(told, d.Datablock) {
				r.Errorf("%s lacks nothing: %q", d.Datablock, d.Files)
			}
		}
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err = errors.Join(err, os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestPathsBecomeRelative(t *testing.T) {
	for name, test := range map[string]struct {
		wood, sky string
		files     []string
		want      map[string]string // the text in the copy, by datablock; those that stay are left out
		places    []string
		missing   []string // datablocks
	}{
		"relative":           {"//t/a.png", "//t/b.png", []string{"p/t/a.png", "p/t/b.png"}, nil, []string{"scene.blend", "t/a.png", "t/b.png"}, nil},
		"absolute":           {"TOP/p/t/a.png", `//t\b.png`, []string{"p/t/a.png", "p/t/b.png"}, map[string]string{"IMwood": "//t/a.png"}, []string{"scene.blend", "t/a.png", "t/b.png"}, nil},
		"case":               {"//T/A.PNG", "//t/b.png", []string{"p/t/a.png", "p/t/b.png"}, map[string]string{"IMwood": "//t/a.png"}, []string{"scene.blend", "t/a.png", "t/b.png"}, nil},
		"composed":           {"//é.png", "//b.png", []string{"p/e\u0301.png", "p/b.png"}, map[string]string{"IMwood": "//e\u0301.png"}, []string{"b.png", "e\u0301.png", "scene.blend"}, nil},
		"both forms":         {"//É.png", "//b.png", []string{"p/E\u0301.png", "p/é.png", "p/b.png"}, map[string]string{"IMwood": "//E\u0301.png"}, []string{"E\u0301.png", "b.png", "scene.blend"}, nil},
		"ambiguous":          {"//A.png", "//b.png", []string{"p/a.png", "p/a.PNG", "p/b.png"}, nil, []string{"b.png", "scene.blend"}, []string{"IMwood"}},
		"out and in":         {"//../p/a.png", "//b.png", []string{"p/a.png", "p/b.png"}, map[string]string{"IMwood": "//a.png"}, []string{"a.png", "b.png", "scene.blend"}, nil},
		"foreign":            {`X:\a.png`, `\\server\b.png`, nil, nil, []string{"scene.blend"}, []string{"IMsky", "IMwood"}},
		"gone":               {"//a.png", "TOP/b.png", nil, nil, []string{"scene.blend"}, []string{"IMsky", "IMwood"}},
		"ignored names":      {"//.git/a.png", "//__pycache__/b.png", []string{"p/.git/a.png", "p/__pycache__/b.png"}, nil, []string{".git/a.png", "__pycache__/b.png", "scene.blend"}, nil},
		"one file, two ways": {"TOP/p/a.png", "//A.png", []string{"p/a.png"}, map[string]string{"IMwood": "//a.png", "IMsky": "//a.png"}, []string{"a.png", "scene.blend"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := gatherOne(t, smallScene(t, test.wood, test.sky, test.files...), Options{Spool: t.TempDir(), Exclude: []string{"*.png"}})
			if diff := cmp.Diff(test.places, placesOf(s)); diff != "" {
				t.Errorf("places (- wanted, + found):\n%s", diff)
			}
			var missing []string
			for _, m := range s.Missing {
				missing = append(missing, m.Datablock)
			}
			slices.Sort(missing)
			if diff := cmp.Diff(test.missing, missing); diff != "" {
				t.Errorf("missing (- wanted, + found):\n%s", diff)
			}
			if got := texts(t, s); !maps.Equal(got, test.want) {
				t.Errorf("texts %q, want %q", got, test.want)
			}
		})
	}
}

// texts are the paths that a shot's copy of the scene has and the scene has not, by datablock.
func texts(t *testing.T, s Shot) map[string]string {
	t.Helper()
	before := map[string]string{}
	for _, d := range s.Report.Dependencies {
		before[d.Datablock] = d.Written
	}
	at := slices.IndexFunc(s.Tree.Files, func(f gather.File) bool { return f.Path == s.Blend })
	report, err := blend.Trace(t.Context(), []string{s.Tree.Files[at].Source}, blend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]string{}
	for _, d := range report.Dependencies {
		if d.Written != before[d.Datablock] {
			changed[d.Datablock] = d.Written
		}
	}
	return changed
}

func TestNeededFoldersAreSearchedByTheRules(t *testing.T) {
	top := project(t)
	options := projectOptions(t, top)
	scene := filepath.Join(top, "project", "shots", "010.blend")
	options.Exclude = []string{"drafts", "*.png"}
	s := gatherOne(t, scene, options)
	var fluid []string
	for _, o := range s.Outside {
		if strings.Contains(o.Path, "/fluid/") {
			fluid = append(fluid, o.Path)
		}
	}
	if diff := cmp.Diff([]string{filepath.Join(top, "elsewhere", "fluid", "data", "fluid_data_0001.vdb")}, fluid); diff != "" {
		t.Errorf("of the cache (- wanted, + found):\n%s", diff)
	}
	if len(s.Missing) > 0 {
		t.Errorf("missing: %+v", s.Missing)
	}
	options.Exclude = []string{"[a"}
	if _, err := Gather(t.Context(), scene, options); err == nil || !strings.Contains(err.Error(), `"[a"`) {
		t.Errorf("a bad pattern: %v", err)
	}
}

func TestExtensionsAreTold(t *testing.T) {
	top := project(t)
	s := gatherOne(t, filepath.Join(top, "project", "shots", "010.blend"), projectOptions(t, top))
	if !slices.Equal(s.Scripts, []string{"on_load.py"}) || !slices.Equal(s.AddOns, []string{"settings studio_tools"}) {
		t.Errorf("scripts %q, add-ons %q", s.Scripts, s.AddOns)
	}
	for _, feature := range []string{"engine:CYCLES", "blender:3.4", "osl"} {
		if !slices.Contains(s.Features, feature) {
			t.Errorf("features %q lack %q", s.Features, feature)
		}
	}
}

func TestSideFolderMakesRoom(t *testing.T) {
	scene := smallScene(t, "//_Outside/a.png", "TOP/b.png", "p/_Outside/a.png", "b.png")
	s := gatherOne(t, scene, Options{Spool: t.TempDir()})
	if len(s.Outside) != 1 || !strings.HasPrefix(s.Outside[0].As.String(), "_outside_/") {
		t.Errorf("outside: %+v", s.Outside)
	}
}

func TestRootIsFoundBehindLinks(t *testing.T) {
	scene := smallScene(t, "TOP/p/a.png", "//b.png", "p/a.png", "p/b.png")
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(filepath.Dir(scene), alias); err != nil {
		t.Fatal(err)
	}
	s := gatherOne(t, filepath.Join(alias, "scene.blend"), Options{Spool: t.TempDir()})
	if got, want := placesOf(s), []string{"a.png", "b.png", "scene.blend"}; !slices.Equal(got, want) {
		t.Errorf("places %q, want %q", got, want)
	}
}

func TestGatherRefuses(t *testing.T) {
	scene := smallScene(t, "//a.png", "//b.png")
	if _, err := Gather(t.Context(), scene, Options{Root: t.TempDir(), Spool: t.TempDir()}); !errors.Is(err, ErrOutsideRoot) {
		t.Errorf("a scene outside: %v", err)
	}
	if _, err := Gather(t.Context(), filepath.Dir(scene), Options{Spool: t.TempDir()}); err == nil {
		t.Error("a folder is no scene")
	}
	scene = smallScene(t, "//a.png", "//A.png", "p/a.png", "p/A.png")
	if _, err := Gather(t.Context(), scene, Options{Spool: t.TempDir()}); !errors.Is(err, checkout.ErrConflict) {
		t.Errorf("names that differ in case only: %v", err)
	}
	scene = smallScene(t, "//a.png.", "//b.png", "p/a.png.", "p/b.png")
	if _, err := Gather(t.Context(), scene, Options{Spool: t.TempDir()}); !errors.Is(err, gather.ErrUnusable) || !errors.Is(err, checkout.ErrBadPath) {
		t.Errorf("a name that Windows cannot have: %v", err)
	}
}

func TestUnchangedShotIsNotReadAgain(t *testing.T) {
	top := project(t)
	scene, options := filepath.Join(top, "project", "shots", "010.blend"), projectOptions(t, top)
	later := func() time.Time { return time.Now().Add(time.Hour) }
	index, err := fileindex.Open(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	var first checkout.Manifest
	for _, now := range []func() time.Time{nil, nil, later, later} {
		options.Now = now
		s := gatherOne(t, scene, options)
		manifest, summary, err := gather.Read(t.Context(), s.Tree, gather.Reading{Index: index, Now: later})
		if err != nil || summary.Index != nil {
			t.Fatal(err, summary.Index)
		}
		if first.Len() == 0 {
			first = manifest
		} else if manifest.Digest() != first.Digest() || summary.BytesRead > 0 {
			t.Errorf("%d bytes were read again; the same manifest: %v", summary.BytesRead, manifest.Digest() == first.Digest())
		}
	}
}

func TestChangedSceneKeepsItsCopysPath(t *testing.T) {
	scene := smallScene(t, "TOP/a.png", "//b.png", "a.png", "p/b.png")
	options := Options{Spool: t.TempDir(), Now: func() time.Time { return time.Now().Add(time.Minute) }}
	copyOf := func() gather.File {
		files := gatherOne(t, scene, options).Tree.Files
		return files[slices.IndexFunc(files, func(f gather.File) bool { return f.Path.String() == "scene.blend" })]
	}
	first := copyOf()
	if again := copyOf(); again != first {
		t.Errorf("the copy of an unchanged scene went from %+v to %+v", first, again)
	}
	resave(t, scene)
	if again := copyOf(); again.Source != first.Source || again.Stat == first.Stat {
		t.Errorf("the copy of a changed scene went from %+v to %+v", first, again)
	}
	if content, err := os.ReadFile(first.Source); err != nil || len(content) < 100 {
		t.Error(err)
	}
}

// resave replaces a scene by one with the same paths and other bytes.
func resave(t *testing.T, scene string) {
	t.Helper()
	content, err := os.ReadFile(scene)
	if err != nil {
		t.Fatal(err)
	}
	// A skippable frame of zstd before the file's own.
	write(t, scene, "\x50\x2a\x4d\x18\x04\x00\x00\x00more"+string(content))
}

func TestOldCopiesGo(t *testing.T) {
	scene := smallScene(t, "TOP/a.png", "//b.png", "a.png", "p/b.png")
	after := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	options := Options{Spool: t.TempDir(), Now: after(time.Minute)}
	write(t, filepath.Join(options.Spool, "notes", "kept.txt"), "not ours")
	copies := func() int {
		entries, err := os.ReadDir(options.Spool)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) - 1
	}
	gatherOne(t, scene, options)
	options.Now = after(20 * 24 * time.Hour)
	gatherOne(t, scene, options) // It is of use again.
	options.Now = after(40 * 24 * time.Hour)
	other := smallScene(t, "TOP/a.png", "//b.png", "a.png", "p/b.png")
	gatherOne(t, other, options)
	if n := copies(); n != 2 {
		t.Errorf("%d copies, want both", n)
	}
	options.Now = after(60 * 24 * time.Hour)
	third := smallScene(t, "TOP/a.png", "//b.png", "a.png", "p/b.png")
	gatherOne(t, third, options)
	if n := copies(); n != 2 {
		t.Errorf("%d copies, want the first gone", n)
	}
}

func TestFieldsThatAreNotThereAreTold(t *testing.T) {
	scene := smallScene(t, "TOP/a.png", "//b.png")
	s := spool{folder: t.TempDir(), now: func() time.Time { return time.Now().Add(time.Minute) }}
	lost := field{Datablock: "IMnone", Kind: "image", Field: "Image.name", Written: "//none.png"}
	for range 2 {
		path, unasked, err := s.copy(t.Context(), scene, map[field]string{lost: "//some.png"})
		if err != nil || !slices.Equal(unasked, []field{lost}) {
			t.Errorf("unasked: %+v, error %v", unasked, err)
		}
		if same, err := sameBytes(path, scene); err != nil || !same {
			t.Errorf("a copy without changes differs (%v)", err)
		}
	}
}

// TestUnreadableLibrariesAreMissing cuts a library short: whatever is linked from it would be lost.
func TestUnreadableLibrariesAreMissing(t *testing.T) {
	top := project(t)
	library := filepath.Join(top, "project", "lib", "table.blend")
	content, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	for what, bytes := range map[string]string{"was cut short": string(content[:1000]), "no .blend file": "hello\n"} {
		write(t, library, bytes)
		s := gatherOne(t, filepath.Join(top, "project", "shots", "010.blend"), projectOptions(t, top))
		found := slices.ContainsFunc(s.Missing, func(m Missing) bool {
			return m.Datablock == "LItable.blend" && m.Resolved == library && m.Required && strings.Contains(m.Note, what)
		})
		if !found || len(s.Warnings) > 0 {
			t.Errorf("%s: missing %+v, warnings %q", what, s.Missing, s.Warnings)
		}
		write(t, library, string(content))
	}
}

// TestLinkedLibraryIsTwo gathers a library by its path and by a link in another folder: the relative paths in it start
// from either.
func TestLinkedLibraryIsTwo(t *testing.T) {
	top := project(t)
	folder := t.TempDir()
	options := projectOptions(t, top)
	options.Root = folder
	library, linked := filepath.Join(folder, "lib", "table.blend"), filepath.Join(folder, "linked", "table.blend")
	respell(t, filepath.Join(top, "project", "lib", "table.blend"), library, func(written string) string {
		return "//" + filepath.Base(written)
	})
	write(t, filepath.Join(folder, "lib", "cloth.png"), "one")
	write(t, filepath.Join(folder, "linked", "cloth.png"), "another")
	if err := os.Symlink(library, linked); err != nil {
		t.Fatal(err)
	}
	scene := filepath.Join(folder, "shots", "010.blend")
	respell(t, filepath.Join(top, "project", "shots", "010.blend"), scene, func(written string) string {
		switch written {
		case filepath.Join(top, "project", "lib", "table.blend"):
			return library
		case filepath.Join(top, "elsewhere", "alias", "table.blend"):
			return linked
		}
		return written
	})
	s := gatherOne(t, scene, options)
	laid := layOut(t, s.Tree)
	for _, folder := range []string{"lib", "linked"} {
		for _, name := range []string{"table.blend", "cloth.png"} {
			if !slices.Contains(placesOf(s), folder+"/"+name) {
				t.Errorf("%s/%s is not there", folder, name)
			}
		}
	}
	report, err := blend.Trace(t.Context(), []string{filepath.Join(laid, "shots", "010.blend")}, blend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{filepath.Join(laid, "lib", "cloth.png"), filepath.Join(laid, "linked", "cloth.png")} {
		if !slices.Contains(report.Files, want) {
			t.Errorf("the tree does not lead to %s", want)
		}
	}
}
