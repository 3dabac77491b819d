package process

import (
	"fmt"
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a job object that ends all its members when its last handle closes, so that they die with their owner.
type group struct{ job windows.Handle }

func newGroup(*exec.Cmd) (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("create a job object: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		windows.CloseHandle(job)
		return nil, fmt.Errorf("limit a job object: %w", err)
	}
	return &group{job: job}, nil
}

func (g *group) adopt(cmd *exec.Cmd) error {
	handle, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err != nil {
		return fmt.Errorf("open process %d: %w", cmd.Process.Pid, err)
	}
	defer windows.CloseHandle(handle)
	if err := windows.AssignProcessToJobObject(g.job, handle); err != nil {
		return fmt.Errorf("put process %d into its job object: %w", cmd.Process.Pid, err)
	}
	return nil
}

// terminate kills: Windows has no polite way for programs without a window.
func (g *group) terminate() { g.kill() }

func (g *group) kill() { windows.TerminateJobObject(g.job, 1) }

func (g *group) close() { windows.CloseHandle(g.job) }

func killGroup(int) {}

func waitExited(cmd *exec.Cmd) {
	handle, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(cmd.Process.Pid))
	if err != nil {
		return
	}
	defer windows.CloseHandle(handle)
	windows.WaitForSingleObject(handle, windows.INFINITE)
}

func startTime(int) string { return "" }

func alive(entry) bool { return false }

// exitOf takes exit codes with both severity bits set for crashes: they are NTSTATUS errors.
func exitOf(state *os.ProcessState) Exit {
	exit := Exit{Code: state.ExitCode()}
	if uint32(exit.Code) >= 0xC0000000 {
		exit.Crash = fmt.Sprintf("exception %#x", uint32(exit.Code))
	}
	return exit
}
