package scene_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hayloft/checkout/blend"
	"hayloft/cmd/scene"
	"hayloft/scheduler/jobtype"
)

// TestValuesAreThoseOfBlender has Blender save a scene of each format and some odd ones, and evaluate what the job type asks
// of them.
func TestValuesAreThoseOfBlender(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("blender"); err != nil {
		t.Fatal("blender is not installed; this test needs the real one: apt-get install blender")
	}
	expressions := askedOfScenes(t)
	dir := t.TempDir()
	list := filepath.Join(dir, "expressions")
	write(t, list, expressions)
	made := t.TempDir()
	out, err := exec.Command("blender", "-b", "--factory-startup", "--python-exit-code", "1", "-P", filepath.Join("testdata", "ask.py"), "--", list, made).CombinedOutput()
	if err != nil {
		t.Fatalf("make scenes: %v\n%s", err, out)
	}
	scenes, err := filepath.Glob(filepath.Join(made, "*.blend"))
	if err != nil || len(scenes) < 15 {
		t.Fatalf("there are %d scenes, %v", len(scenes), err)
	}
	for _, path := range scenes {
		s, err := scene.Read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(strings.TrimSuffix(path, ".blend") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		for _, expression := range expressions {
			got, known := s.Value(expression)
			if s.Format.Video && expression == "C.scene.render.file_extension" {
				if known {
					t.Errorf("%s: a video has frames with the extension %v", path, got)
				}
				continue
			}
			if got != want[expression] {
				t.Errorf("%s: %s gives %#v, in Blender %#v", filepath.Base(path), expression, got, want[expression])
			}
		}
	}
}

// askedOfScenes are the expressions that the job type has for its settings, but for the one about folders, and a frame
// range that other job types ask for.
func askedOfScenes(t *testing.T) []string {
	t.Helper()
	library, err := jobtype.Load(jobtype.Options{})
	if err != nil {
		t.Fatal(err)
	}
	render, err := library.Get("simple-blender-render")
	if err != nil {
		t.Fatal(err)
	}
	expressions := []string{"f'{C.scene.frame_start}-{C.scene.frame_end}'"}
	for _, s := range render.Settings {
		if s.Eval == "" || s.Key == "render_output_path" {
			continue
		}
		expressions = append(expressions, s.Eval)
	}
	if len(expressions) < 8 {
		t.Fatalf("the job type asks for %q only", expressions)
	}
	return expressions
}

func write(t *testing.T, path string, content any) {
	t.Helper()
	text, err := json.Marshal(content)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoSceneIsAnError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "text.blend")
	write(t, path, "no scene")
	if _, err := scene.Read(path); !errors.Is(err, blend.ErrNotBlend) {
		t.Errorf("a text gave %v", err)
	}
	if _, err := scene.Read(filepath.Join(t.TempDir(), "none.blend")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there gave %v", err)
	}
}

func TestUnknownAnswers(t *testing.T) {
	t.Parallel()
	var empty scene.Scene
	for _, expression := range []string{"C.scene.name", "C.scene.render.fps / C.scene.render.fps_base", "C.scene.render.image_settings.file_format",
		"C.scene.render.file_extension", "C.scene.camera.name", ""} {
		if value, known := empty.Value(expression); known {
			t.Errorf("%q gave %v", expression, value)
		}
	}
	named := scene.Scene{Name: "Shot"}
	if value, known := named.Value("  C.scene.name\n"); !known || value != "Shot" {
		t.Errorf("the name is %v, %v", value, known)
	}
}
