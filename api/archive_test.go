package api_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"hayloft/api/wire"
	"hayloft/cas"
)

// TestJobArchive has outputs that lie where they should, are gone, are not to be shown, and bear awkward names.
func TestJobArchive(t *testing.T) {
	f := newFarm(t)
	job := f.submit(func(j *wire.SubmittedJob) { j.Name = `sh/ot: "1"` })
	w := f.worker(0)
	task := try(w.Claim(t.Context()))(t)
	root := filepath.Join(f.storage, "output", "shot")
	outside := filepath.Join(t.TempDir(), "secret.png")
	must(t, os.WriteFile(outside, []byte("secret"), 0o644))
	outputs := *produce(t, root, "0001.png", "a?b.png", "gone.png")
	outputs = append(outputs, *produce(t, filepath.Join(root, "other"), "0001.png")...)
	outputs = append(outputs, wire.ProducedOutput{Root: filepath.Dir(outside), Path: "secret.png", Size: 6, Sha256: strings.Repeat("a", 64)})
	must(t, os.Remove(filepath.Join(root, "gone.png")))
	log := "a line\n"
	must(t, w.UpdateTask(t.Context(), task.Uuid, wire.TaskUpdate{Outputs: &outputs, Log: &log}))

	resp, body := f.do("GET", "/api/v3/jobs/"+job.Id.String()+"/outputs.zip", nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Disposition") != `attachment; filename="sh_ot_ _1_.zip"` {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	archive := try(zip.NewReader(bytes.NewReader(body), int64(len(body))))(t)
	got := map[string]string{}
	for _, file := range archive.File {
		r := try(file.Open())(t)
		got[file.Name] = string(try(io.ReadAll(r))(t))
	}
	folder := "0001-" + task.Name + "/"
	want := map[string]string{
		folder + "0001.png": "0001.png", folder + "a_b.png": "a?b.png", folder + "2/0001.png": "0001.png", folder + "log.txt": log,
		"missing.txt": folder + "secret.png\n" + folder + "gone.png\n",
	}
	got["missing.txt"] = sortedLines(got["missing.txt"])
	want["missing.txt"] = sortedLines(want["missing.txt"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if resp, body := f.do("GET", "/api/v3/jobs/"+uuid.NewString()+"/outputs.zip", nil); resp.StatusCode != 404 {
		t.Errorf("no such job: %d %s", resp.StatusCode, body)
	}
}

// TestJobFiles reads a checkout back, and says of a job without one that there is none.
func TestJobFiles(t *testing.T) {
	f := newFarm(t)
	c, ctx := f.client(), t.Context()
	want := []wire.ShamanFileSpec{}
	for _, name := range []string{"deep/er/b.txt", "scene.blend"} {
		blob := cas.Blob{Digest: cas.SumBytes([]byte(name)), Size: int64(len(name))}
		try(c.Upload(ctx, blob, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(name)), nil }, nil))(t)
		want = append(want, wire.ShamanFileSpec{Sha: blob.Digest.String(), Size: blob.Size, Path: name})
	}
	name := try(c.Checkout(ctx, "film/shot", want))(t)
	with := func(checkout string) wire.Job {
		return f.submit(func(j *wire.SubmittedJob) { j.Storage = &wire.JobStorageInfo{ShamanCheckoutId: &checkout} })
	}
	var listed wire.JobFiles
	f.json("GET", "/api/v3/jobs/"+with(name).Id.String()+"/files", nil, &listed, 200)
	if diff := cmp.Diff(wire.JobFiles{Checkout: name, Files: want}, listed); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	must(t, os.Symlink("/etc/passwd", filepath.Join(f.storage, "jobs", name, "link")))
	for what, id := range map[string]uuid.UUID{
		"no checkout": f.submit().Id, "no such checkout": with("elsewhere").Id, "a folder of checkouts": with("film").Id,
		"what leads elsewhere": with(name).Id, "no such job": uuid.New(),
	} {
		if resp, body := f.do("GET", "/api/v3/jobs/"+id.String()+"/files", nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", what, resp.StatusCode, body)
		}
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
