package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// frameCount is how many frames the project has, numbered from 1. project.py says the same in its FRAMES.
const frameCount = 24

//go:embed project.py
var projectScript []byte

// makeProject has Blender write the demonstration project into dir, which must be empty or absent.
func makeProject(ctx context.Context, blender, dir string) error {
	script, err := os.CreateTemp("", "hayloft-demo-*.py")
	if err != nil {
		return fmt.Errorf("writing the project's script: %w", err)
	}
	defer os.Remove(script.Name())
	_, err = script.Write(projectScript)
	if err := errors.Join(err, script.Close()); err != nil {
		return fmt.Errorf("writing the project's script: %w", err)
	}
	err = runBlender(ctx, blender, "-b", "--factory-startup", "--python-exit-code", "1", "-P", script.Name(), "--", dir)
	if err != nil {
		return fmt.Errorf("making the project: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scene.blend")); err != nil {
		return fmt.Errorf("making the project: Blender ended well, but wrote no scene: %w", err)
	}
	return nil
}

// renderAlone renders every frame of the scene in one Blender process, without a farm, and returns the wall time of
// that process. It is the measure for what the farm adds.
func renderAlone(ctx context.Context, blender, scene, dir string) (time.Duration, error) {
	began := time.Now()
	err := runBlender(ctx, blender, "-b", scene, "-o", filepath.Join(dir, "######"), "-F", "PNG",
		"-s", "1", "-e", strconv.Itoa(frameCount), "-a")
	if err != nil {
		return 0, fmt.Errorf("rendering with Blender alone: %w", err)
	}
	return time.Since(began), nil
}

// runBlender runs Blender to its end. Only a failure shows what Blender printed, and of that the last lines.
func runBlender(ctx context.Context, blender string, args ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, blender, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("ended by the user: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%s was not found: install Blender (.ci/setup demo does) or name its binary with -blender", blender)
	default:
		return fmt.Errorf("%w; Blender's last words:\n%s", err, lastLines(output.String(), 10))
	}
}

// lastLines returns at most n lines from the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
