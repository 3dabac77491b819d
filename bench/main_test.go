package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The tests of processes start this program again: their children are this binary in another role.
	if len(os.Args) > 1 {
		if _, ok := roles[os.Args[1]]; ok {
			main()
			return
		}
	}
	goleak.VerifyTestMain(m)
}
