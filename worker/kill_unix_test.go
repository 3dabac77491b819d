//go:build unix

package worker

import "syscall"

func killHard(pid int) { syscall.Kill(pid, syscall.SIGKILL) }
