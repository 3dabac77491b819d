package worker

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hayloft/api/wire"
	"hayloft/worker/frame"
)

func blenderCommandFor(fault, scene, dir, frames string) wire.Command {
	return newCommand("blender-render", map[string]any{
		"exe": os.Args[0], "exeArgs": quoteWords([]string{"fake-blender", fault}), "blendfile": scene,
		"args": []any{"--render-output", filepath.Join(dir, "######"), "--render-format", "PNG", "--render-frame", frames},
	})
}

// TestRenderFaults runs one task of three frames for each fault and looks at what is there in the end.
func TestRenderFaults(t *testing.T) {
	for _, c := range []struct {
		fault  string
		status wire.TaskStatus
		frames int // in the output directory
		runs   string
		log    string
	}{
		{"good", wire.TaskStatusCompleted, 3, "1", "Saved: "},
		{"crash-once", wire.TaskStatusCompleted, 3, "2", "starting it again for frames 2,3"},
		{"crash", wire.TaskStatusFailed, 0, "3", "did not end by itself (signal: killed); frames 1..3 are missing"},
		{"empty", wire.TaskStatusFailed, 0, "2", "frames 1..3 are missing although Blender ended with exit code 0"},
		{"empty-once", wire.TaskStatusCompleted, 3, "2", "warning: a Python script failed"},
		{"half", wire.TaskStatusFailed, 2, "1", "frames 2 are missing although Blender ended with exit code 0"},
		{"pink", wire.TaskStatusCompleted, 3, "1", "100 % of the pixels are magenta"},
		{"silent", wire.TaskStatusCompleted, 3, "1", ""},
		{"stray", wire.TaskStatusCompleted, 3, "1", "saved frame 1001, which was not asked for"},
		{"exit", wire.TaskStatusFailed, 0, "1", "no such scene"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			m := newTestManager(t)
			scene, out, data := writeScene(t), filepath.Join(t.TempDir(), "out"), t.TempDir()
			task := newTask(blenderCommandFor(c.fault, scene, out, "1..3"))
			m.enqueue(task)
			startAgent(t, m, data, nil)
			m.awaitStatus(task.Uuid, c.status)
			if log := m.logs(); !strings.Contains(log, c.log) {
				t.Errorf("the log lacks %q:\n%s", c.log, log)
			}
			if runs, _ := os.ReadFile(scene); string(runs) != c.runs {
				t.Errorf("Blender ran %s times, want %s", runs, c.runs)
			}
			checkOutputs(t, m, out, c.frames)
			if left, _ := os.ReadDir(filepath.Join(data, "tasks")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// checkOutputs looks for whole frames, all of them reported with the right digest, and nothing else.
func checkOutputs(t *testing.T, m *testManager, dir string, want int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil && want > 0 {
		t.Fatal(err)
	}
	outputs := m.outputs()
	if len(files) != want || len(outputs) != want {
		t.Errorf("%d files and %d outputs, want %d: %v", len(files), len(outputs), want, files)
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if _, err := frame.Check(path); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o := outputs[f.Name()]
		if o.Root != dir || o.Size != int64(len(text)) || o.Sha256 != fmt.Sprintf("%x", sha256.Sum256(text)) {
			t.Errorf("output of %s is %+v", f.Name(), o)
		}
	}
}

func TestWholeFramesAreSkippedAndBrokenOnesReplaced(t *testing.T) {
	m := newTestManager(t)
	scene, out := writeScene(t), t.TempDir()
	first := newTask(blenderCommandFor("good", scene, out, "1..4"))
	m.enqueue(first)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(first.Uuid, wire.TaskStatusCompleted)
	kept, err := os.Stat(filepath.Join(out, "000001.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(out, "000003.png"), 60); err != nil {
		t.Fatal(err)
	}
	again := newTask(blenderCommandFor("good", scene, out, "1..4"))
	m.enqueue(again)
	m.awaitStatus(again.Uuid, wire.TaskStatusCompleted)
	log := m.logs()
	for _, want := range []string{"frame 1 is skipped", "frame 3 is rendered again", "--render-frame 3\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if now, err := os.Stat(filepath.Join(out, "000001.png")); err != nil || !os.SameFile(kept, now) {
		t.Errorf("a whole frame was replaced: %v", err)
	}
	checkOutputs(t, m, out, 4)
	m.mu.Lock()
	defer m.mu.Unlock()
	steps := 0
	for _, u := range m.updates {
		if u.task == again.Uuid && u.StepsCompleted != nil {
			steps = *u.StepsCompleted
		}
	}
	if steps != 4 {
		t.Errorf("%d steps were counted, want 4", steps)
	}
}

func TestHungBlenderIsEnded(t *testing.T) {
	m := newTestManager(t)
	out := t.TempDir()
	task := newTask(blenderCommandFor("hang", writeScene(t), out, "1..3"))
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), func(c *Config) { c.Silence = time.Second })
	m.awaitStatus(task.Uuid, wire.TaskStatusFailed)
	if log := m.logs(); !strings.Contains(log, "wrote nothing for 1s") {
		t.Errorf("log:\n%s", log)
	}
	checkOutputs(t, m, out, 1)
}

func TestUnmanagedCommandRunsAsGiven(t *testing.T) {
	m := newTestManager(t)
	steps := 2
	c := wire.Command{Name: "blender-render", TotalStepCount: &steps, Parameters: map[string]any{
		"exe": "sh", "argsBefore": []any{"-c", `printf "Fra:1 Mem:8M Time:00:01\n Time: 00:00.33\nSkipping existing frame\n"`}, "blendfile": "", "args": []any{"-a"}}}
	task := newTask(c)
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	if log := m.logs(); !strings.Contains(log, "only Blender's exit code counts") {
		t.Errorf("log:\n%s", log)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	counted := 0
	for _, u := range m.updates {
		if u.StepsCompleted != nil {
			counted = *u.StepsCompleted
		}
	}
	if counted != 2 {
		t.Errorf("%d steps were counted, want 2", counted)
	}
}

// realBlender makes a scene with the real Blender. The tests below are of no use without it.
func realBlender(t *testing.T, setup string) (scene string) {
	t.Helper()
	if _, err := exec.LookPath("blender"); err != nil {
		t.Fatal("blender is not installed; these tests need the real one: apt-get install blender")
	}
	scene = filepath.Join(t.TempDir(), "scene.blend")
	script := `import bpy
s = bpy.context.scene
s.render.engine = 'CYCLES'
s.cycles.samples = 1
s.cycles.use_denoising = False
s.render.resolution_x, s.render.resolution_y, s.render.resolution_percentage = 64, 36, 100
` + setup + "\nbpy.ops.wm.save_as_mainfile(filepath='" + scene + "')\n"
	out, err := exec.Command("blender", "-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", script).CombinedOutput()
	if err != nil {
		t.Fatalf("make a scene: %v\n%s", err, out)
	}
	return scene
}

func TestRealBlenderRendersAndMakesAVideo(t *testing.T) {
	m := newTestManager(t)
	scene, out := realBlender(t, ""), filepath.Join(t.TempDir(), "frames")
	steps := 3
	render := wire.Command{Name: "blender-render", TotalStepCount: &steps, Parameters: map[string]any{
		"exe": "blender", "exeArgs": "-b -y", "blendfile": scene,
		"args": []any{"--python-expr", "import bpy; bpy.context.scene.render.use_overwrite = False",
			"--render-output", out + "/######", "--render-format", "PNG", "--render-frame", "1..2,5"}}}
	video := newCommand("frames-to-video", map[string]any{"exe": "ffmpeg", "fps": 24.0, "inputGlob": out + "/*.png",
		"outputFile": filepath.Join(out, "preview.mp4"), "args": []any{"-c:v", "libx264", "-pix_fmt", "yuv420p"}})
	task := newTask(render, video)
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	checkOutputs(t, m, out, 4)
	for _, name := range []string{"000001.png", "000002.png", "000005.png", "preview.mp4"} {
		if _, there := m.outputs()[name]; !there {
			t.Errorf("%s was not reported", name)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.previews) == 0 {
		t.Fatal("no preview was sent")
	}
	if img, err := jpeg.Decode(bytes.NewReader(m.previews[0])); err != nil || img.Bounds().Dx() != 64 {
		t.Errorf("the preview is %v, %v", img, err)
	}
}

func TestRealBlenderWithMissingTextureIsWarnedAbout(t *testing.T) {
	m := newTestManager(t)
	scene := realBlender(t, `
mat = bpy.data.objects['Cube'].active_material
mat.use_nodes = True
tex = mat.node_tree.nodes.new('ShaderNodeTexImage')
img = bpy.data.images.new('gone', 8, 8)
img.source = 'FILE'
img.filepath = '/no/such/texture.png'
tex.image = img
emission = mat.node_tree.nodes.new('ShaderNodeEmission')
mat.node_tree.links.new(tex.outputs['Color'], emission.inputs['Color'])
mat.node_tree.links.new(emission.outputs['Emission'], mat.node_tree.nodes['Material Output'].inputs['Surface'])
bpy.data.objects['Cube'].scale = (9, 9, 9)
bpy.data.objects['Camera'].location = (30, -28, 20)
`)
	out := t.TempDir()
	task := newTask(newCommand("blender-render", map[string]any{"exe": "blender", "exeArgs": "-b", "blendfile": scene,
		"args": []any{"-o", out + "/f_####.exr", "-F", "OPEN_EXR", "-f", "1"}}),
		newCommand("blender-render", map[string]any{"exe": "blender", "exeArgs": "-b", "blendfile": scene,
			"args": []any{"-o", out + "/p_####", "-F", "PNG", "-f", "1"}}))
	m.enqueue(task)
	startAgent(t, m, t.TempDir(), nil)
	m.awaitStatus(task.Uuid, wire.TaskStatusCompleted)
	checkOutputs(t, m, out, 2)
	if log := m.logs(); !strings.Contains(log, "how Blender paints a missing texture") {
		t.Errorf("log:\n%s", log)
	}
}
