package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitExited waits for the end of a process without reaping it, so that its number stays taken.
func waitExited(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// stat gives group and start time of a process from /proc/PID/stat (proc(5), fields 5 and 22).
func stat(pid int) (pgid int, start string, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", false
	}
	// The name of the program may hold spaces and brackets; everything behind its last bracket is plain.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return 0, "", false
	}
	pgid, err = strconv.Atoi(fields[2])
	return pgid, fields[19], err == nil
}

func startTime(pid int) string {
	_, start, _ := stat(pid)
	return start
}

// alive reports whether a group still has members that belong to the entry.
func alive(e entry) bool {
	if _, start, ok := stat(e.PID); ok && e.Start != "" {
		return start == e.Start
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	mark := []byte(tokenVariable + "=" + e.Token)
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if pgid, _, ok := stat(pid); !ok || pgid != e.PID {
			continue
		}
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && bytes.Contains(environment, mark) {
			return true
		}
	}
	return false
}
