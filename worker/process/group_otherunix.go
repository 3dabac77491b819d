//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// waitExited reaps the process as it waits, since waiting without reaping cannot be had everywhere. The later second Wait
// of the caller only returns an error; the state stays.
func waitExited(cmd *exec.Cmd) { cmd.Wait() }

func startTime(int) string { return "" }

func alive(entry) bool { return false }
