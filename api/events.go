package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"hayloft/api/gen"
	"hayloft/api/wire"
	"hayloft/scheduler"
)

// Timing of event streams.
const (
	heartbeatEvery = 15 * time.Second
	eventWriteTime = 30 * time.Second // a client that takes longer for one event is cut off
	eventRetry     = 2 * time.Second  // after which a browser connects again
)

// topics is what one stream wants to hear of.
type topics struct {
	jobs, workers, tags, status, previews bool
	ofJob                                 map[scheduler.JobID]bool
	logs                                  map[scheduler.TaskID]bool
}

// parseTopics reads the topics of the contract; none means jobs, workers and status.
func parseTopics(words []string) (topics, error) {
	t := topics{ofJob: map[scheduler.JobID]bool{}, logs: map[scheduler.TaskID]bool{}}
	if len(words) == 0 {
		t.jobs, t.workers, t.status = true, true, true
	}
	plain := map[string]*bool{
		"jobs": &t.jobs, "workers": &t.workers, "workertags": &t.tags, "status": &t.status, "last-rendered": &t.previews,
	}
	for _, word := range words {
		if wanted, ok := plain[word]; ok {
			*wanted = true
			continue
		}
		kind, text, _ := strings.Cut(word, ":")
		id, err := uuid.Parse(text)
		switch {
		case kind == "job" && err == nil:
			t.ofJob[scheduler.JobID{UUID: id}] = true
		case kind == "tasklog" && err == nil:
			t.logs[scheduler.TaskID{UUID: id}] = true
		default:
			return topics{}, fmt.Errorf("%w: there is no topic %q; use jobs, workers, workertags, status, last-rendered, job:<uuid> or tasklog:<uuid>",
				errInvalid, word)
		}
	}
	return t, nil
}

// want tells whether a notice belongs to one of the topics. The scheduler asks it on its way, so it only looks.
func (t topics) want(n scheduler.Notice) bool {
	switch n := n.(type) {
	case scheduler.JobChanged:
		return t.jobs
	case scheduler.TaskChanged:
		return t.ofJob[n.Task.Job]
	case scheduler.WorkerChanged:
		return t.workers
	case scheduler.TagChanged:
		return t.tags
	case scheduler.LogAppended:
		return t.logs[n.Task]
	case scheduler.PreviewChanged:
		return t.previews || t.ofJob[n.Job]
	}
	return false
}

// kinds names what the topics need, so that the scheduler makes no notices that nobody reads.
func (t topics) kinds() (kinds scheduler.Kinds) {
	for kind, wanted := range map[scheduler.Kinds]bool{
		scheduler.JobNotices: t.jobs, scheduler.TaskNotices: len(t.ofJob) > 0, scheduler.WorkerNotices: t.workers,
		scheduler.TagNotices: t.tags, scheduler.LogNotices: len(t.logs) > 0,
		scheduler.PreviewNotices: t.previews || len(t.ofJob) > 0,
	} {
		if wanted {
			kinds |= kind
		}
	}
	return kinds
}

// GetEvents opens a stream of events.
func (s *Server) GetEvents(ctx context.Context, r gen.GetEventsRequestObject) (gen.GetEventsResponseObject, error) {
	wanted, err := parseTopics(deref(r.Params.Topic))
	if err != nil {
		return nil, err
	}
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, errTooManyStreams
	}
	stream := &eventStream{ctx: ctx, stopping: s.stopping, leave: []func(){func() { <-s.streams }}}
	notices := s.Scheduler.Subscribe(wanted.kinds(), wanted.want)
	stream.notices, stream.lagged = notices.C, notices.Lagged
	stream.leave = append(stream.leave, notices.Close)
	if wanted.status {
		changes, leave := s.farmStatus.listen()
		stream.status, stream.leave = changes, append(stream.leave, leave)
		if stream.first, err = s.Scheduler.FarmStatus(ctx); err != nil {
			stream.end()
			return nil, err
		}
	}
	return stream, nil
}

// eventStream is one open stream. It ends with its client, with the manager, and with a client that does not read.
type eventStream struct {
	ctx      context.Context
	stopping <-chan struct{}
	notices  <-chan scheduler.Notice
	lagged   func() bool
	status   <-chan scheduler.FarmStatus
	first    scheduler.FarmStatus // sent at once; empty: not wanted
	leave    []func()
}

func (e *eventStream) end() {
	for _, leave := range e.leave {
		leave()
	}
}

// VisitGetEventsResponse sends events until the stream ends.
func (e *eventStream) VisitGetEventsResponse(w http.ResponseWriter) error {
	defer e.end()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // reverse proxies are not to collect events
	out := eventWriter{w: w, control: http.NewResponseController(w)}
	opening := fmt.Sprintf("retry: %d\n\n", eventRetry.Milliseconds())
	if err := out.write(opening); err != nil {
		return err
	}
	if e.first != "" {
		if err := out.send("status", wire.FarmStatusReport{Status: wire.FarmStatus(e.first)}); err != nil {
			return err
		}
	}
	return e.pump(out)
}

func (e *eventStream) pump(out eventWriter) error {
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case n := <-e.notices:
			err = out.send(eventOf(n))
		case status := <-e.status:
			err = out.send("status", wire.FarmStatusReport{Status: wire.FarmStatus(status)})
		case <-heartbeat.C:
			err = out.write(": still here\n\n")
		case <-e.stopping:
			return out.send("lifecycle", wire.LifecycleEvent{Type: wire.ManagerShutdown})
		case <-e.ctx.Done():
			return nil
		}
		if err == nil && e.lagged() {
			err = out.send("resync", struct{}{})
		}
		if err != nil {
			return err
		}
	}
}

// eventWriter writes events in the format of the HTML standard, section 9.2, each flushed.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (o eventWriter) send(name string, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("write event %s: %w", name, err)
	}
	return o.write("event: " + name + "\ndata: " + string(data) + "\n\n")
}

func (o eventWriter) write(text string) error {
	err := o.control.SetWriteDeadline(time.Now().Add(eventWriteTime))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.control.Flush()
}

// eventOf gives the event name and payload of a notice.
func eventOf(n scheduler.Notice) (string, any) {
	switch n := n.(type) {
	case scheduler.JobChanged:
		return "job", jobEvent(n)
	case scheduler.TaskChanged:
		return "task", taskEvent(n)
	case scheduler.WorkerChanged:
		return "worker", workerEvent(n)
	case scheduler.TagChanged:
		return "workertag", wire.WorkerTagEvent{Tag: tagToWire(n.Tag), WasDeleted: optional(n.Deleted)}
	case scheduler.LogAppended:
		return "tasklog", wire.TaskLogEvent{TaskId: n.Task.UUID, Log: n.Text}
	case scheduler.PreviewChanged:
		return "last-rendered", wire.LastRenderedEvent{JobId: n.Job.UUID, Thumbnail: lastRendered(n.Job)}
	}
	panic(fmt.Sprintf("api: a notice of the type %T has no event", n))
}

func jobEvent(n scheduler.JobChanged) wire.JobEvent {
	counts := taskCounts(n.Job)
	return wire.JobEvent{
		Id: n.Job.ID.UUID, Name: n.Job.Name, Updated: n.Job.Updated.UTC(), Status: wire.JobStatus(n.Job.Status),
		PreviousStatus: optional(wire.JobStatus(n.Previous)), Type: n.Job.Type, Priority: n.Job.Priority,
		RefreshTasks: n.RefreshTasks, StepsCompleted: n.Job.StepsCompleted, StepsTotal: n.Job.StepsTotal,
		DeleteRequestedAt: optionalTime(n.Job.DeleteRequestedAt), WasDeleted: optional(n.Deleted), TaskCounts: &counts,
	}
}

func taskEvent(n scheduler.TaskChanged) wire.TaskEvent {
	event := wire.TaskEvent{
		Id: n.Task.ID.UUID, JobId: n.Task.Job.UUID, IndexInJob: optional(n.Task.Index), Name: n.Task.Name,
		Updated: n.Task.Updated.UTC(), Status: wire.TaskStatus(n.Task.Status),
		PreviousStatus: optional(wire.TaskStatus(n.Previous)), Activity: n.Task.Activity,
		StepsCompleted: n.Task.StepsDone, StepsTotal: n.Task.Steps,
	}
	if !n.Task.Worker.IsZero() {
		event.Worker = &wire.TaskEventWorker{Uuid: n.Task.Worker.UUID, Name: n.Task.WorkerName}
	}
	return event
}

func workerEvent(n scheduler.WorkerChanged) wire.WorkerEvent {
	event := wire.WorkerEvent{
		Id: n.Worker.ID.UUID, Name: n.Worker.Name, Updated: n.Worker.Updated.UTC(), LastSeen: optionalTime(n.Worker.LastSeen),
		Status: wire.WorkerStatus(n.Worker.Status), PreviousStatus: optional(wire.WorkerStatus(n.Previous)),
		StatusChange: statusChange(n.Worker), Version: n.Worker.Software, CanRestart: n.Worker.CanRestart,
	}
	if n.Deleted {
		event.DeletedAt = optionalTime(n.Worker.Updated)
	}
	return event
}
