package addon

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	noise = 20 << 20 // bytes of the shot that have to travel
	rate  = "1MB"    // a second, so that there is something to see
)

// TestOnScreen drives the panels in a Blender with a window on a display of its own. With HAYLOFT_PICTURES, a folder, the
// pictures that it takes are kept there.
func TestOnScreen(t *testing.T) {
	if os.Getenv("HAYLOFT_DISPLAY") == "" {
		t.Skip("HAYLOFT_DISPLAY=1 turns it on, as `make test` does")
	}
	f, folder, pictures := startFarm(t), t.TempDir(), picturesFolder(t)
	env := environment(t, append(f.variables(writeZip(t)), "DISPLAY="+startDisplay(t), "LIBGL_ALWAYS_SOFTWARE=1", "HAYLOFT_LIMIT_UP="+rate)...)
	blender(t, env, "--background", "--factory-startup", "--python-exit-code", "1", "--python", script(t, "shot.py"), "--", folder, fmt.Sprint(noise))
	shot := filepath.Join(folder, "shot.blend")
	for _, part := range []string{"send", "return"} {
		said := blender(t, env, "--factory-startup", "-p", "0", "0", "1100", "1000", shot, "--python", script(t, "onscreen.py"), "--", part, pictures)
		if !strings.Contains(said, part+" passed") || strings.Contains(said, "Traceback") {
			t.Fatalf("%s did not pass:\n%s", part, said)
		}
	}
	plan := checkPicture(t, filepath.Join(pictures, "plan.png"))
	progress := checkPicture(t, filepath.Join(pictures, "progress.png"))
	jobs := checkPicture(t, filepath.Join(pictures, "jobs.png"))
	for name, other := range map[string]image.Image{"progress": progress, "jobs": jobs} {
		if share := differing(plan, other); share < 0.01 {
			t.Errorf("the pictures of plan and %s differ in %.2f%% of their pixels only", name, share*100)
		}
	}
}

// blender runs Blender and returns all that it said.
func blender(t *testing.T, env []string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "blender", args...)
	command.Env, command.WaitDelay = env, patience
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("blender %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// startDisplay runs an X server without a screen until the test ends, and returns the name of its display.
func startDisplay(t *testing.T) string {
	t.Helper()
	chosen, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer chosen.Close()
	server := exec.CommandContext(t.Context(), "Xvfb", "-displayfd", "3", "-screen", "0", "1100x1000x24", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{tell}
	var log bytes.Buffer
	server.Stderr = &log
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	server.WaitDelay = patience
	if err := server.Start(); err != nil {
		t.Fatalf("start the X server: %v; .ci/setup test installs it", err)
	}
	t.Cleanup(func() { server.Wait() })
	tell.Close()
	number, err := bufio.NewReader(chosen).ReadString('\n')
	if err != nil {
		t.Fatalf("the X server gave no display: %v\n%s", err, log.String())
	}
	return ":" + strings.TrimSpace(number)
}

func picturesFolder(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("HAYLOFT_PICTURES")
	if folder == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	return folder
}

// checkPicture reads a picture and sees that it shows a whole window, and more than its background.
func checkPicture(t *testing.T, path string) image.Image {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, _, err := image.Decode(file)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	size := picture.Bounds().Size()
	if size.X < 800 || size.Y < 800 {
		t.Errorf("%s is %v, no whole window", path, size)
	}
	colours := map[any]bool{}
	for y := range size.Y {
		for x := range size.X {
			colours[picture.At(x, y)] = true
		}
	}
	if len(colours) < 50 {
		t.Errorf("%s has %d colours: nothing was drawn", path, len(colours))
	}
	return picture
}

// differing is the share of pixels that differ between two pictures of one size.
func differing(one, other image.Image) float64 {
	size, count := one.Bounds().Size(), 0
	for y := range size.Y {
		for x := range size.X {
			if one.At(x, y) != other.At(x, y) {
				count++
			}
		}
	}
	return float64(count) / float64(size.X*size.Y)
}
