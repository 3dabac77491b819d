package dropfolder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hayloft/api/client"
)

// Environment of a test binary that is to watch a folder until it is killed.
const (
	watchVariable   = "HAYLOFT_TEST_WATCH"
	managerVariable = "HAYLOFT_TEST_MANAGER"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(watchVariable); dir != "" {
		os.Exit(watchUntilKilled(dir, os.Getenv(managerVariable)))
	}
	var err error
	if programs, err = os.MkdirTemp("", "hayloft-dropfolder-test-*"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

func watchUntilKilled(dir, manager string) int {
	c, err := client.New(manager, "dropfolder-test")
	if err == nil {
		err = Run(context.Background(), Config{
			Dir: dir, Manager: c, Quiet: 300 * time.Millisecond, Rescan: time.Second,
			Log: slog.New(slog.NewTextHandler(os.Stdout, nil)),
		})
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
