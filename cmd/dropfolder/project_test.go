package dropfolder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"hayloft/checkout"
	"hayloft/checkout/gather"
	"hayloft/cmd/scene"
)

func filesNamed(t testing.TB, names ...string) []gather.File {
	t.Helper()
	var files []gather.File
	for _, name := range names {
		path, err := checkout.ParsePath(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, gather.File{Path: path})
	}
	return files
}

func TestChooseBlend(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  string
		says  []string
	}{
		{files: []string{"a.blend"}, want: "a.blend"},
		{files: []string{"a.BLEND", "tex/wood.png"}, want: "a.BLEND"},
		{files: []string{"a.blend", "lib/b.blend", "lib/c.blend"}, want: "a.blend"},
		{files: []string{"wrap/a.blend", "wrap/lib/b.blend"}, want: "wrap/a.blend"},
		{files: []string{"x/y/a.blend", "x/y/tex/t.png"}, want: "x/y/a.blend"},
		{files: []string{"a.blend", "shot.blend"}, want: "shot.blend"},
		{files: []string{"readme.txt", "scenes/Shot.blend", "scenes/b.blend"}, want: "scenes/Shot.blend"},
		{files: []string{"readme.txt", "scenes/b.blend"}, want: "scenes/b.blend"},
		{files: []string{"b.blend", "a.blend", "lib/c.blend"}, says: []string{"several .blend files: b.blend, a.blend, lib/c.blend", "shot.blend"}},
		{files: []string{"x/shot.blend", "y/shot.blend", "z.txt"}, says: []string{"x/shot.blend, y/shot.blend"}},
		{files: []string{"tex/wood.png"}, says: []string{"holds no .blend file", "put the scene's .blend file into it"}},
		{files: []string{"wrap/shot.zip", "readme.txt"}, says: []string{`no .blend file, but the archive "shot.zip"`, "unpack that"}},
		{files: nil, says: []string{"holds no .blend file"}},
	} {
		got, err := chooseBlend(filesNamed(t, c.files...), "shot")
		if c.want != "" {
			if err != nil || got.Path.String() != c.want {
				t.Errorf("%q: chose %q, %v; want %q", c.files, got.Path, err, c.want)
			}
			continue
		}
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: got %v, which does not say %q", c.files, err, says)
			}
		}
	}
}

func TestScenesSayHowTheyAreRendered(t *testing.T) {
	dir := scenes(t)
	for name, want := range map[string]scene.Scene{
		"plain.blend": {Name: "Scene", First: 1, Last: 4, Step: 1, FPS: 24, Engine: "CYCLES", Format: scene.Format{Name: "PNG", Extension: ".png"}},
		"odd.blend": {Name: "Shot", First: 3, Last: 11, Step: 2, FPS: 29.97, Engine: "CYCLES", Previews: true,
			Format: scene.Format{Name: "OPEN_EXR", Extension: ".exr"}},
		"single.blend": {Name: "Scene", First: 7, Last: 7, Step: 1, FPS: 24, Engine: "BLENDER_WORKBENCH",
			Format: scene.Format{Name: "JPEG", Extension: ".jpg"}},
	} {
		got, err := readScene(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got.FPS = float64(int(got.FPS*1000+0.5)) / 1000
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	_, err := readScene(filepath.Join(dir, "video.blend"))
	if refused, ok := asRefusal(err); !ok || !strings.Contains(refused.why, "FFMPEG makes one video") {
		t.Errorf("a scene that makes a video gave %v", err)
	}
	path := filepath.Join(t.TempDir(), "no.blend")
	if err := os.WriteFile(path, []byte("not a scene"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readScene(path); err == nil {
		t.Error("a text was read as a scene")
	} else if _, ok := asRefusal(err); !ok {
		t.Errorf("a text gave %v, which is nothing for people", err)
	}
}

func TestFramesOfAScene(t *testing.T) {
	for _, c := range []struct {
		first, last, step int64
		want              string
	}{{1, 250, 1, "1-250"}, {7, 7, 1, "7"}, {3, 11, 2, "3,5,7,9,11"}, {0, 10, 4, "0,4,8"}, {5, 6, 9, "5"}} {
		s := scene.Scene{First: c.first, Last: c.last, Step: c.step, Format: scene.Format{Name: "PNG", Extension: ".png"}}
		if got := s.Frames(); got != c.want || check(s) != nil {
			t.Errorf("%+v: %q, %v; want %q", c, got, check(s), c.want)
		}
	}
	for _, s := range []scene.Scene{
		{First: 2, Last: 1, Step: 1}, {First: -1, Last: 1, Step: 1}, {Last: maxFrames, Step: 1}, {Last: 1, Step: 1, Format: scene.Format{Name: "FFMPEG", Video: true}},
	} {
		if _, ok := asRefusal(check(s)); !ok {
			t.Errorf("%+v is not refused", s)
		}
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	whole := filepath.Join(scenes(t), "project")
	dir := filepath.Join(t.TempDir(), "shot")
	copyFolder(t, whole, dir)
	check := func(source string) error {
		p, err := gatherProject(t.Context(), source, "shot", Limits{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		whole, features, err := complete(t.Context(), p, scene.Scene{First: 1, Last: 4}, t.TempDir(), false)
		if err == nil && (!slices.Contains(features, "engine:CYCLES") || len(whole.tree.Files) != 2) {
			t.Errorf("the project has %d files and needs %q", len(whole.tree.Files), features)
		}
		return err
	}
	if err := check(dir); err != nil {
		t.Errorf("a whole project gave %v", err)
	}
	const says = `files that are not with it: //textures/wood.png (wanted by image "wood")`
	// Dropped alone, what lies beside it on this machine is not part of it.
	if err := check(filepath.Join(dir, "shot.blend")); err == nil || !strings.Contains(err.Error(), "not with it: wood.png") {
		t.Errorf("a scene alone gave %v", err)
	}
	// Nor is what lies anywhere else on it.
	if err := check(filepath.Join(scenes(t), "foreign")); err == nil || !strings.Contains(err.Error(), "not with it: wood.png") {
		t.Errorf("a scene that names a file of this machine gave %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "textures", "wood.png")); err != nil {
		t.Fatal(err)
	}
	if err := check(dir); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a project without its texture gave %v", err)
	}
}

func linksOf(t *testing.T, dir string) error {
	t.Helper()
	p, err := gatherProject(t.Context(), dir, "shot", Limits{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return checkLinks(dir, p.tree)
}

func TestLinksThatLeadOutAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "shot")
	copyFolder(t, filepath.Join(scenes(t), "project"), dir)
	if err := os.Symlink("wood.png", filepath.Join(dir, "textures", "inside.png")); err != nil {
		t.Fatal(err)
	}
	if err := linksOf(t, dir); err != nil {
		t.Errorf("a link inside gave %v", err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "textures", "outside.png")); err != nil {
		t.Fatal(err)
	}
	if err := linksOf(t, dir); err == nil || !strings.Contains(err.Error(), `"textures/outside.png" is a link that leads out`) {
		t.Errorf("a link outside gave %v", err)
	}
}

// TestTopFolder compares with the definition: the longest folder that is in front of all of them.
func TestTopFolder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`([ab]/){0,3}[cd]`), 1, 5, rapid.ID[string]).Draw(r, "names")
		files := filesNamed(t, names...)
		want := ""
		for dir := files[0].Path.Dir(); dir != ""; dir = parent(dir) {
			inAll := true
			for _, name := range names {
				inAll = inAll && strings.HasPrefix(name, dir+"/")
			}
			if inAll {
				want = dir
				break
			}
		}
		if got := topFolder(files); got != want {
			r.Fatalf("%q: %q, want %q", names, got, want)
		}
	})
}

func TestKinds(t *testing.T) {
	for name, want := range map[string]kind{
		"a.zip": zipFile, "A.ZIP": zipFile, "a.blend": blendFile, "a.rar": otherArchive, "a.tar.gz": otherArchive, "notes.txt": notDropped,
		"a.blend1": notDropped, ".hidden.zip": notDropped, "a.zip.part": notDropped, "a.zip.crdownload": notDropped, "a.zip~": notDropped,
		"a.zip.error.txt": notDropped,
	} {
		if got := kindOf(name, 0); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]kind{
		"shot": folder, "shot.blend": folder, ".hayloft": notDropped, "shot.zip.frames": notDropped, "shot.zip.frames.2": notDropped, "__pycache__": notDropped,
		"lost+found": notDropped, "@eaDir": notDropped, "$RECYCLE.BIN": notDropped, "System Volume Information": notDropped, "shot.v2": folder,
	} {
		if got := kindOf(name, os.ModeDir); got != want {
			t.Errorf("the folder %s is %d, want %d", name, got, want)
		}
	}
	if got := kindOf("a.zip", os.ModeSymlink); got != link {
		t.Errorf("a link is %d", got)
	}
}

// TestLitterIsNoPartOfADrop has systems and programs leave their files in a folder that was dropped.
func TestLitterIsNoPartOfADrop(t *testing.T) {
	dir := t.TempDir()
	shot := filepath.Join(dir, "shot.v2")
	lay := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(shot, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	look := func() drop {
		d, err := stampDrop(dir, drop{name: "shot.v2", kind: folder}, Limits{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	lay("shot.v2.blend", "other.blend", "tex/wood.png")
	before := look()
	litter := []string{"._shot.v2.blend", "._other.blend", ".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "@eaDir/x", "shot.v2.blend1", "shot.v2.blend@",
		"tex/.wood.png.swp", "tex/wood.png~", "__MACOSX/._x.blend"}
	lay(litter...)
	if after := look(); after != before {
		t.Errorf("the drop is another one by what lies in it: %+v, before %+v", after, before)
	}
	p, err := gatherProject(t.Context(), shot, stemOf("shot.v2", folder), Limits{}.withDefaults())
	if err != nil || p.blend.Path.String() != "shot.v2.blend" || len(p.tree.Files) != 3 {
		t.Errorf("chose %q of %d files: %v", p.blend.Path, len(p.tree.Files), err)
	}
	lay("tex/new.png")
	if look() == before {
		t.Error("a new texture is no change")
	}
}

// TestNamesBesideADrop has room for every name that a file can have.
func TestNamesBesideADrop(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		start := rapid.StringMatching(`[aé世]{60,130}`).Draw(r, "start")
		start = start[:min(len(start), 230)]
		a, b := start+rapid.StringMatching(`[a-z]{0,25}`).Draw(r, "a"), start+rapid.StringMatching(`[a-z]{0,25}`).Draw(r, "b")
		for _, suffix := range []string{errorSuffix, framesSuffix + ".12345"} {
			got := beside(a, suffix)
			if len(got) > maxNameBytes || mayDrop(got) || utf8.ValidString(a) && !utf8.ValidString(got) {
				r.Fatalf("beside %q (%d bytes) lies %q", a, len(a), got)
			}
			if len(a)+len(errorSuffix)+6 <= maxNameBytes && got != a+suffix {
				r.Fatalf("beside %q lies %q", a, got)
			}
			if (a == b) != (got == beside(b, suffix)) {
				r.Fatalf("beside %q and %q lies %q", a, b, got)
			}
		}
	})
}

func TestAnotherFolderInThePlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "watched")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := openLedger(dir, func(file string, err error) { t.Errorf("%s: %v", file, err) })
	if err != nil {
		t.Fatal(err)
	}
	set := func(r *record) error { r.Stamp = "1"; return nil }
	change := func(name string) error {
		return l.change(t.Context(), name, func(_ *os.Root, r *record) error { return set(r) })
	}
	known := func() int {
		all, err := l.all(t.Context(), func(record) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if err := change("a.zip"); err != nil {
		t.Fatal(err)
	}
	if replaced, err := l.refresh(t.Context()); replaced || err != nil {
		t.Errorf("the same folder: %v, %v", replaced, err)
	}
	// As when a share is gone: there is an empty folder, and what is known of the share's drops must not go there.
	if err := errors.Join(os.Rename(dir, dir+".away"), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := change("a.zip"); !errors.Is(err, errReplaced) || len(filesIn(t, dir)) > 0 {
		t.Errorf("writing into another folder gave %v and %q", err, filesIn(t, dir))
	}
	if err := change("b.zip"); !errors.Is(err, errReplaced) {
		t.Errorf("a new record in another folder gave %v", err)
	}
	if replaced, err := l.refresh(t.Context()); !replaced || err != nil || known() != 0 {
		t.Errorf("another folder: %v, %v, %d records", replaced, err, known())
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	if replaced, err := l.refresh(t.Context()); !replaced || err != nil || known() != 1 {
		t.Errorf("the folder is back: %v, %v, %d records", replaced, err, known())
	}
}

func TestLedgerSurvives(t *testing.T) {
	dir := t.TempDir()
	none := func(file string, err error) { t.Errorf("%s: %v", file, err) }
	l, err := openLedger(dir, none)
	if err != nil {
		t.Fatal(err)
	}
	want := record{Name: "näme/../odd.zip", Stamp: "1", Refused: "no"}
	if err := l.change(t.Context(), want.Name, func(_ *os.Root, r *record) error { *r = want; return nil }); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := l.change(t.Context(), want.Name, func(_ *os.Root, r *record) error { r.Stamp = "2"; return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	damaged := filepath.Join(dir, ownFolder, "x"+recordSuffix)
	if err := os.WriteFile(damaged, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	complaints := 0
	again, err := openLedger(dir, func(string, error) { complaints++ })
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.get(t.Context(), want.Name); err != nil || got != want || complaints != 1 {
		t.Errorf("got %+v, %v, and %d complaints", got, err, complaints)
	}
	if got, err := again.get(t.Context(), "other"); err != nil || got != (record{Name: "other"}) {
		t.Errorf("an unknown drop is %+v, %v", got, err)
	}
}
