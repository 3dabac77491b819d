package main

import (
	"os"
	"strings"
	"testing"
)

// TestUsageOfIsThatOfTheProcess asks for this process, whose own figures are known in another way.
func TestUsageOfIsThatOfTheProcess(t *testing.T) {
	own, err := readUsage()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := usageOf(os.Getpid())
	if !ok || got.Peak < own.Resident/2 || got.CPU < own.CPU-0.05 || got.CPU > own.CPU+5 {
		t.Errorf("usage %+v (%v), by another way %+v", got, ok, own)
	}
	if _, ok := usageOf(0); ok {
		t.Error("there is a process 0")
	}
}

// TestProgramsAreMeasured runs one that fails and one that does not.
func TestProgramsAreMeasured(t *testing.T) {
	env := cleanEnvironment(t.TempDir())
	out, used, err := runProgram(t.Context(), env, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $HOME")
	if err != nil || !strings.Contains(string(out), os.TempDir()) {
		t.Errorf("said %q: %v", out, err)
	}
	if used.cpu <= 0 || used.took.Seconds() < used.cpu/4 {
		t.Errorf("took %v with %v s of processor time", used.took, used.cpu)
	}
	if _, _, err := runProgram(t.Context(), env, "sh", "-c", "echo broken >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a program that failed gives %v", err)
	}
}
