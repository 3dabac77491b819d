package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// clockTicks is USER_HZ of proc_stat(5), which is 100 on every platform that Go runs on.
const clockTicks = 100

// busySeconds is the processor time that the whole machine, and this program with the children that have ended, have
// used so far; ok is false where that is not known.
func busySeconds() (all, own float64, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	// cpu user nice system idle iowait irq softirq steal …
	for i, field := range bytes.Fields(line) {
		ticks, err := strconv.ParseFloat(string(field), 64)
		if err == nil && i != 4 && i != 5 && i <= 8 {
			all += ticks / clockTicks
		}
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		if err := unix.Getrusage(who, &r); err != nil {
			return 0, 0, false
		}
		own += processorSeconds(r)
	}
	return all, own, all > 0
}

// processorSeconds adds up a process's time in the program and in the kernel.
func processorSeconds(r unix.Rusage) float64 {
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// readUsage tells what this process has used so far.
func readUsage() (usage, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return usage{}, fmt.Errorf("read the processor time: %w", err)
	}
	// proc_pid_statm(5): the second field is the resident set, in pages.
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return usage{}, fmt.Errorf("read the resident memory: %w", err)
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return usage{}, fmt.Errorf("read the resident memory: %q has no second field", statm)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return usage{}, fmt.Errorf("read the resident memory: %w", err)
	}
	return usage{CPU: processorSeconds(r), Resident: pages * int64(os.Getpagesize())}, nil
}

// usageOf tells what another process has used so far; ok is false once it is gone.
func usageOf(pid int) (u processUsage, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, false
	}
	// proc_pid_stat(5): the name, in brackets, may hold spaces. After it the 12th and the 13th field are the times.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return u, false
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseFloat(string(field), 64)
		if err != nil {
			return u, false
		}
		u.CPU += ticks / clockTicks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, false
	}
	if _, after, found := bytes.Cut(status, []byte("\nVmHWM:")); found {
		line, _, _ := bytes.Cut(after, []byte("kB"))
		kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
		if err != nil {
			return u, false
		}
		u.Peak = kilobytes * kiB
	}
	return u, true
}

// resetPeak makes what a process has in memory now its peak; see proc_pid_clear_refs(5). Where that is forbidden, the
// peak is the one since its start.
func resetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// occupied tells how many bytes of the disk a file takes, and its number, by which other names of it are known.
func occupied(info fs.FileInfo) (bytes int64, inode uint64) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512, stat.Ino
	}
	return info.Size(), 0
}
