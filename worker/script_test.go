package worker

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hayloft/api/wire"
)

// scriptTask is a blender-script command in whose place a shell runs commands.
func scriptTask(t *testing.T, root, commands string, more map[string]any) wire.AssignedTask {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"render.py", "data.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	parameters := map[string]any{
		"exe": "sh", "exeArgs": quoteWords([]string{"-c", commands, "sh"}), "blendfile": "", "script": filepath.Join(dir, "render.py"),
		"data": filepath.Join(dir, "data.txt"), "outputRoot": root, "outputName": "0001-data", "frames": "", "format": "",
	}
	maps.Copy(parameters, more)
	return newTask(newCommand("blender-script", parameters))
}

// runLocally runs a task and gives the result and the log.
func runLocally(t *testing.T, ctx context.Context, task wire.AssignedTask, root string) (LocalResult, string, error) {
	t.Helper()
	var log bytes.Buffer
	data := t.TempDir()
	result, err := RunLocal(ctx, Local{Task: task, DataDir: data, Outputs: root, Log: &log})
	if left, _ := os.ReadDir(filepath.Join(data, "tasks")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	return result, log.String(), err
}

func TestScriptOutputsDecide(t *testing.T) {
	for name, test := range map[string]struct {
		commands string
		more     map[string]any
		fails    string // empty: it succeeds
	}{
		"one file":        {commands: `echo hello >"$HAYLOFT_OUTPUT/a.txt"`},
		"a file deep":     {commands: `mkdir -p "$HAYLOFT_OUTPUT/b" && cp "$HAYLOFT_DATA" "$HAYLOFT_OUTPUT/b/a.txt"`},
		"last arguments":  {commands: `for last; do :; done; echo x >"$last/a.txt"`},
		"frames":          {commands: `echo x >"$HAYLOFT_OUTPUT/000003.tga"; echo x >"$HAYLOFT_OUTPUT/000004_L.tga"`, more: map[string]any{"frames": "3,4"}},
		"exit code":       {commands: `echo x >"$HAYLOFT_OUTPUT/a.txt"; echo "Error: no such scene"; exit 1`, fails: "no such scene"},
		"exception":       {commands: `printf 'Error: Python: Traceback (most recent call last):\n  File "x.py"\nRuntimeError: Error: no denoiser\n'; echo "Fra:1 Mem:1M"; echo "Error: script failed, file: x.py"; exit 1`, fails: `"RuntimeError: Error: no denoiser"`},
		"two exceptions":  {commands: `printf 'Traceback (most recent call last):\nKeyError: 1\n\nTraceback (most recent call last):\nmy.farm.Error\n' >&2; exit 1`, fails: `"my.farm.Error"`},
		"script failed":   {commands: `echo "Error: script failed, file: x.py"; exit 1`, fails: `"Error: script failed, file: x.py"`},
		"crash":           {commands: `echo x >"$HAYLOFT_OUTPUT/a.txt"; kill -9 $$`, fails: "did not end by itself"},
		"nothing":         {commands: "true", fails: "there is no output although Blender ended with exit code 0"},
		"an empty folder": {commands: `mkdir "$HAYLOFT_OUTPUT/b"`, fails: "there is no output"},
		"an empty file":   {commands: `echo x >"$HAYLOFT_OUTPUT/a.txt"; : >"$HAYLOFT_OUTPUT/b.txt"`, fails: "it is empty"},
		"half an image":   {commands: `echo x >"$HAYLOFT_OUTPUT/a.txt"; echo x >"$HAYLOFT_OUTPUT/b.png"`, fails: "not a whole image"},
		"a link":          {commands: `ln -s /etc/passwd "$HAYLOFT_OUTPUT/a.txt"`, fails: "it is not a regular file"},
		"a missing frame": {commands: `echo x >"$HAYLOFT_OUTPUT/000003.tga"`, more: map[string]any{"frames": "3..5"}, fails: "frames 4,5 are missing"},
		"no script":       {commands: "true", more: map[string]any{"script": "/nowhere/x.py"}, fails: "the file /nowhere/x.py is not there"},
		"no data":         {commands: "true", more: map[string]any{"data": ""}, fails: `parameter "data" must be`},
		"a way out":       {commands: "true", more: map[string]any{"outputName": "../x"}, fails: `"outputName" must be a path below`},
		"bad frames":      {commands: "true", more: map[string]any{"frames": "x"}, fails: `parameter "frames"`},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "out")
			result, log, err := runLocally(t, t.Context(), scriptTask(t, root, test.commands, test.more), root)
			switch {
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Fatalf("got %v\n%s", err, log)
			case test.fails != "":
				if _, err := os.Stat(root); err == nil || len(result.Outputs) > 0 {
					t.Errorf("outputs of a task that failed: %v", result.Outputs)
				}
				return
			case err != nil || result.Steps != 1 || len(result.Outputs) == 0:
				t.Fatalf("%v, %+v\n%s", err, result, log)
			}
			for _, o := range result.Outputs {
				info, err := os.Stat(filepath.Join(o.Root, filepath.FromSlash(o.Path)))
				if err != nil || info.Size() != o.Size || o.Root != root || !strings.HasPrefix(o.Path, "0001-data/") {
					t.Errorf("%+v: %v", o, err)
				}
			}
		})
	}
}

func TestInputs(t *testing.T) {
	task := newTask(
		newCommand("make-directory", map[string]any{"path": "/made"}),
		newCommand("blender-render", map[string]any{"args": []any{"--render-output", "/out/######"}}),
		newCommand("frames-to-video", map[string]any{"inputGlob": "/out/*.png", "outputFile": "/out/a.mp4"}),
		newCommand("exec", map[string]any{"exe": "oiiotool", "args": []any{"/out/0001.exr", 5.0}}),
		newCommand("copy-file", map[string]any{"src": "/from", "dest": "/to"}),
		newCommand("move-directory", map[string]any{"src": 5.0}),
	)
	if diff := cmp.Diff([]string{"/out/*.png", "/out/0001.exr", "5", "/from"}, Inputs(task)); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
}

// TestScriptCommandLine holds the order in which Blender is told what to do.
func TestScriptCommandLine(t *testing.T) {
	root := t.TempDir()
	for name, test := range map[string]struct {
		more map[string]any
		want []string // DATA, SCRIPT and OUT stand for paths
	}{
		"script alone": {nil, []string{"--factory-startup", "--python-exit-code", "1", "--python", "SCRIPT", "--", "DATA", "OUT"}},
		"scene and frames": {map[string]any{"blendfile": os.Args[0], "frames": "1..3", "format": "PNG"}, []string{os.Args[0], "--python-exit-code", "1",
			"--python", "SCRIPT", "--render-output", "OUT/######", "--render-format", "PNG", "--render-frame", "1..3", "--", "DATA", "OUT"}},
	} {
		t.Run(name, func(t *testing.T) {
			task := scriptTask(t, root, "", test.more)
			x := &execution{dir: t.TempDir()}
			s, err := parseScript(x, params{task.Commands[0]})
			if err != nil {
				t.Fatal(err)
			}
			names := strings.NewReplacer("SCRIPT", task.Commands[0].Parameters["script"].(string), "DATA", s.data, "OUT", s.staging)
			want := []string{}
			for _, word := range test.want {
				want = append(want, names.Replace(word))
			}
			if diff := cmp.Diff(want, s.arguments()[4:]); diff != "" { // sh -c COMMANDS sh
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLocalRunReportsWhatAWorkerWould(t *testing.T) {
	root := t.TempDir()
	scene := writeScene(t)
	task := newTask(newCommand("echo", map[string]any{"message": "hello"}), blenderCommandFor("crash-once", scene, root, "1..3"))
	result, log, err := runLocally(t, t.Context(), task, root)
	if err != nil || result.Steps != 4 || len(result.Outputs) != 3 {
		t.Fatalf("%v, %+v\n%s", err, result, log)
	}
	if !strings.Contains(log, "echo: \"hello\"\n") || !strings.Contains(log, "starting it again for frames 2,3") {
		t.Errorf("the log is\n%s", log)
	}
	names := []string{}
	for _, o := range result.Outputs {
		names = append(names, o.Path)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"000001.png", "000002.png", "000003.png"}) {
		t.Errorf("outputs %q", names)
	}
}

func TestLocalRunStaysInItsFolder(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	for _, c := range []wire.Command{
		blenderCommandFor("good", writeScene(t), elsewhere, "1"),
		newCommand("frames-to-video", map[string]any{"outputFile": filepath.Join(elsewhere, "a.mp4")}),
		newCommand("make-directory", map[string]any{"path": root + "/../x"}),
		newCommand("move-directory", map[string]any{"src": elsewhere, "dest": filepath.Join(root, "x")}),
		newCommand("copy-file", map[string]any{"src": root, "dest": elsewhere}),
		scriptTask(t, elsewhere, `echo x >"$HAYLOFT_OUTPUT/a.txt"`, nil).Commands[0],
	} {
		_, log, err := runLocally(t, t.Context(), newTask(newCommand("echo", map[string]any{"message": "ran"}), c), root)
		if !errors.Is(err, ErrWritesElsewhere) || log != "" {
			t.Errorf("%s: %v, %s", c.Name, err, log)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("written elsewhere: %v, %v", left, err)
	}
}

// lineWatcher tells of the first line.
type lineWatcher chan struct{}

func (w lineWatcher) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("> started\n")) {
		close(w)
	}
	return len(p), nil
}

func TestLocalRunEndsWithItsContext(t *testing.T) {
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	started := make(lineWatcher)
	done := make(chan error, 1)
	go func() {
		_, err := RunLocal(ctx, Local{Task: scriptTask(t, root, "echo started; exec sleep 600", nil), DataDir: t.TempDir(), Outputs: root, Log: started})
		done <- err
	}()
	<-started
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
