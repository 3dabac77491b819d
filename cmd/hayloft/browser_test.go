package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBrowser drives the page of a farm with a real browser; the tests themselves are web/e2e.
func TestBrowser(t *testing.T) {
	if os.Getenv("HAYLOFT_BROWSER") == "" {
		t.Skip("HAYLOFT_BROWSER=1 turns it on, as `make test` does")
	}
	f := startFarm(t, "--workers", "2")
	tests := exec.CommandContext(t.Context(), "npx", "playwright", "test")
	tests.Dir = filepath.Join("..", "..", "web")
	tests.Env = append(os.Environ(), "HAYLOFT_URL="+f.url)
	if out, err := tests.CombinedOutput(); err != nil {
		t.Errorf("npx playwright test: %v\n%s", err, out)
	}
}
