package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// taskDetail is a wire.Task whose commands stay the JSON that they are stored as.
type taskDetail struct {
	wire.Task
	Commands json.RawMessage `json:"commands"`
}

// VisitGetTaskResponse sends the task.
func (t taskDetail) VisitGetTaskResponse(w http.ResponseWriter) error { return writeJSON(w, t) }

// GetTask describes one task.
func (s *Server) GetTask(ctx context.Context, r gen.GetTaskRequestObject) (gen.GetTaskResponseObject, error) {
	id := scheduler.TaskID{UUID: r.TaskId}
	task, err := s.Scheduler.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	failed, err := s.Scheduler.FailedBy(ctx, id)
	if err != nil {
		return nil, err
	}
	return taskDetail{Task: taskToWire(task, failed), Commands: task.Commands}, nil
}

// SetTaskStatus carries out what a person wants of one task.
func (s *Server) SetTaskStatus(ctx context.Context, r gen.SetTaskStatusRequestObject) (gen.SetTaskStatusResponseObject, error) {
	err := s.Scheduler.RequestTaskStatus(ctx, scheduler.TaskID{UUID: r.TaskId}, scheduler.TaskStatus(r.Body.Status), r.Body.Reason)
	if err != nil {
		return nil, notAPersons(err)
	}
	return gen.SetTaskStatus204Response{}, nil
}

// GetTaskLogInfo tells where the whole log can be read.
func (s *Server) GetTaskLogInfo(ctx context.Context, r gen.GetTaskLogInfoRequestObject) (gen.GetTaskLogInfoResponseObject, error) {
	id := scheduler.TaskID{UUID: r.TaskId}
	size, err := s.Scheduler.LogSize(ctx, id)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return gen.GetTaskLogInfo204Response{}, nil
	}
	task, err := s.Scheduler.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	return gen.GetTaskLogInfo200JSONResponse{TaskId: r.TaskId, JobId: task.Job.UUID, Size: size, Url: logPath(task.Job, id)}, nil
}

// logTailSize is how many bytes of a log its tail has at most.
const logTailSize = 2048

// GetTaskLogTail gives the end of the log, from a line start.
func (s *Server) GetTaskLogTail(ctx context.Context, r gen.GetTaskLogTailRequestObject) (gen.GetTaskLogTailResponseObject, error) {
	id := scheduler.TaskID{UUID: r.TaskId}
	size, err := s.Scheduler.LogSize(ctx, id)
	if err != nil {
		return nil, err
	}
	from := max(0, size-logTailSize)
	tail, err := s.Scheduler.Log(ctx, id, from, logTailSize)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		tail = fromLineStart(tail)
	}
	if len(tail) == 0 {
		return gen.GetTaskLogTail204Response{}, nil
	}
	return logText(tail), nil
}

// fromLineStart cuts what comes before the first line start, but keeps a piece that is all one line.
func fromLineStart(text []byte) []byte {
	if _, rest, found := bytes.Cut(text, []byte("\n")); found && len(rest) > 0 {
		return rest
	}
	return bytes.TrimLeftFunc(text, func(r rune) bool { return r == '\uFFFD' })
}

// logTextSize is how many bytes of a log one answer carries at most.
const logTextSize = 1 << 20

// GetTaskLogText gives the log from a byte offset on.
func (s *Server) GetTaskLogText(ctx context.Context, r gen.GetTaskLogTextRequestObject) (gen.GetTaskLogTextResponseObject, error) {
	text, err := s.Scheduler.Log(ctx, scheduler.TaskID{UUID: r.TaskId}, deref(r.Params.From), logTextSize)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return gen.GetTaskLogText204Response{}, nil
	}
	return logText(text), nil
}

// logText is a piece of a log as it was written.
type logText []byte

// VisitGetTaskLogTailResponse sends the text.
func (t logText) VisitGetTaskLogTailResponse(w http.ResponseWriter) error { return t.write(w) }

// VisitGetTaskLogTextResponse sends the text.
func (t logText) VisitGetTaskLogTextResponse(w http.ResponseWriter) error { return t.write(w) }

func (t logText) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(t)
	return err
}
