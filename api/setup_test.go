package api

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hayloft/scheduler/variables"
)

// TestBlenderIsBelievedOnlyIfItSaysSo runs programs that are called Blender.
func TestBlenderIsBelievedOnlyIfItSaysSo(t *testing.T) {
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ script, says string }{
		"right":            {"echo Blender 4.2.1 LTS; echo build date", "Blender 4.2.1 LTS"},
		"another program":  {"echo Mixer 1.0", ""},
		"silent":           {":", ""},
		"fails":            {"echo Blender 4.2.1; exit 3", ""},
		"floods":           {"echo Blender 5.0; i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done", "Blender 5.0"},
		"floods in a line": {"printf 'Blender '; i=0; while [ $i -lt 2000 ]; do printf 0123456789; i=$((i+1)); done", "Blender 0123456789"},
	} {
		path := filepath.Join(t.TempDir(), "blender")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		got := server.checkBlender(t.Context(), path)
		if got.IsUsable != (c.says != "") || !strings.HasPrefix(got.Cause, c.says) || len(got.Cause) > 4<<10 {
			t.Errorf("%s: usable %t, %.80q", name, got.IsUsable, got.Cause)
		}
	}
}

func TestBlenderThatHangsIsEnded(t *testing.T) {
	server, err := New(Config{SharedStorage: t.TempDir(), JobFiles: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "blender")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := server.checkBlender(ctx, path); got.IsUsable || !strings.Contains(got.Cause, "did not tell its version") {
		t.Errorf("it is usable: %t, %s", got.IsUsable, got.Cause)
	}
}

// TestNamesAreBounded asks for more platforms than there are, as workers may say anything.
func TestNamesAreBounded(t *testing.T) {
	n := newNames(variables.Set{"farm": {IsTwoWay: true, Values: []variables.Value{
		{Value: "/mnt/farm"}, {Platforms: []string{"windows"}, Value: `F:\farm`},
	}}})
	for i := range 2 * mostRecipients {
		if got := n.toWorker(strconv.Itoa(i), "any").Text("{farm}/a"); got != "/mnt/farm/a" {
			t.Fatalf("platform %d gets %s", i, got)
		}
	}
	if got := n.toWorker("windows", "any").Text("{farm}/a"); got != `F:\farm\a` {
		t.Errorf("Windows gets %s", got)
	}
	if len(n.workers) > mostRecipients {
		t.Errorf("%d platforms are kept", len(n.workers))
	}
	if got := n.fromWorker("windows", "any")(`F:\farm\out\1.png`); got != "/mnt/farm/out/1.png" {
		t.Errorf("a path of Windows is %s here", got)
	}
}
