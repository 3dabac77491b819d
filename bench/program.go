package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// programs are the paths of the programs under test.
type programs struct{ cas, hayloft string }

// built gives the programs under test: those of the folder that was named, else built now, once for all suites.
func (b *bench) built(ctx context.Context) (programs, error) {
	if b.binaries == "" {
		dir := filepath.Join(b.dir, "bin")
		build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", dir+string(filepath.Separator),
			"hayloft/cmd/cas", "hayloft/cmd/hayloft")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return programs{}, fmt.Errorf("build the programs under test: %w\n%s", err, out)
		}
		b.binaries = dir
	}
	ending := ""
	if runtime.GOOS == "windows" {
		ending = ".exe"
	}
	return programs{cas: filepath.Join(b.binaries, "cas"+ending), hayloft: filepath.Join(b.binaries, "hayloft"+ending)}, nil
}

// running is a program that is being measured.
type running struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	started        time.Time
	peak           func() int64
}

// used is what a program took from its start to its end.
type used struct {
	took time.Duration
	cpu  float64 // seconds, in the program and in the kernel
	peak int64   // bytes of memory; zero: not known on this platform
}

// cleanEnvironment is what a program under test sees of the machine: where programs are, and folders below home. No
// setting of the person who measures gets through.
func cleanEnvironment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"),
		"TMPDIR=" + home, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
}

// start starts a program; it must be waited for.
func start(ctx context.Context, env []string, args ...string) (*running, error) {
	r := &running{name: filepath.Base(args[0]), cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = env, &r.stdout, &r.stderr
	r.started = time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", r.name, err)
	}
	r.peak = watchPeak(r.cmd.Process.Pid)
	return r, nil
}

// wait waits for the end of a program. An error has what the program said last.
func (r *running) wait() (used, error) {
	err := r.cmd.Wait()
	u := used{took: time.Since(r.started), peak: r.peak()}
	if r.cmd.ProcessState != nil {
		u.cpu = (r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()).Seconds()
	}
	if err != nil {
		said := bytes.TrimSpace(r.stderr.Bytes())
		return u, fmt.Errorf("run %s: %w: %s", r.name, err, said[max(0, len(said)-600):])
	}
	return u, nil
}

// runProgram runs a program to its end and gives what it printed.
func runProgram(ctx context.Context, env []string, args ...string) ([]byte, used, error) {
	r, err := start(ctx, env, args...)
	if err != nil {
		return nil, used{}, err
	}
	u, err := r.wait()
	return r.stdout.Bytes(), u, err
}

// watchPeak asks for the peak memory of a process again and again, since the figure goes when the process does. What the
// system tells after the end is no use: it counts the program that started the process in. The function that it returns
// ends the watch.
func watchPeak(pid int) (end func() int64) {
	const interval = 10 * time.Millisecond
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		var highest int64
		for {
			if u, ok := usageOf(pid); ok {
				highest = max(highest, u.Peak)
			}
			select {
			case <-ticker.C:
			case <-stop:
				peak <- highest
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-peak
	}
}

// lastLine reads the last line of what a program printed, one JSON object a line.
func lastLine(out []byte, value any) error {
	out = bytes.TrimSpace(out)
	if at := bytes.LastIndexByte(out, '\n'); at >= 0 {
		out = out[at+1:]
	}
	if err := json.Unmarshal(out, value); err != nil {
		return fmt.Errorf("read the result %.200q: %w", out, err)
	}
	return nil
}

// pause waits, but not for longer than ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
