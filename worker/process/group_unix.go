//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// group is a process group of its own, whose number is that of its leader.
type group struct{ pgid int }

func newGroup(cmd *exec.Cmd) (*group, error) {
	cmd.SysProcAttr = attributes()
	return &group{}, nil
}

func (g *group) adopt(cmd *exec.Cmd) error {
	g.pgid = cmd.Process.Pid
	return nil
}

// terminate asks with SIGTERM, which ends Blender at once; SIGINT would let it go on with the frame.
func (g *group) terminate() { syscall.Kill(-g.pgid, syscall.SIGTERM) }

func (g *group) kill() { killGroup(g.pgid) }

func (g *group) close() {}

func killGroup(pgid int) {
	if pgid > 1 {
		syscall.Kill(-pgid, syscall.SIGKILL)
	}
}

func exitOf(state *os.ProcessState) Exit {
	exit := Exit{Code: state.ExitCode()}
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		exit.Crash = state.String()
	case exit.Code > 128 && exit.Code <= 128+64:
		// Shells and start scripts report the signal that ended the real program in this way (POSIX sh, 2.8.2).
		exit.Crash = "signal: " + syscall.Signal(exit.Code-128).String()
	}
	return exit
}
