package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"hayloft/cmd/cli"
)

// result is what one command line gave.
type result struct {
	code           int
	stdout, stderr string
}

// hayloft runs a command line in this process.
func hayloft(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, cli.Environment{Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }})
	return result{code, stdout.String(), stderr.String()}
}

// lastLine decodes the last line of standard output.
func lastLine[T any](t *testing.T, r result) T {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var value T
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &value); err != nil {
		t.Fatalf("the last line is no JSON: %v\nexit code %d\n%s\n%s", err, r.code, r.stdout, r.stderr)
	}
	return value
}

// farm is a `hayloft up` in this process.
type farm struct {
	url  string
	data string
}

// startFarm runs a farm until the test ends; it must then end well. The log is shown when the test failed.
func startFarm(t *testing.T, args ...string) farm {
	t.Helper()
	f := farm{data: filepath.Join(t.TempDir(), "data")}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	stdout, said := io.Pipe()
	log := &logBuffer{}
	ended := make(chan int, 1)
	go func() {
		all := append([]string{"up", "--data", f.data, "--listen", "127.0.0.1:0"}, args...)
		code := run(ctx, cli.Environment{Args: all, Stdout: said, Stderr: log, Getenv: func(string) string { return "" }})
		said.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("the farm ended with exit code %d", code)
		}
		if t.Failed() {
			t.Logf("the farm's log:\n%s", log.text())
		}
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !addressLine.MatchString(lines.Text()) {
		t.Fatalf("the farm gave no address but %q", lines.Text())
	}
	f.url = addressLine.FindStringSubmatch(lines.Text())[1]
	return f
}

// logBuffer takes in what several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// variablesFile writes a configuration with values for variables and returns its path.
func variablesFile(t *testing.T, values map[string]string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"variables": values})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "hayloft.yaml", string(text), 0o644) // JSON is YAML
}

func writeFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// project makes a project of a scene, a linked library and a texture with Blender, and returns the scene's path.
func project(t *testing.T, frames int) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "blender", "-b", "--factory-startup", "--python-exit-code", "1",
		"-P", filepath.Join("testdata", "project.py"), "--", dir, strconv.Itoa(frames))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a project with Blender: %v; `make test` installs Blender where it may\n%s", err, out)
	}
	return filepath.Join(dir, "scene.blend")
}

// picture is a decoded image.
type picture struct {
	size   image.Point
	pixels string
}

// decode reads an image down to its pixels: files of equal pictures differ by the times that are written into them.
func decode(t *testing.T, path string) picture {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoded, _, err := image.Decode(file)
	if err != nil {
		t.Fatalf("%s does not decode: %v", path, err)
	}
	bounds := decoded.Bounds()
	var pixels strings.Builder
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, a := decoded.At(x, y).RGBA()
			fmt.Fprint(&pixels, r, g, b, a, ";")
		}
	}
	return picture{bounds.Size(), pixels.String()}
}

// renderAlone renders frames with Blender alone, outside of any farm.
func renderAlone(t *testing.T, blend string, frames int) []picture {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "blender", "-b", "-y", blend, "--render-output", filepath.Join(dir, "######"),
		"--render-format", "PNG", "--render-frame", fmt.Sprintf("1..%d", frames))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rendering the reference: %v\n%s", err, out)
	}
	pictures := make([]picture, frames)
	for i := range frames {
		pictures[i] = decode(t, filepath.Join(dir, frameName(i+1)))
	}
	return pictures
}

func frameName(number int) string { return fmt.Sprintf("%06d.png", number) }

// filesIn lists all files below a folder by their paths in it, sorted.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// checkOutput finds exactly the frames and the video in one folder below the output folder of a farm; it returns that folder.
func checkOutput(t *testing.T, data string, want []picture) string {
	t.Helper()
	output := filepath.Join(data, "storage", "output")
	files := filesIn(t, output)
	if len(files) == 0 {
		t.Fatal("the output folder is empty")
	}
	folder := filepath.ToSlash(filepath.Dir(files[0]))
	expected := []string{fmt.Sprintf("%s/scene-1-%d.mp4", folder, len(want))}
	for i := range want {
		expected = append(expected, folder+"/"+frameName(i+1))
	}
	slices.Sort(expected)
	if !slices.Equal(files, expected) {
		t.Fatalf("the output folder holds %q, want %q", files, expected)
	}
	dir := filepath.Join(output, folder)
	for i, picture := range want {
		if decode(t, filepath.Join(dir, frameName(i+1))) != picture {
			t.Errorf("frame %d is not the picture that Blender renders alone", i+1)
		}
	}
	return dir
}

func mustJob(t *testing.T, text string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
