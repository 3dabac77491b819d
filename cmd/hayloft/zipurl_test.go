package main

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zipped is a zip of a folder, below a folder of its own, with further members by name and content.
func zipped(t *testing.T, dir string, more map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	to := zip.NewWriter(&archive)
	add := func(name string, text []byte) {
		entry, err := to.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range filesIn(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		add("film/"+filepath.ToSlash(name), text)
	}
	for name, text := range more {
		add(name, []byte(text))
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// TestSubmitURL submits a project that lies on a web server, and archives that are none.
func TestSubmitURL(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	scene := project(t, 1)
	dir := filepath.Dir(scene)
	whole := zipped(t, dir, map[string]string{"film/render.py": "pass"})
	archives := map[string][]byte{
		"/shot.zip": whole, "/slip.zip": zipped(t, dir, map[string]string{"../evil.txt": "x"}), "/cut.zip": whole[:len(whole)/2],
		"/none.zip": zipped(t, t.TempDir(), map[string]string{"a.txt": "x"}),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch archive, there := archives[r.URL.Path]; {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/shot.zip", http.StatusFound)
		case r.URL.Path == "/circle":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case !there:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(archive)
		}
	}))
	t.Cleanup(server.Close)
	f := startFarm(t, "--workers", "0")
	submit := func(path string) result {
		return hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--paused", "--setting", "frames=1", server.URL+path)
	}
	for _, path := range []string{"/shot.zip?token=1", "/moved"} {
		r := submit(path)
		if job := lastLine[submitted](t, r); r.code != 0 || job.Files != 3 || job.Name != "scene" {
			t.Errorf("%s: exit code %d, %+v\n%s", path, r.code, job, r.stderr)
		}
	}
	// The script and what it works on may come in the archive, too.
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--paused", "--script", "film/render.py", "--each", "film/textures/*.png", server.URL+"/shot.zip")
	if job := lastLine[submitted](t, r); r.code != 0 || job.Files != 4 {
		t.Errorf("an array: exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	for path, says := range map[string]string{
		"/slip.zip": "unusable path", "/cut.zip": "cut short or is damaged", "/none.zip": "it holds no .blend file",
		"/absent.zip": "its server answered 404 Not Found", "/circle": "pointed elsewhere more than 5 times",
	} {
		if r := submit(path); r.code == 0 || r.stdout != "" || !strings.Contains(r.stderr, says) {
			t.Errorf("%s: exit code %d\n%s", path, r.code, r.stderr)
		}
	}
	left, err := filepath.Glob(filepath.Join(temporary, "hayloft-archive-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
