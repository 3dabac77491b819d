package shot

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"hayloft/checkout/gather"
)

// madeTop is removed when all tests are done.
var madeTop string

func TestMain(m *testing.M) {
	var err error
	if madeTop, err = os.MkdirTemp("", "hayloft-shot-*"); err == nil {
		madeTop, err = filepath.EvalSymlinks(madeTop)
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
	os.RemoveAll(madeTop)
	os.Exit(code)
}

func runBlender(ctx context.Context, arguments ...string) (out []byte, err error) {
	return exec.CommandContext(ctx, "blender", arguments...).CombinedOutput()
}

var makeProject = sync.OnceValue(func() error {
	out, err := runBlender(context.Background(), "-b", "--factory-startup", "--python-exit-code", "1", "-P", "testdata/project.py", "--", madeTop)
	if err != nil {
		return fmt.Errorf("Blender 3.4 on the PATH makes the project: %w\n%s", err, out)
	}
	return nil
})

// project gives the folder in which testdata/project.py made everything.
func project(t *testing.T) string {
	t.Helper()
	if err := makeProject(); err != nil {
		t.Fatal(err)
	}
	return madeTop
}

func projectOptions(t *testing.T, top string) Options {
	t.Helper()
	return Options{Root: filepath.Join(top, "project"), Spool: t.TempDir(), Variables: map[string]string{"p:/film": filepath.Join(top, "elsewhere", "film")}}
}

func gatherOne(t *testing.T, path string, options Options) Shot {
	t.Helper()
	s, err := Gather(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// layOut copies a tree into an empty folder.
func layOut(t *testing.T, tree gather.Tree) string {
	t.Helper()
	top := t.TempDir()
	for _, f := range tree.Files {
		content, err := os.ReadFile(f.Source)
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(top, filepath.FromSlash(f.Path.String()))
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// opened is what testdata/open.py tells of a scene.
type opened struct {
	Lost, Paths []string
	Baked       []bool
	picture     image.Image
}

func openInBlender(t *testing.T, scene string) opened {
	t.Helper()
	folder := t.TempDir()
	picture, list := filepath.Join(folder, "picture.png"), filepath.Join(folder, "list.json")
	out, err := runBlender(t.Context(), "-b", "--factory-startup", scene, "--python-exit-code", "1", "-P", "testdata/open.py", "--", picture, list)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "Cannot find") || strings.Contains(line, "can't open") || strings.Contains(line, "missing") {
			t.Error(line)
		}
	}
	var o opened
	text, err := os.ReadFile(list)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.picture = decode(t, picture)
	return o
}

func decode(t *testing.T, path string) image.Image {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

func TestGatheredShotRendersAlone(t *testing.T) {
	top := project(t)
	scene := filepath.Join(top, "project", "shots", "010.blend")
	before := openInBlender(t, scene)
	s := gatherOne(t, scene, projectOptions(t, top))
	if len(s.Missing) > 0 {
		t.Errorf("missing: %+v", s.Missing)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warnings: %q", s.Warnings)
	}
	laid := layOut(t, s.Tree)
	hideOriginal(t, top)
	after := openInBlender(t, filepath.Join(laid, s.Blend.String()))
	// A strip has its sound's path a second time, and an image of several views that of one of them. Blender lists both
	// and reads neither.
	noted := []string{filepath.Join(top, "elsewhere", "sounds", "beep.wav"), filepath.Join(top, "elsewhere", "views", "eye_L.png")}
	for _, path := range after.Lost {
		if !slices.Contains(noted, path) {
			t.Errorf("Blender does not find %s", path)
		}
	}
	for _, path := range after.Paths {
		if !slices.Contains(noted, path) && !strings.HasPrefix(path, laid+"/") {
			t.Errorf("%s lies outside the tree", path)
		}
	}
	if !slices.Equal(before.Baked, after.Baked) || !slices.Contains(after.Baked, true) {
		t.Errorf("baked particles: %v, before %v", after.Baked, before.Baked)
	}
	if diff := cmp.Diff(before.picture, after.picture); diff != "" {
		t.Errorf("the pictures differ:\n%s", diff)
	}
}

// hideOriginal moves all that the shot was gathered from out of the way, until the test ends.
func hideOriginal(t *testing.T, top string) {
	t.Helper()
	for _, name := range []string{"project", "elsewhere"} {
		at, away := filepath.Join(top, name), filepath.Join(top, "away-"+name)
		if err := os.Rename(at, away); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Rename(away, at); err != nil {
				t.Error(err)
			}
		})
	}
}
