package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed trace.py
var traceScript []byte

const (
	aimTraceFaster = 20.0  // times faster than Blender opens the file
	aimTraceSmall  = 10.0  // milliseconds
	aimTraceMemory = 200.0 // megabytes
	aimResubmit    = 0.3   // seconds
	traceRepeats   = 5     // of which the best counts
	pythonTracer   = "bat" // of Blender's studio, if somebody has installed it
	shotFile       = "shot.blend"
)

// measureTrace compares reading what a scene needs with Blender's opening of the same file, and tells how long a
// submission takes of which nothing has changed.
func measureTrace(ctx context.Context, b *bench) (rows []Row, err error) {
	blender, err := exec.LookPath("blender")
	if err != nil {
		return nil, fmt.Errorf("the scenes are Blender's, and it is not on PATH: %w", err)
	}
	dir, err := b.folder("trace")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeAll(dir)) }()
	for _, measure := range []func(context.Context, string, string) ([]Row, error){b.traceLarge, b.traceSmall, b.resubmit} {
		more, err := measure(ctx, blender, dir)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (b *bench) traceLarge(ctx context.Context, blender, dir string) (rows []Row, err error) {
	plain, packed, err := makeScene(ctx, blender, dir, b.sceneKinds()[0])
	if err != nil {
		return nil, err
	}
	_, idle, err := runProgram(ctx, cleanEnvironment(dir), blender, "-b", "--factory-startup", "--python-expr", "pass")
	if err != nil {
		return nil, err
	}
	for _, file := range []struct{ how, path string }{{"plain", plain.made}, {"zstd", packed.made}} {
		info, err := os.Stat(file.path)
		if err != nil {
			return rows, err
		}
		name := fmt.Sprintf("scene of %.0f MB, %s", float64(info.Size())/1e6, file.how)
		seconds, peak, err := b.trace(ctx, dir, name, file.path)
		if err != nil {
			return rows, err
		}
		_, opened, err := runProgram(ctx, cleanEnvironment(dir), blender, "-b", "--factory-startup", file.path, "--python-expr", "pass")
		if err != nil {
			return rows, err
		}
		own := max((opened.took - idle.took).Seconds(), 0)
		rows = append(rows,
			Row{Work: name + ": cas trace", Figure: 1000 * seconds, Unit: "ms"},
			Row{Work: name + ": Blender opens it, its start not counted", Figure: 1000 * own, Unit: "ms"},
			Row{Work: name + ": faster than Blender", Figure: own / seconds, Unit: "times"}.aim(atLeast(aimTraceFaster)),
			Row{Work: name + ": peak memory", Figure: float64(peak) / 1e6, Unit: "MB"}.aim(atMost(aimTraceMemory)))
		if more, err := b.tracePeer(ctx, dir, name, file.path, seconds); err != nil {
			return rows, err
		} else {
			rows = append(rows, more...)
		}
	}
	return rows, nil
}

// trace runs `cas trace` some times and gives the best time, start of the program included, and the peak memory.
func (b *bench) trace(ctx context.Context, dir, work, file string) (seconds float64, peak int64, err error) {
	built, err := b.built(ctx)
	if err != nil {
		return 0, 0, err
	}
	for range traceRepeats {
		_, u, err := runProgram(ctx, cleanEnvironment(dir), built.cas, "trace", "--json", file)
		if err != nil {
			return 0, 0, err
		}
		if seconds == 0 || u.took.Seconds() < seconds {
			seconds = u.took.Seconds()
		}
		peak = max(peak, u.peak)
		b.note(Run{Work: work, By: "cas trace", Seconds: u.took.Seconds(), CPU: u.cpu, Peak: u.peak})
	}
	return seconds, peak, nil
}

// tracePeer runs the tracer in Python, if its program is there.
func (b *bench) tracePeer(ctx context.Context, dir, name, file string, ours float64) ([]Row, error) {
	program, err := exec.LookPath(pythonTracer)
	if err != nil {
		return nil, nil //nolint:nilerr // A peer that is not there is not compared with.
	}
	_, u, err := runProgram(ctx, cleanEnvironment(dir), program, "list", file)
	if err != nil {
		return nil, err
	}
	b.note(Run{Work: name, By: pythonTracer, Seconds: u.took.Seconds(), CPU: u.cpu, Peak: u.peak})
	return []Row{{Work: name + ": faster than the tracer in Python", Figure: u.took.Seconds() / ours, Unit: "times"}}, nil
}

func (b *bench) traceSmall(ctx context.Context, blender, dir string) ([]Row, error) {
	folder := filepath.Join(dir, "small")
	if err := runTraceScript(ctx, blender, dir, "small", folder, 0); err != nil {
		return nil, err
	}
	seconds, _, err := b.trace(ctx, dir, "shot of three files", filepath.Join(folder, shotFile))
	return []Row{Row{Work: "shot of three files: cas trace, start of the program included", Figure: 1000 * seconds, Unit: "ms"}.aim(atMost(aimTraceSmall))}, err
}

// resubmit submits a shot of many files twice; the second time is what counts.
func (b *bench) resubmit(ctx context.Context, blender, dir string) (rows []Row, err error) {
	files := pick(b, 500, 2_000)
	folder := filepath.Join(dir, "many")
	if err := runTraceScript(ctx, blender, dir, "many", folder, files); err != nil {
		return nil, err
	}
	built, err := b.built(ctx)
	if err != nil {
		return nil, err
	}
	f, err := b.startFarm(ctx, filepath.Join(dir, "farm"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	work := fmt.Sprintf("%s files, submitted again with nothing changed", number(float64(files)))
	best := 0.0
	for i := range 1 + traceRepeats {
		_, u, err := runProgram(ctx, cleanEnvironment(dir), built.hayloft, "submit", "--json", "--paused", "--manager", f.relay.url(),
			filepath.Join(folder, shotFile), "--setting", "frames=1")
		if err != nil {
			return nil, err
		}
		b.note(Run{Work: work, By: fmt.Sprintf("hayloft submit, time %d", i+1), Seconds: u.took.Seconds(), CPU: u.cpu, Peak: u.peak})
		if i > 0 && (best == 0 || u.took.Seconds() < best) {
			best = u.took.Seconds()
		}
	}
	return []Row{Row{Work: work + ": from pressing enter to the job stored", Figure: best, Unit: "s"}.aim(atMost(aimResubmit))}, nil
}

func runTraceScript(ctx context.Context, blender, dir, what, folder string, count int) error {
	script := filepath.Join(dir, "trace.py")
	if err := os.WriteFile(script, traceScript, 0o666); err != nil {
		return err
	}
	out, _, err := runProgram(ctx, cleanEnvironment(dir), blender, "-b", "--factory-startup", "--python-exit-code", "1", "--python", script, "--",
		what, folder, strconv.Itoa(count))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-600):])
	}
	return nil
}
