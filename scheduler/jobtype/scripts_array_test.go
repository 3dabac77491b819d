package jobtype_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hayloft/scheduler/jobtype"
)

// array compiles a blender-script-array job with some settings changed.
func array(t *testing.T, change map[string]any) (jobtype.Compiled, error) {
	t.Helper()
	settings := map[string]any{"script": "{jobs}/shot/render.py", "data": "data/a.txt\ndata/con.txt\n", "data_root": "{jobs}/shot"}
	for key, value := range change {
		settings[key] = value
	}
	return loadWith(t, jobtype.Options{Location: time.UTC}).Compile(t.Context(), jobtype.Request{
		Type: "blender-script-array", Name: "shot", Created: created, Settings: settings,
	})
}

func TestBlenderScriptArray(t *testing.T) {
	compiled, err := array(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(compiled.Tasks) != 2 || compiled.Tasks[1].Name != "data/con.txt" || compiled.Tasks[1].Type != "blender" || compiled.Tasks[1].Steps != 1 {
		t.Fatalf("tasks are %+v", compiled.Tasks)
	}
	want := []command{{"blender-script", map[string]any{
		"exe": "{blender}", "exeArgs": "{blenderArgs}", "blendfile": "", "script": "{jobs}/shot/render.py",
		"data": "{jobs}/shot/data/con.txt", "outputRoot": "{output}/shot/2026-05-04_030201", "outputName": "0002-_con",
		"frames": "", "format": "",
	}, 1}}
	if diff := cmp.Diff(want, commands(t, compiled.Tasks[1])); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestBlenderScriptArrayRendersFrames(t *testing.T) {
	compiled, err := array(t, map[string]any{"frames": "1-3,7", "format": "PNG", "blendfile": "{jobs}/shot/a.blend", "data_root": ""})
	if err != nil {
		t.Fatal(err)
	}
	first := commands(t, compiled.Tasks[0])[0]
	if first.TotalStepCount != 4 || first.Parameters["frames"] != "1..3,7" || first.Parameters["format"] != "PNG" ||
		first.Parameters["blendfile"] != "{jobs}/shot/a.blend" || first.Parameters["data"] != "data/a.txt" {
		t.Errorf("the command is %+v", first)
	}
	compiled, err = array(t, map[string]any{"frames": "1", "format": "TARGA"})
	if err != nil {
		t.Fatal(err)
	}
	if got := commands(t, compiled.Tasks[0])[0].Parameters["format"]; got != "TGA" {
		t.Errorf("TARGA is given to Blender as %v", got)
	}
}

func TestBlenderScriptArrayRefuses(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"no data files": {"data": " \n\n"},
		"x":             {"frames": "x"},
	} {
		if _, err := array(t, change); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", change, err)
		}
	}
}
