package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// actAs names the variable that turns the test binary into a process for startFarm to start.
const actAs = "HAYLOFT_DEMO_TEST_ACT_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(actAs) {
	case "farm":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		fmt.Println("starting", strings.Join(os.Args[1:], " "))
		fmt.Println("Hayloft is at http://127.0.0.1:4711/ with 2 workers")
		<-ended
		fmt.Println("asked to end")
	case "failure":
		fmt.Fprintln(os.Stderr, "the port is in use")
		os.Exit(3)
	default:
		goleak.VerifyTestMain(m)
	}
}

func testFolder(t *testing.T) *folder {
	t.Helper()
	f, err := openFolder(filepath.Join(t.TempDir(), "demo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

func TestFarmStartsAndEnds(t *testing.T) {
	t.Setenv(actAs, "farm")
	folder := testFolder(t)
	farm, err := startFarm(t.Context(), os.Args[0], folder)
	if err != nil {
		t.Fatal(err)
	}
	if farm.url != "http://127.0.0.1:4711" {
		t.Errorf("the farm's address is %q", farm.url)
	}
	farm.stop()
	if farm.err != nil {
		t.Errorf("the farm was asked to end and should have ended well: %v", farm.err)
	}
	log, err := os.ReadFile(folder.farmLog())
	if err != nil {
		t.Fatal(err)
	}
	want := "starting up --data " + folder.data() + " --listen 127.0.0.1:0 --workers 2\n"
	if !strings.HasPrefix(string(log), want) || !strings.HasSuffix(string(log), "asked to end\n") {
		t.Errorf("the farm's log is not whole:\n%s", log)
	}
}

func TestFarmThatEndsEarlyIsReported(t *testing.T) {
	t.Setenv(actAs, "failure")
	folder := testFolder(t)
	_, err := startFarm(t.Context(), os.Args[0], folder)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), folder.farmLog()) {
		t.Errorf("want an error with the exit status and the log's place, got: %v", err)
	}
	log, _ := os.ReadFile(folder.farmLog())
	if string(log) != "the port is in use\n" {
		t.Errorf("the log holds %q", log)
	}
}

func TestFarmWithoutBinaryTellsHowToBuildIt(t *testing.T) {
	_, err := startFarm(t.Context(), filepath.Join(t.TempDir(), "hayloft"), testFolder(t))
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("want an error that says how to build it, got: %v", err)
	}
}

func TestAddressIn(t *testing.T) {
	for line, want := range map[string]string{
		"Hayloft is at http://127.0.0.1:8080/\n":              "http://127.0.0.1:8080",
		"Hayloft is at http://127.0.0.1:8080/, 2 workers\n":   "http://127.0.0.1:8080",
		"12:00 Hayloft is at https://farm.example:1/ (TLS)\n": "https://farm.example:1",
		"Hayloft is at http://[::1]:8080\n":                   "http://[::1]:8080",
		"Hayloft is at rest\n":                                "",
		"":                                                    "",
	} {
		if got, ok := addressIn(line); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", line, got, ok, want)
		}
	}
}

func TestParseSubmission(t *testing.T) {
	want := submission{JobID: "j", Status: "completed", Files: 30, FilesUploaded: 2, BytesTotal: 900, BytesUploaded: 7, Checkout: "c"}
	text := `{"progress": 3}` + "\n" +
		`{"job_id":"j","status":"completed","files":30,"files_uploaded":2,"bytes_total":900,"bytes_uploaded":7,"checkout":"c"}` + "\n\n"
	got, err := parseSubmission([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "done", `{"status":"completed"}`, `{"job_id":"j"}`, `{"job_id":"j","files":3`} {
		if _, err := parseSubmission([]byte(text)); err == nil {
			t.Errorf("%q was taken for a submission", text)
		}
	}
}

func TestFolderRefusesWhatIsNotItsOwn(t *testing.T) {
	root := t.TempDir()
	precious := filepath.Join(root, "precious.blend")
	if err := os.WriteFile(precious, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := openFolder(root); err == nil {
		f.close()
		t.Fatal("a folder with foreign content was taken")
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "precious.blend" {
		t.Errorf("the folder was touched: %v, %v", entries, err)
	}
}

func TestFolderIsClearedAndLocked(t *testing.T) {
	root := filepath.Join(t.TempDir(), "demo")
	first, err := openFolder(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(first.frames(), "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if other, err := openFolder(root); err == nil {
		other.close()
		t.Fatal("two demos share one folder")
	}
	if _, err := os.Stat(first.frames()); err != nil {
		t.Errorf("a demo that was refused removed the other's files: %v", err)
	}
	first.close()
	second, err := openFolder(root)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != markerName {
		t.Errorf("the folder was not cleared: %v, %v", entries, err)
	}
}

func TestOptions(t *testing.T) {
	var messages bytes.Buffer
	opts, err := parseOptions([]string{"-keep", "-dir", "/somewhere", "-hayloft", "/bin/hayloft"}, &messages)
	if err != nil {
		t.Fatal(err)
	}
	want := options{hayloft: "/bin/hayloft", blender: "blender", dir: "/somewhere", keep: true}
	if opts != want {
		t.Errorf("got %+v, want %+v", opts, want)
	}
	if _, err := parseOptions([]string{"-no-such-flag"}, &messages); err == nil || messages.Len() == 0 {
		t.Error("an unknown flag was taken silently")
	}
}

func TestReport(t *testing.T) {
	var text bytes.Buffer
	r := result{
		frames: []frame{{number: 1, path: "frames/000001.png", picture: gradient(320, 180)}},
		video:  "frames/scene.mp4", sheet: "contact-sheet.png", wall: 12340 * time.Millisecond, alone: 9870 * time.Millisecond,
		equalFrames: 1, first: submission{Files: 30, FilesUploaded: 30, BytesTotal: 900, BytesUploaded: 900},
		second: submission{Files: 30, BytesTotal: 900},
	}
	r.print(&text)
	for _, want := range []string{"frames/000001.png", "1 frames of 320 x 180 pixels", "frames/scene.mp4", "contact-sheet.png",
		"12.3 s", "9.9 s", "1 of 1 frames are equal", "900 bytes uploaded of 900, 30 files of 30", "0 bytes uploaded of 900, 0 files of 30"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
}
