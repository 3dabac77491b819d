package store

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"hayloft/scheduler"
	"hayloft/scheduler/storetest"
)

func TestMain(m *testing.M) {
	if path := acknowledgeTo(); path != "" {
		acknowledge(path)
	}
	if raceEnabled {
		// The race detector slows SQLite down twentyfold. The command line still has the last word.
		if err := flag.Set("rapid.checks", "15"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) scheduler.Store { return openTemp(t) })
}
