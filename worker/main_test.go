package worker

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hayloft/worker/frame"
)

// TestMain lets the test binary stand in for other programs: a renderer with chosen faults, and a whole agent that a test
// can kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fake-blender" {
		os.Exit(fakeBlender(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 3 && os.Args[1] == "agent" {
		os.Exit(agentProcess(os.Args[2], os.Args[3]))
	}
	goleak.VerifyTestMain(m)
}

func agentProcess(managerURL, dataDir string) int {
	agent, err := New(Config{ManagerURL: managerURL, DataDir: dataDir, Name: "child", Blender: filepath.Join(dataDir, "no-blender")})
	if err == nil {
		err = agent.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// fakeBlender renders flat frames the way Blender names and announces them, with a fault. The file that stands in for the
// scene counts its runs.
func fakeBlender(fault string, args []string) int {
	request, err := frame.ParseArgs(args[1:])
	if err != nil {
		fmt.Println("Error:", err)
		return 2
	}
	runs := countRun(args[0])
	save := func(n int, write func(path string)) {
		path := request.Pattern.Path(n)
		write(path)
		fmt.Printf("Saved: '%s'\n Time: 00:00.33 (Saving: 00:00.11)\n\n", path)
	}
	whole := func(path string) { writePNG(path, color.NRGBA{R: 90, G: 120, B: 30, A: 255}) }
	for i, n := range request.Frames {
		switch {
		case fault == "empty" || (fault == "empty-once" && runs == 1):
			fmt.Println("Error: Python: no camera")
			return 0
		case fault == "crash" || (fault == "crash-once" && runs == 1 && i == 1):
			os.WriteFile(request.Pattern.Path(n), []byte("half a frame"), 0o644)
			killHard(os.Getpid())
			select {}
		case fault == "hang" && i == 1:
			select {}
		case fault == "half" && i == 1:
			save(n, func(path string) { os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n half"), 0o644) })
		case fault == "pink":
			save(n, func(path string) { writePNG(path, color.NRGBA{R: 255, B: 255, A: 255}) })
		case fault == "silent":
			whole(request.Pattern.Path(n))
		case fault == "stray" && i == 0:
			save(n+1000, whole)
			save(n, whole)
		case fault == "exit":
			fmt.Println("Error: Cannot read file: no such scene")
			return 1
		default:
			save(n, whole)
		}
	}
	return 0
}

// countRun counts the runs in the file that stands in for the scene.
func countRun(scene string) int {
	text, _ := os.ReadFile(scene)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	os.WriteFile(scene, []byte(strconv.Itoa(n+1)), 0o644)
	return n + 1
}

func writePNG(path string, c color.NRGBA) {
	img := image.NewNRGBA(image.Rect(0, 0, 16, 9))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		panic(err)
	}
}

func writeScene(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scene.blend")
	if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
