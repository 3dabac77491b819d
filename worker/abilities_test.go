package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeBlender makes a program that stands in for a Blender: it counts its runs in a file beside it and then does as the
// script says.
func writeBlender(t *testing.T, path, script string) {
	t.Helper()
	text := fmt.Sprintf("#!/bin/sh\necho run >> '%s.runs'\n%s\n", path, script)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func runsOf(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path + ".runs")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "run")
}

func TestABlenderAnswers(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string
		complaint    string
	}{
		{"once", `echo 'HAYLOFT-ABILITIES ["usd", "blender:4.2.1"]'`, []string{"blender:4.2.1", "usd"}, ""},
		{"between other lines", `echo loading; echo '00:01 python | HAYLOFT-ABILITIES ["usd"]'; echo Blender quit >&2`, []string{"usd"}, ""},
		{"in parts", `echo 'HAYLOFT-ABILITIES ["usd", "gpu"]'; echo 'HAYLOFT-ABILITIES ["gpu"]'`, []string{"gpu", "usd"}, ""},
		{"and crashes", `echo 'HAYLOFT-ABILITIES ["usd"]'; kill -SEGV $$`, []string{"usd"}, ""},
		{"nothing", `echo 'HAYLOFT-ABILITIES []'`, []string{}, ""},
		{"not at all", `echo 'Error: no display'`, nil, `it printed no answer; the last line that it printed is "Error: no display"`},
		{"with half an answer", `printf 'HAYLOFT-ABILITIES ["usd'`, nil, "it printed no answer"},
		{"with an exit code", `exit 7`, nil, "exit code 7"},
		{"by crashing", `kill -SEGV $$`, nil, "did not end by itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			exe := filepath.Join(dir, "blender")
			writeBlender(t, exe, c.script)
			got, err := AskBlender(t.Context(), exe, filepath.Join(dir, "data"))
			if c.complaint != "" {
				if err == nil || !strings.Contains(err.Error(), c.complaint) {
					t.Errorf("got error %v, want %q in it", err, c.complaint)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.Abilities); d != "" {
				t.Errorf("abilities: -want +got\n%s", d)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "data", "ask-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestAnswersAreKept asks one Blender again and again: it runs only when its file, the day or the kept answer changed.
func TestAnswersAreKept(t *testing.T) {
	dir := t.TempDir()
	exe, data := filepath.Join(dir, "blender"), filepath.Join(dir, "data")
	writeBlender(t, exe, `echo 'HAYLOFT-ABILITIES ["usd"]'`)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	q := blenderQuestion{keep: data, temp: data, now: func() time.Time { return now }}
	wants := func(what string, runs int, abilities ...string) {
		t.Helper()
		got, err := q.ask(t.Context(), exe)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(abilities, got.Abilities); d != "" || runsOf(t, exe) != runs {
			t.Errorf("%s: Blender ran %d times, want %d; abilities: -want +got\n%s", what, runsOf(t, exe), runs, d)
		}
	}
	wants("first", 1, "usd")
	wants("again", 1, "usd")
	now = now.Add(answerAge - time.Second)
	wants("at the end of the day", 1, "usd")
	now = now.Add(time.Second)
	wants("the day after", 2, "usd")
	now = now.Add(-time.Minute)
	wants("with the clock set back", 3, "usd")
	writeBlender(t, exe, `echo 'HAYLOFT-ABILITIES ["usd", "alembic"]'`)
	wants("after an upgrade", 4, "alembic", "usd")
	touched := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(exe, touched, touched); err != nil {
		t.Fatal(err)
	}
	wants("with another time", 5, "alembic", "usd")
	if err := os.WriteFile(filepath.Join(data, answersFile), []byte(`[{"path":`), 0o600); err != nil {
		t.Fatal(err)
	}
	wants("without a whole file", 6, "alembic", "usd")
	for i := range answersKept {
		other := filepath.Join(dir, fmt.Sprint("blender-", i))
		writeBlender(t, other, `echo 'HAYLOFT-ABILITIES ["usd"]'`)
		if _, err := q.ask(t.Context(), other); err != nil {
			t.Fatal(err)
		}
	}
	if kept := q.load(); len(kept) != answersKept {
		t.Errorf("%d answers are kept, want %d", len(kept), answersKept)
	}
	wants("after many others", 7, "alembic", "usd")
	q.keep = ""
	wants("without a folder", 8, "alembic", "usd")
}

func TestABlenderIsNotWaitedForAfterTheEnd(t *testing.T) {
	dir := t.TempDir()
	exe := filepath.Join(dir, "blender")
	if err := exec.Command("mkfifo", exe+".fifo").Run(); err != nil {
		t.Fatal(err)
	}
	writeBlender(t, exe, fmt.Sprintf("echo started > '%s.fifo'; read never < '%s.fifo'", exe, exe))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := AskBlender(ctx, exe, "")
		ended <- err
	}()
	if _, err := os.ReadFile(exe + ".fifo"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// TestWhatIsToldAtSignOn looks at the sign-on of workers with and without a Blender that answers.
func TestWhatIsToldAtSignOn(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	writeBlender(t, good, `echo 'HAYLOFT-ABILITIES ["blender:4.2.1"]'`)
	writeBlender(t, bad, `exit 3`)
	able := &[]string{"blender:4.2.1"}
	for _, c := range []struct {
		name     string
		variable string
		alter    func(*Config)
		want     *[]string
	}{
		{"configured", "", func(c *Config) { c.Blender = good }, able},
		{"by the manager's variable", good, func(c *Config) { c.Blender = "" }, able},
		{"no such program", good, func(c *Config) { c.Blender = filepath.Join(dir, "none") }, &[]string{}},
		{"no answer", bad, func(c *Config) { c.Blender = "" }, nil},
		{"no render tasks", good, func(c *Config) { c.Blender, c.TaskTypes = good, []string{"misc"} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newTestManager(t)
			m.blender = c.variable
			startAgent(t, m, t.TempDir(), c.alter)
			m.await("the worker signs on", func() bool { return len(m.signOns) == 1 })
			m.mu.Lock()
			defer m.mu.Unlock()
			if d := cmp.Diff(c.want, m.signOns[0].Abilities); d != "" {
				t.Errorf("abilities: -want +got\n%s", d)
			}
		})
	}
}

// TestWhatBlenderAnswers asks the real one, and holds its answer to its own word for its version.
func TestWhatBlenderAnswers(t *testing.T) {
	exe, err := exec.LookPath("blender")
	if err != nil {
		t.Fatal("blender is not installed; this test needs the real one: apt-get install blender")
	}
	got, err := AskBlender(t.Context(), exe, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %v", got.Path, got.Abilities)
	text, err := exec.Command(exe, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.Fields(string(text))[1]
	for _, want := range []string{"blender:" + version, "engine:CYCLES", "engine:BLENDER_EEVEE", "engine:BLENDER_WORKBENCH"} {
		if !slices.Contains(got.Abilities, want) {
			t.Errorf("Blender tells %v, want %s among it", got.Abilities, want)
		}
	}
	supported, err := exec.Command(exe, "--background", "-noaudio", "--python-expr",
		"import bpy; print('USD', bpy.app.usd.supported, 'ALEMBIC', bpy.app.alembic.supported)").Output()
	if err != nil {
		t.Fatal(err)
	}
	for word, ability := range map[string]string{"USD True": "usd", "ALEMBIC True": "alembic"} {
		if has := strings.Contains(string(supported), word); has != slices.Contains(got.Abilities, ability) {
			t.Errorf("Blender says %q: %v, and tells %v", word, has, got.Abilities)
		}
	}
}

// TestVariableOfAManagerWithout: its refusal is not an end, and not waited out.
func TestVariableOfAManagerWithout(t *testing.T) {
	m := newTestManager(t)
	a, err := New(Config{ManagerURL: m.url(), DataDir: t.TempDir(), Name: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.closeIdle()
	exe, err := a.blenderProgram(t.Context())
	if err != nil || exe != "blender" {
		t.Errorf("got %q, %v; want blender", exe, err)
	}
	m.change(func() { m.blender = "/opt/blender" })
	if exe, err = a.blenderProgram(t.Context()); err != nil || exe != "/opt/blender" {
		t.Errorf("got %q, %v; want /opt/blender", exe, err)
	}
}
