package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hayloft/api/wire"
)

// TestSubmitNeedsOnlyTheFile submits a scene without any setting, and again with some, which win over the scene's.
func TestSubmitNeedsOnlyTheFile(t *testing.T) {
	t.Parallel()
	blend := project(t, 3)
	f := startFarm(t, "--workers", "0")
	told := lastLine[plan](t, hayloft(t.Context(), "plan", "--manager", f.url, "--json", blend))
	if told.Frames != "1-3" || told.FrameCount != 3 || !told.OfScene {
		t.Errorf("the plan says %+v", told)
	}
	for line, args := range map[string][]string{
		"\n3 frames: 1-3, as the scene says\n": nil,
		"\n2 frames: 7,9\n":                    {"--setting", "frames=7,9"},
	} {
		if r := hayloft(t.Context(), append([]string{"plan", "--manager", f.url, blend}, args...)...); !strings.Contains(r.stdout, line) {
			t.Errorf("the plan with %q lacks %q:\n%s", args, line, r.stdout)
		}
	}
	settings := submittedSettings(t, f, blend)
	for key, want := range map[string]any{"frames": "1-3", "format": "PNG", "image_file_extension": ".png", "fps": 24.0, "scene": "Scene",
		"has_previews": false, "separate_views": false, "chunk_size": 1.0} {
		if settings[key] != want {
			t.Errorf("setting %s is %#v, want %#v", key, settings[key], want)
		}
	}
	settings = submittedSettings(t, f, blend, "--setting", "frames=2", "--setting", "format=TARGA", "--setting", "fps=30")
	if settings["frames"] != "2" || settings["format"] != "TARGA" || settings["fps"] != 30.0 || settings["scene"] != "Scene" {
		t.Errorf("with settings of its own, the job has %v", settings)
	}
}

func submittedSettings(t *testing.T, f farm, blend string, args ...string) map[string]any {
	t.Helper()
	r := hayloft(t.Context(), append([]string{"submit", "--manager", f.url, "--json", "--paused", blend}, args...)...)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	shown := hayloft(t.Context(), "job", "show", "--manager", f.url, "--json", lastLine[submitted](t, r).JobID)
	var job struct {
		Settings map[string]any `json:"settings"`
	}
	if err := json.Unmarshal([]byte(shown.stdout), &job); err != nil || len(job.Settings) == 0 {
		t.Fatalf("%v\n%s", err, shown.stdout)
	}
	return job.Settings
}

// TestAskSceneOfOtherJobTypes has expressions that a file cannot answer, and settings of a type that the answer does not have.
func TestAskSceneOfOtherJobTypes(t *testing.T) {
	t.Parallel()
	eval := func(expression string) *string { return &expression }
	jobType := wire.AvailableJobType{Name: "other", Settings: []wire.AvailableJobSetting{
		{Key: "range", Type: wire.String, Eval: eval("f'{C.scene.frame_start}-{C.scene.frame_end}'")},
		{Key: "camera", Type: wire.String, Eval: eval("C.scene.camera.name")},
		{Key: "rate", Type: wire.Int32, Eval: eval("C.scene.render.fps / C.scene.render.fps_base")},
		{Key: "frames", Type: wire.String},
	}}
	scene := filepath.Join("..", "..", "checkout", "blend", "testdata", "v5_0.blend")
	var s submission
	settings := map[string]any{}
	if untold, err := s.askScene(jobType, settings, scene); untold != nil || err != nil || len(settings) != 1 || settings["range"] == "" || s.framesOfScene {
		t.Errorf("the settings are %v; %v, %v", settings, untold, err)
	}
	text := filepath.Join(t.TempDir(), "text.blend")
	if err := os.WriteFile(text, []byte("no scene"), 0o644); err != nil {
		t.Fatal(err)
	}
	if untold, err := s.askScene(jobType, settings, text); untold == nil || err != nil {
		t.Errorf("a text: %v, %v", untold, err)
	}
	if _, err := s.askScene(jobType, settings, text+"2"); err == nil {
		t.Error("a file that is not there is no error")
	}
}
