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
	openRepeats    = 2     // of Blender, of which the best counts
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

// traceScenes are the large scenes: one as a production has them, whose bytes are mostly in a few large meshes, and one
// of many meshes of 1.3 MB, so that each piece that Blender compresses has datablocks in it and must be decoded.
func (b *bench) traceScenes() []sceneKind {
	return []sceneKind{
		{kind: "set", text: "film set of a few large meshes", count: pick(b, 3, 40)},
		{kind: "meshes", text: "scene of many small meshes", count: pick(b, 24, 390)},
	}
}

func (b *bench) traceLarge(ctx context.Context, blender, dir string) (rows []Row, err error) {
	for _, kind := range b.traceScenes() {
		plain, packed := filepath.Join(dir, kind.kind+".blend"), filepath.Join(dir, kind.kind+"-packed.blend")
		if err := runSceneScript(ctx, blender, dir, "make", kind.kind, strconv.Itoa(kind.count), plain, packed); err != nil {
			return rows, err
		}
		for _, file := range []struct{ how, path string }{{"plain", plain}, {"zstd", packed}} {
			more, err := b.traceOne(ctx, blender, dir, kind.text, file.how, file.path)
			rows = append(rows, more...)
			if err := errors.Join(err, os.Remove(file.path)); err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

// traceOne measures one large file.
func (b *bench) traceOne(ctx context.Context, blender, dir, text, how, path string) ([]Row, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s, %.0f MB %s", text, float64(info.Size())/1e6, how)
	seconds, peak, err := b.trace(ctx, dir, name, path)
	if err != nil {
		return nil, err
	}
	idle, opened, err := b.openInBlender(ctx, blender, dir, name, path)
	if err != nil {
		return nil, err
	}
	own := max(opened-idle, 0)
	faster := Row{Work: name + ": faster than Blender", Figure: own / seconds, Unit: "times"}
	if !b.quick { // A small file takes Blender no longer than our start takes.
		faster = faster.aim(atLeast(aimTraceFaster))
	}
	rows := []Row{
		{Work: name + ": cas trace", Figure: 1000 * seconds, Unit: "ms"},
		{Work: name + ": Blender opens it, its start not counted", Figure: 1000 * own, Unit: "ms"},
		faster,
		{Work: name + ": faster than Blender with its start", Figure: opened / seconds, Unit: "times"},
		Row{Work: name + ": peak memory", Figure: float64(peak) / 1e6, Unit: "MB"}.aim(atMost(aimTraceMemory)),
	}
	if how == "zstd" {
		alone, _, err := b.trace(ctx, dir, name+", one processor", path, "GOMAXPROCS=1")
		if err != nil {
			return rows, err
		}
		rows = append(rows, Row{Work: name + ": cas trace with one processor", Figure: 1000 * alone, Unit: "ms"})
	}
	more, err := b.tracePeer(ctx, dir, name, path, seconds)
	return append(rows, more...), err
}

// openInBlender starts Blender without the file and with it, in turn, so that other load meets both. It gives the best
// times in seconds.
func (b *bench) openInBlender(ctx context.Context, blender, dir, work, file string) (idle, opened float64, err error) {
	for range openRepeats {
		for _, step := range []struct {
			by    string
			files []string
			best  *float64
		}{{"Blender's start", nil, &idle}, {"Blender", []string{file}, &opened}} {
			command := append(append([]string{blender, "-b", "--factory-startup"}, step.files...), "--python-expr", "pass")
			_, u, err := runProgram(ctx, cleanEnvironment(dir), command...)
			if err != nil {
				return 0, 0, err
			}
			b.note(Run{Work: work, By: step.by, Seconds: u.took.Seconds(), CPU: u.cpu, Peak: u.peak})
			if *step.best == 0 || u.took.Seconds() < *step.best {
				*step.best = u.took.Seconds()
			}
		}
	}
	return idle, opened, nil
}

// trace runs `cas trace` some times and gives the best time, start of the program included, and the peak memory.
func (b *bench) trace(ctx context.Context, dir, work, file string, environment ...string) (seconds float64, peak int64, err error) {
	built, err := b.built(ctx)
	if err != nil {
		return 0, 0, err
	}
	environment = append(cleanEnvironment(dir), environment...)
	for range traceRepeats {
		_, u, err := runProgram(ctx, environment, built.cas, "trace", "--json", file)
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

func (b *bench) traceSmall(ctx context.Context, blender, dir string) (rows []Row, err error) {
	for _, how := range []string{"plain", "zstd"} {
		folder := filepath.Join(dir, "small-"+how)
		if err := runTraceScript(ctx, blender, dir, "small-"+how, folder, 0); err != nil {
			return rows, err
		}
		seconds, _, err := b.trace(ctx, dir, "shot of three files, "+how, filepath.Join(folder, shotFile))
		if err != nil {
			return rows, err
		}
		rows = append(rows, Row{Work: "shot of three files, " + how + ": cas trace, start of the program included", Figure: 1000 * seconds,
			Unit: "ms"}.aim(atMost(aimTraceSmall)))
	}
	return rows, nil
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
	return runInBlender(ctx, blender, dir, "trace.py", traceScript, what, folder, strconv.Itoa(count))
}
