package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTransitionsAreInTheDocument holds ARCHITECTURE.md to what the program does.
func TestTransitionsAreInTheDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(page), "<!-- transitions -->\n")
	written, _, ended := strings.Cut(rest, "<!-- /transitions -->")
	if !begun || !ended {
		t.Fatal("ARCHITECTURE.md has no text between <!-- transitions --> and <!-- /transitions -->")
	}
	r := hayloft(t.Context(), "doctor", "--transitions")
	if diff := cmp.Diff(strings.TrimSpace(r.stdout), strings.TrimSpace(written)); r.code != 0 || diff != "" {
		t.Errorf("`hayloft doctor --transitions` (-) and ARCHITECTURE.md (+) differ; exit code %d\n%s", r.code, diff)
	}
}

// TestExampleConfiguration loads the example that is shipped, and finds its values where it says they are.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	example := filepath.Join("..", "..", "deploy", "hayloft.example.yaml")
	for command, want := range map[string][]string{
		"manager": {"/var/lib/hayloft ", "/var/lib/hayloft/storage ", "section manager"},
		"worker":  {"[cpu]", "http://127.0.0.1:8080", "section worker", "section defaults"},
		"up":      {"127.0.0.1:8080", "default"},
	} {
		r := hayloft(t.Context(), "config", "show", command, "--config", example)
		if r.code != 0 {
			t.Errorf("%s: exit code %d: %s", command, r.code, r.stderr)
		}
		for _, text := range want {
			if !strings.Contains(r.stdout, text) {
				t.Errorf("%s: %q is missing from\n%s", command, text, r.stdout)
			}
		}
	}
	f := startFarm(t, "--workers", "0", "--config", example)
	if r := hayloft(t.Context(), "job", "list", "--manager", f.url, "--config", example); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
