package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outputsScript leaves two large files and one whose name is that of a log.
const outputsScript = `import os, sys
data, folder = sys.argv[sys.argv.index("--") + 1:]
for name in "a.bin", "b.bin":
    with open(os.path.join(folder, name), "wb") as f:
        f.write(name.encode() * 100_000)
with open(os.path.join(folder, "log.txt"), "w") as f:
    f.write("an output")
`

// errCut is how a connection ends.
var errCut = errors.New("the cable was pulled")

// cutter is a way to a manager that carries only so many bytes of an output at a time.
type cutter struct {
	mu     sync.Mutex
	carry  int      // bytes of an answer; 0: all
	onward func()   // called when somebody asks for the rest; may be nil
	ranges []string // what was asked for
}

func (c *cutter) serve(t *testing.T, manager string) string {
	t.Helper()
	to, err := url.Parse(manager)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(answer *http.Response) error {
			if !strings.HasSuffix(answer.Request.URL.Path, "/output") {
				return nil
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			asked := answer.Request.Header.Get("Range")
			c.ranges = append(c.ranges, asked)
			if asked != "" && c.onward != nil {
				c.onward()
			}
			if c.carry > 0 {
				answer.Body = &cutBody{ReadCloser: answer.Body, left: c.carry}
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

type cutBody struct {
	io.ReadCloser
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// TestDownloadGoesOn pulls the cable again and again, interrupts the command, loses one output on the farm, and puts a file
// of another size and of other bytes in the way.
func TestDownloadGoesOn(t *testing.T) {
	t.Parallel()
	dir := arrayProject(t, outputsScript, map[string]string{"a.txt": "x"})
	f := startFarm(t, "--workers", "1")
	r := hayloft(t.Context(), "submit", "--manager", f.url, "--json", "--wait", "--script", filepath.Join(dir, "render.py"),
		"--each", filepath.Join(dir, "data", "*.txt"))
	job := lastLine[submitted](t, r)
	if r.code != 0 {
		t.Fatalf("exit code %d, %+v\n%s", r.code, job, r.stderr)
	}
	want := map[string]string{
		"0001-a/a.bin": strings.Repeat("a.bin", 100_000), "0001-a/b.bin": strings.Repeat("b.bin", 100_000), "0001-a/log.txt": "an output",
	}
	fetch := func(ctx context.Context, c *cutter, to string) result {
		return hayloft(ctx, "job", "download", "--manager", c.serve(t, f.url), "--no-logs", "--json", job.JobID, "-d", to)
	}

	cut := &cutter{carry: 120_000}
	out := filepath.Join(t.TempDir(), "cut")
	if r := fetch(t.Context(), cut, out); r.code != 0 || lastLine[downloaded](t, r).New != 3 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if diff := cmp.Diff(want, textsIn(t, out)); diff != "" {
		t.Errorf("after the cable was pulled (-want +got):\n%s", diff)
	}
	if len(cut.ranges) < 9 || len(slices.Compact(slices.Sorted(slices.Values(cut.ranges)))) < 4 {
		t.Errorf("asked for %q", cut.ranges)
	}

	ctx, interrupt := context.WithCancel(t.Context())
	out = filepath.Join(t.TempDir(), "interrupted")
	if r := fetch(ctx, &cutter{carry: 200_000, onward: interrupt}, out); r.code != 130 {
		t.Errorf("interrupted: exit code %d\n%s", r.code, r.stderr)
	}
	var goesOn []string
	for name, text := range textsIn(t, out) {
		switch whole, final := want[name]; {
		case final && text != whole:
			t.Errorf("%s has its name although it is not whole", name)
		case !final && text != "":
			goesOn = append(goesOn, fmt.Sprintf("bytes=%d-", len(text)))
		}
	}
	if err := os.WriteFile(filepath.Join(out, "0001-a", "log.txt"), []byte("an Output"), 0o644); err != nil {
		t.Fatal(err)
	}
	rest := &cutter{}
	r = fetch(t.Context(), rest, out)
	asked := slices.DeleteFunc(rest.ranges, func(one string) bool { return one == "" })
	if slices.Sort(asked); r.code != 0 || len(goesOn) == 0 || !slices.Equal(asked, slices.Sorted(slices.Values(goesOn))) {
		t.Errorf("exit code %d, asked for %q instead of %q\n%s", r.code, asked, goesOn, r.stderr)
	}
	if diff := cmp.Diff(want, textsIn(t, out)); diff != "" {
		t.Errorf("after the interruption (-want +got):\n%s", diff)
	}
	checkDownloadOfTheRest(t, f, job.JobID, want)
}

// checkDownloadOfTheRest has one output gone and one changed: the third is fetched, and both are named.
func checkDownloadOfTheRest(t *testing.T, f farm, job string, want map[string]string) {
	t.Helper()
	farm := filepath.Join(f.data, "storage", "output")
	for _, name := range filesIn(t, farm) {
		path := filepath.Join(farm, name)
		var err error
		switch filepath.Base(name) {
		case "a.bin":
			err = os.Remove(path)
		case "b.bin":
			err = os.WriteFile(path, []byte("other bytes"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "rest")
	r := hayloft(t.Context(), "job", "download", "--manager", f.url, "--by-task", "--json", job, "-d", out)
	if r.code != 5 || !strings.Contains(r.stderr, "2 of 3 outputs could not be fetched") ||
		!strings.Contains(r.stderr, "0001-a/a.bin") || !strings.Contains(r.stderr, "0001-a/b.bin: the file was changed since it was rendered") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	texts := textsIn(t, out)
	if got := texts["0001-data_a.txt/0001-a/log.txt"]; got != want["0001-a/log.txt"] || len(texts) != 4 {
		t.Errorf("fetched %d files, among them %q", len(texts), got)
	}
}
