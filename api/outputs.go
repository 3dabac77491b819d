package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// ListJobOutputs lists the files that a job's tasks produced.
func (s *Server) ListJobOutputs(ctx context.Context, r gen.ListJobOutputsRequestObject) (gen.ListJobOutputsResponseObject, error) {
	outputs, err := s.Scheduler.Outputs(ctx, scheduler.JobID{UUID: r.JobId})
	if err != nil {
		return nil, err
	}
	return gen.ListJobOutputs200JSONResponse{Outputs: convert(outputs, outputToWire)}, nil
}

func outputToWire(o scheduler.Output) wire.JobOutput {
	location := outputLocation(o)
	return wire.JobOutput{Path: o.Path, TaskId: o.Task.UUID, Size: o.Size, Sha256: o.SHA256, Location: &location}
}

// localOutputs gives outputs with roots as the manager sees them. Only a root that does not lie in its own output folder
// is looked at: the worker may reach that folder by another path.
func (s *Server) localOutputs(ctx context.Context, worker scheduler.WorkerID, outputs []scheduler.Output) ([]scheduler.Output, error) {
	foreign := func(o scheduler.Output) bool { return !within(o.Root, s.outputRoot()) }
	if !slices.ContainsFunc(outputs, foreign) {
		return outputs, nil
	}
	w, err := s.Scheduler.Worker(ctx, worker)
	if err != nil {
		return nil, err
	}
	translate := s.names.Load().fromWorker(w.Platform, w.Name)
	for i, o := range outputs {
		if foreign(o) {
			outputs[i].Root = translate(o.Root)
		}
	}
	return outputs, nil
}

// outputLocation is where an output lies; its root was translated when it was registered.
func outputLocation(o scheduler.Output) string {
	return filepath.Join(o.Root, filepath.FromSlash(o.Path))
}

// GetJobOutput gives the bytes of one output, or a range of them.
func (s *Server) GetJobOutput(ctx context.Context, r gen.GetJobOutputRequestObject) (gen.GetJobOutputResponseObject, error) {
	outputs, err := s.Scheduler.OutputsAt(ctx, scheduler.JobID{UUID: r.JobId}, r.Params.Path)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if r.Params.Sha256 != nil && o.SHA256 != *r.Params.Sha256 {
			continue
		}
		file, modified, err := s.openOutput(o)
		if err != nil {
			return nil, err
		}
		name := mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(o.Path)})
		return fileBody{
			request: callOf(ctx).request, content: file, modified: modified.ModTime(),
			header: http.Header{"Content-Disposition": {name}},
		}, nil
	}
	return nil, fmt.Errorf("output %q of job %s: %w; ask for the list of outputs", r.Params.Path, r.JobId, scheduler.ErrNotFound)
}

// openOutput opens a registered file if it lies in the output folder. The path comes from a worker, and links on the
// shared storage from anybody, so the folder is opened as an [os.Root]: nothing outside of it can be reached.
func (s *Server) openOutput(o scheduler.Output) (*os.File, fs.FileInfo, error) {
	location := outputLocation(o)
	relative, err := filepath.Rel(s.outputRoot(), location)
	if err != nil || !filepath.IsLocal(relative) {
		return nil, nil, fmt.Errorf("%w: output %s lies outside of the farm's output folder %s; fetch it from there yourself",
			errInvalid, location, s.outputRoot())
	}
	root, err := os.OpenRoot(s.outputRoot())
	if err != nil {
		return nil, nil, fmt.Errorf("open the output folder: %w", err)
	}
	defer root.Close()
	file, err := root.Open(relative)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("output %s: %w: the file is gone; requeue its task to render it again", location, scheduler.ErrNotFound)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: output %s cannot be read: %w", errInvalid, location, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: output %s is not a regular file", errInvalid, location)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}
