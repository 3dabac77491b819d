//go:build !linux

package shot

import (
	"os/exec"
	"testing"
)

// isolates: only Linux has a way to take the network from one program that needs no rights.
func isolates(*testing.T) bool { return false }

func startAlone(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	t.Log("Blender has a network here")
	return cmd.Start()
}
