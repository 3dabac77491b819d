package flamencotest

import (
	"io"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// jobID is the one job that a simulated manager has.
var jobID = uuid.NewString()

func (m *Manager) schedule(w http.ResponseWriter, _ *http.Request, caller *workerRecord, id string) {
	m.mu.Lock()
	if next := caller.requested; next != "" {
		m.mu.Unlock()
		reply(w, http.StatusLocked, map[string]string{"status_requested": next})
		return
	}
	if status := caller.status; status != "awake" {
		m.mu.Unlock()
		refuse(w, http.StatusConflict, "worker is %q and not awake", status)
		return
	}
	t := m.next(caller, id)
	if t == nil {
		m.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	t.worker, t.record.Status = id, "active"
	m.announce()
	body := map[string]any{
		"uuid": t.id, "job": jobID, "name": t.spec.Name, "status": "active", "priority": 50, "job_priority": 50, "job_type": "simulated",
		"task_type": t.spec.Type, "commands": t.spec.Commands, "steps_completed": t.record.Steps, "steps_total": t.steps,
	}
	m.mu.Unlock()
	reply(w, http.StatusOK, body)
}

// next gives a worker the task that it has already, or the first that it may have. It needs the lock.
func (m *Manager) next(caller *workerRecord, id string) *task {
	for _, t := range m.order {
		if t.record.Status == "active" && t.worker == id {
			return t
		}
	}
	for _, t := range m.order {
		waits := slices.ContainsFunc(t.spec.After, func(before string) bool {
			other := m.find(before)
			return other == nil || other.record.Status != "completed"
		})
		if t.record.Status == "queued" && !waits && slices.Contains(caller.types, t.spec.Type) {
			return t
		}
	}
	return nil
}

func (m *Manager) update(w http.ResponseWriter, r *http.Request, _ *workerRecord, id string) {
	var body struct {
		Status   string  `json:"taskStatus"`
		Activity *string `json:"activity"`
		Log      string  `json:"log"`
		Steps    *int    `json:"steps_completed"`
	}
	if !m.read(w, r, taskUpdateShape, &body) {
		return
	}
	if body.Status == "soft-failed" {
		m.fault("a worker must not send soft-failed; that is the manager's to decide")
		refuse(w, http.StatusBadRequest, "a worker cannot set this status")
		return
	}
	m.mu.Lock()
	status := m.take(id, r.PathValue("task"), func(t *task) {
		t.record.Updates++
		t.record.Log += body.Log
		if body.Activity != nil {
			t.record.Activity = *body.Activity
		}
		if body.Steps != nil {
			t.record.Steps = *body.Steps
		}
		if body.Status != "" {
			t.record.Status = body.Status
		}
		if body.Status == "completed" {
			t.record.Steps = t.steps
		}
	})
	m.mu.Unlock()
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	refuse(w, status, "task %s is not assigned to you", r.PathValue("task"))
}

// take changes a task in the name of its worker and gives the status to answer with. It needs the lock.
func (m *Manager) take(worker, id string, change func(*task)) int {
	t := m.find(id)
	switch {
	case t == nil:
		return http.StatusNotFound
	case t.worker != worker:
		return http.StatusConflict
	}
	change(t)
	m.announce()
	return http.StatusNoContent
}

func (m *Manager) mayRun(w http.ResponseWriter, r *http.Request, caller *workerRecord, id string) {
	m.mu.Lock()
	t := m.find(r.PathValue("task"))
	may, reason, change := true, "", false
	switch {
	case t == nil:
		may, reason = false, "Task not found"
	case caller.requested != "" && !caller.lazy:
		may, reason, change = false, "worker status change requested", true
	case t.worker != id:
		may, reason = false, "task is not assigned to this worker"
	case t.record.Status != "active":
		may, reason = false, "task is "+t.record.Status
	}
	m.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"mayKeepRunning": may, "reason": reason, "statusChangeRequested": change})
}

func (m *Manager) output(w http.ResponseWriter, r *http.Request, _ *workerRecord, _ string) {
	switch kind := r.Header.Get("Content-Type"); {
	case r.ContentLength <= 0:
		m.fault("a picture came without its length")
		refuse(w, http.StatusLengthRequired, "length required")
		return
	case r.ContentLength > maxImage:
		refuse(w, http.StatusRequestEntityTooLarge, "image too large")
		return
	case kind != "image/jpeg" && kind != "image/png":
		m.fault("a picture came as %q", kind)
		refuse(w, http.StatusUnsupportedMediaType, "unsupported type %q", kind)
		return
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxImage)); err != nil {
		return // the worker went away
	}
	m.mu.Lock()
	t := m.find(r.PathValue("task"))
	if t != nil {
		t.record.Images++
		m.announce()
	}
	m.mu.Unlock()
	if t == nil {
		reply(w, http.StatusNotFound, "Task does not exist")
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
