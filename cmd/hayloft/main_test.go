package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// The test binary is also the program: called by the name hayloft, it runs main.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"hayloft": main})
}

// leakChecked fails a run of tests that leaves goroutines behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	// Where Go keeps what it compiled is told by the same variable, and a test needs another program.
	if caches, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
		os.Setenv("GOCACHE", filepath.Join(caches, "go-build")) //nolint:errcheck // Without it the build only takes longer.
	}
	// The local index of whoever runs the tests is none of their business.
	cache, err := os.MkdirTemp("", "hayloft-test-cache-")
	if err == nil {
		defer os.RemoveAll(cache)
		err = os.Setenv("XDG_CACHE_HOME", cache)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
