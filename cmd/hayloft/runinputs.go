package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hayloft/api/client"
	"hayloft/api/wire"
	"hayloft/worker"
)

// fetchInputs brings what other tasks of the job produced and this one reads. What is there already, such as frames that were
// rendered here, stays as it is, and what the farm has no more is left out: the task says itself what it lacks.
func (a *app) fetchInputs(ctx context.Context, c *client.Client, site localSite, task wire.AssignedTask) error {
	inputs := worker.Inputs(task)
	if len(inputs) == 0 {
		return nil
	}
	outputs, err := c.Outputs(ctx, task.Job)
	if err != nil {
		return err
	}
	var d download
	for _, o := range outputs {
		place, ok := site.placeOf(o)
		if !ok || o.TaskId == task.Uuid || !slices.ContainsFunc(inputs, func(input string) bool { return readsFile(input, place) }) {
			continue
		}
		if _, err := os.Lstat(place); err == nil {
			continue
		}
		d.outputs, d.places = append(d.outputs, o), append(d.places, place)
	}
	if len(d.outputs) == 0 {
		return nil
	}
	lost, err := a.fetchOutputs(ctx, c, task.Job, d, &downloaded{})
	if err != nil {
		return fmt.Errorf("fetch what other tasks produced: %w", err)
	}
	for _, why := range lost {
		a.Say("going on without an output of another task: %v", why)
	}
	return nil
}

// placeOf is where an output of the farm lies here; ok is false if it is not below the farm's output folder.
func (s localSite) placeOf(o wire.JobOutput) (place string, ok bool) {
	if o.Location == nil || s.farmOutput == "" {
		return "", false
	}
	inside, ok := strings.CutPrefix(filepath.ToSlash(*o.Location), strings.TrimSuffix(filepath.ToSlash(s.farmOutput), "/")+"/")
	if !ok || !filepath.IsLocal(filepath.FromSlash(inside)) {
		return "", false
	}
	return filepath.Join(s.output, filepath.FromSlash(inside)), true
}

// readsFile tells whether an input, which is a path or a pattern, is a file or a folder that it lies in.
func readsFile(input, file string) bool {
	matches, err := filepath.Match(filepath.FromSlash(input), file)
	return err == nil && matches || filepath.IsAbs(input) && below(input, file)
}
