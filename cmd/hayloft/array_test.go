package main

import (
	"archive/zip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// arrayScript writes a file for its data file and says what it was given. A data file that says "fail" raises an error, and
// one that says "nothing" leaves no output.
const arrayScript = `import os, sys, bpy
data, folder = sys.argv[sys.argv.index("--") + 1:]
assert (data, folder) == (os.environ["HAYLOFT_DATA"], os.environ["HAYLOFT_OUTPUT"])
text = open(data).read().strip()
print("working on", text)
print("says", text, file=sys.stderr)
if text == "fail":
    raise RuntimeError("this one fails")
if text != "nothing":
    os.makedirs(os.path.join(folder, "deep"))
    with open(os.path.join(folder, "deep", "out.txt"), "w") as f:
        f.write(text + " in " + ",".join(sorted(o.name for o in bpy.data.objects)))
`

// arrayProject writes a script and data files, by name and content, and gives the project's folder.
func arrayProject(t *testing.T, script string, data map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"render.py": script}
	for name, text := range data {
		files[filepath.Join("data", name)] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestArray runs a script for each of three files, fetches what came of it in three ways, and runs one task again here.
func TestArray(t *testing.T) {
	t.Parallel()
	dir := arrayProject(t, arrayScript, map[string]string{"a.txt": "one", "b.txt": "two", "c.txt": "three"})
	f := startFarm(t, "--workers", "2")
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", "--script", filepath.Join(dir, "render.py"),
		"--each", filepath.Join(dir, "data", "*.txt"))
	job := lastLine[submitted](t, r)
	if r.code != 0 || job.Status != "completed" || job.Name != "render" || job.Files != 4 {
		t.Fatalf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	want := map[string]string{
		"0001-a/deep/out.txt": "one in Camera,Cube,Light", "0002-b/deep/out.txt": "two in Camera,Cube,Light",
		"0003-c/deep/out.txt": "three in Camera,Cube,Light",
	}
	flat := filepath.Join(t.TempDir(), "flat")
	if r := hayloft(t.Context(), "job", "download", "--manager", f.url, job.JobID, "-d", flat); r.code != 0 {
		t.Fatal(r.stderr)
	}
	texts := textsIn(t, flat)
	checkLogs(t, texts, "logs/")
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("downloaded (-want +got):\n%s", diff)
	}
	checkArrayByTask(t, f, job.JobID, want)
	checkArrayZip(t, f, job.JobID, want)
	checkLocalRun(t, f, job.JobID, dir)
}

// textsIn reads all files below a folder.
func textsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, name := range filesIn(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.ToSlash(name)] = string(text)
	}
	return texts
}

// byTask is where the outputs of an array lie if each task has its folder.
func byTask(outputs map[string]string) map[string]string {
	moved := map[string]string{}
	for name, text := range outputs {
		number, _, _ := strings.Cut(name, "-")
		stem, _, _ := strings.Cut(strings.TrimPrefix(name, number+"-"), "/")
		moved[number+"-data_"+stem+".txt/"+name] = text
	}
	return moved
}

// checkLogs takes the logs of the three tasks out of texts. Each stream must have what the script wrote to it for its data
// file, and nothing of the other.
func checkLogs(t *testing.T, texts map[string]string, below string) {
	t.Helper()
	for i, word := range []string{"one", "two", "three"} {
		folder := fmt.Sprintf("%s%04d-data_%c.txt/", below, i+1, 'a'+i)
		log, stdout, stderr := texts[folder+"log.txt"], texts[folder+"stdout.txt"], texts[folder+"stderr.txt"]
		if !strings.Contains(log, " > working on "+word+"\n") || !strings.Contains(log, " 2> says "+word+"\n") || !strings.Contains(log, "going to run: ") {
			t.Errorf("the log in %s is %q", folder, log)
		}
		if !strings.Contains("\n"+stdout, "\nworking on "+word+"\n") || strings.Contains(stdout, "says") || strings.Contains(stdout, "pid=") {
			t.Errorf("standard output in %s is %q", folder, stdout)
		}
		if !strings.Contains("\n"+stderr, "\nsays "+word+"\n") || strings.Contains(stderr, "working") || strings.Contains(stderr, "pid=") {
			t.Errorf("standard error in %s is %q", folder, stderr)
		}
		for _, name := range []string{"log.txt", "stdout.txt", "stderr.txt"} {
			delete(texts, folder+name)
		}
	}
}

func checkArrayByTask(t *testing.T, f farm, job string, want map[string]string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tasks")
	for range 2 { // the second time nothing is fetched again
		if r := hayloft(t.Context(), "job", "download", "--manager", f.url, "--by-task", job, "-d", dir); r.code != 0 {
			t.Fatal(r.stderr)
		}
		texts := textsIn(t, dir)
		checkLogs(t, texts, "")
		if diff := cmp.Diff(byTask(want), texts); diff != "" {
			t.Errorf("downloaded by task (-want +got):\n%s", diff)
		}
	}
}

func checkArrayZip(t *testing.T, f farm, job string, want map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.zip")
	if r := hayloft(t.Context(), "job", "download", "--manager", f.url, job, "--zip", path); r.code != 0 {
		t.Fatal(r.stderr)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	texts := map[string]string{}
	for _, file := range archive.File {
		if stored := file.Method == zip.Store; stored != strings.HasSuffix(file.Name, "/out.txt") {
			t.Errorf("%s has the method %d", file.Name, file.Method)
		}
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[file.Name] = string(text)
	}
	checkLogs(t, texts, "")
	if diff := cmp.Diff(byTask(want), texts); diff != "" {
		t.Errorf("the zip (-want +got):\n%s", diff)
	}
	if left := filesIn(t, filepath.Dir(path)); !slices.Equal(left, []string{"all.zip"}) {
		t.Errorf("left behind: %q", left)
	}
}

// checkLocalRun runs the second task here, with the project and the farm's storage out of reach of it.
func checkLocalRun(t *testing.T, f farm, job, project string) {
	t.Helper()
	if err := os.RemoveAll(project); err != nil {
		t.Fatal(err)
	}
	before := textsIn(t, filepath.Join(f.data, "storage", "output"))
	dir := filepath.Join(t.TempDir(), "try")
	r := hayloft(t.Context(), "run-task", "--manager", f.url, "--json", "--job", job, "--index", "2", "-d", dir)
	done := lastLine[ranLocally](t, r)
	if r.code != 0 || done.Status != "completed" || done.Steps != 1 || len(done.Outputs) != 1 || done.Outputs[0].SHA256 != done.Outputs[0].Farm {
		t.Fatalf("exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
	got := textsIn(t, filepath.Join(dir, "output"))
	if len(got) != 1 || !slices.Equal(slices.Collect(maps.Values(got)), []string{"two in Camera,Cube,Light"}) {
		t.Errorf("it left %v", got)
	}
	for file, says := range map[string][]string{
		done.Log: {" > working on two\n", " 2> says two\n", filepath.Join(dir, "jobs")}, done.Stdout: {"\nworking on two\n"}, done.Stderr: {"\nsays two\n"},
	} {
		text, err := os.ReadFile(file)
		for _, one := range says {
			if err != nil || !strings.Contains("\n"+string(text), one) {
				t.Errorf("%v, %s is\n%s", err, file, text)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".running-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if diff := cmp.Diff(before, textsIn(t, filepath.Join(f.data, "storage", "output"))); diff != "" {
		t.Errorf("the farm's own outputs changed:\n%s", diff)
	}
}

// TestArrayFails holds that an exit code of 0 without an output is a failure, and so is an error in the script.
func TestArrayFails(t *testing.T) {
	t.Parallel()
	dir := arrayProject(t, arrayScript, map[string]string{"a.txt": "nothing", "b.txt": "fail"})
	f := startFarm(t, "--workers", "1", "--task-attempts", "1")
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", "--script", filepath.Join(dir, "render.py"),
		"--each", filepath.Join(dir, "data", "*.txt"))
	job := lastLine[submitted](t, r)
	if r.code != 3 || job.Status != "failed" {
		t.Fatalf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	for index, says := range map[string]string{"1": "there is no output although Blender ended with exit code 0", "2": "this one fails"} {
		try := filepath.Join(t.TempDir(), "try")
		r := hayloft(t.Context(), "run-task", "--manager", f.url, "--json", "--job", job.JobID, "--index", index, "-d", try)
		done := lastLine[ranLocally](t, r)
		log, err := os.ReadFile(done.Log)
		if r.code != 3 || done.Status != "failed" || len(done.Outputs) != 0 || err != nil || !strings.Contains(done.Why+string(log), says) {
			t.Errorf("task %s: exit code %d, %+v, %v\n%s", index, r.code, done, err, log)
		}
	}
	if files := filesIn(t, filepath.Join(f.data, "storage", "output")); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

// TestArrayRendersFrames has Blender render after the script, from a scene of the project, which the script changes.
func TestArrayRendersFrames(t *testing.T) {
	t.Parallel()
	blend := project(t, 2)
	dir := filepath.Dir(blend)
	script := "import bpy\nbpy.context.scene.render.resolution_x = 32\nbpy.context.scene.render.resolution_y = 16\n"
	if err := os.WriteFile(filepath.Join(dir, "small.py"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "only.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := startFarm(t, "--workers", "1")
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", "--script", filepath.Join(dir, "small.py"),
		"--each", filepath.Join(dir, "*.txt"), blend, "--setting", "frames=1-2", "--setting", "format=PNG")
	job := lastLine[submitted](t, r)
	if r.code != 0 || job.Files != 5 {
		t.Fatalf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	out := filepath.Join(t.TempDir(), "out")
	if r := hayloft(t.Context(), "job", "download", "--manager", f.url, "--no-logs", job.JobID, "-d", out); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if diff := cmp.Diff([]string{"0001-only/000001.png", "0001-only/000002.png"}, filesIn(t, out)); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if size := decode(t, filepath.Join(out, "0001-only", "000002.png")).size; size.X != 32 || size.Y != 16 {
		t.Errorf("the frame has %v pixels", size)
	}
}
