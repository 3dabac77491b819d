package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunTask renders a job whose results are posted, and then the same tasks on this machine: the pixels are equal.
func TestRunTask(t *testing.T) {
	t.Parallel()
	scene := project(t, 2)
	posted := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 {
			t.Errorf("%d bytes came: %v", len(body), err)
		}
		posted <- r.Header.Get("Hayloft-Path")
	}))
	t.Cleanup(server.Close)
	f := startFarm(t, "--workers", "1")
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", scene, "--setting", "frames=1-2", "--setting", "chunk_size=2",
		"--post-results", server.URL)
	job := lastLine[submitted](t, r)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	for _, want := range []string{"000001.png", "000002.png", "scene-1-2.mp4"} {
		if got := <-posted; got != want {
			t.Errorf("%q was posted instead of %q", got, want)
		}
	}
	farm := filepath.Join(t.TempDir(), "farm")
	if r := hayloft(t.Context(), "job", "download", "--manager", f.url, job.JobID, "-d", farm); r.code != 0 {
		t.Fatal(r.stderr)
	}
	dir := filepath.Join(t.TempDir(), "try")
	r = hayloft(t.Context(), "run-task", "--manager", f.url, "--json", "--job", job.JobID, "--index", "1", "-d", dir)
	done := lastLine[ranLocally](t, r)
	if r.code != 0 || len(done.Outputs) != 2 {
		t.Fatalf("exit code %d, %+v\n%s", r.code, done, r.stderr)
	}
	for _, o := range done.Outputs {
		name := filepath.Base(filepath.FromSlash(o.Path))
		if o.Farm == "" || decode(t, filepath.Join(dir, filepath.FromSlash(o.Path))) != decode(t, filepath.Join(farm, name)) {
			t.Errorf("%s differs from the farm's: %+v", name, o)
		}
	}
	// The video is made of the frames that are in the folder by now, or else of the farm's.
	for _, dir := range []string{dir, filepath.Join(t.TempDir(), "alone")} {
		r = hayloft(t.Context(), "run-task", "--manager", f.url, "--json", "--job", job.JobID, "--index", "2", "-d", dir)
		video := lastLine[ranLocally](t, r)
		if r.code != 0 || len(video.Outputs) != 1 || !strings.HasSuffix(video.Outputs[0].Path, ".mp4") {
			t.Fatalf("the video: exit code %d, %+v\n%s", r.code, video, r.stderr)
		}
		for _, o := range done.Outputs {
			want := o.SHA256
			if filepath.Base(dir) == "alone" {
				want = o.Farm
			}
			if is, err := digestOf(filepath.Join(dir, filepath.FromSlash(o.Path))); err != nil || is.String() != want {
				t.Errorf("%s in %s is %s, %v; rendered here %s, on the farm %s", o.Path, dir, is, err, o.SHA256, o.Farm)
			}
		}
	}
}

func TestReadsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out", "0001.png")
	dir := filepath.Dir(file)
	for input, reads := range map[string]bool{
		file: true, dir: true, filepath.Dir(dir): true, filepath.Join(dir, "*.png"): true, filepath.Join(dir, "*.exr"): false,
		filepath.Join(dir, "0002.png"): false, file + "x": false, filepath.Join(filepath.Dir(dir), "*.png"): false, "0001.png": false, "": false, "[": false,
	} {
		if readsFile(input, file) != reads {
			t.Errorf("%q reads %q: want %v", input, file, reads)
		}
	}
}

// TestRunTaskKeepsToItsFolder has a job whose frames go elsewhere than to the farm's output folder.
func TestRunTaskKeepsToItsFolder(t *testing.T) {
	t.Parallel()
	scene := project(t, 1)
	f := startFarm(t, "--workers", "0")
	elsewhere := t.TempDir()
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--paused", scene, "--setting", "frames=1",
		"--setting", "render_output_root="+elsewhere)
	job := lastLine[submitted](t, r)
	r = hayloft(t.Context(), "run-task", "--manager", f.url, "--job", job.JobID, "--index", "1", "-d", filepath.Join(t.TempDir(), "try"))
	if r.code != 1 || !strings.Contains(r.stderr, "the task writes outside of the folders that it was given") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if left := filesIn(t, elsewhere); len(left) > 0 {
		t.Errorf("it wrote %q", left)
	}
}
