package scheduler

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// statusesOf lists every status of an entity as text.
func statusesOf(e Entity) []string {
	switch e {
	case EntityJob:
		return from(JobStatuses...)
	case EntityTask:
		return from(TaskStatuses...)
	default:
		return from(WorkerStatuses...)
	}
}

func next(e Entity, status string, ev Event) (string, error) {
	switch e {
	case EntityJob:
		to, _, err := NextJob(JobStatus(status), ev)
		return string(to), err
	case EntityTask:
		to, err := NextTask(TaskStatus(status), ev)
		return string(to), err
	default:
		to, _, err := NextWorker(WorkerStatus(status), ev)
		return string(to), err
	}
}

func allEvents() []Event {
	var events []Event
	for _, e := range []Entity{EntityJob, EntityTask, EntityWorker} {
		for _, ev := range Events(e) {
			if !slices.Contains(events, ev) {
				events = append(events, ev)
			}
		}
	}
	return events
}

// listed looks a pair up in the table by walking it, without the index that the code under test uses.
func listed(e Entity, status string, ev Event) (string, int) {
	to, rows := "", 0
	for _, t := range Transitions {
		if t.Entity == e && t.Event == ev && slices.Contains(t.From, status) {
			to, rows = t.To, rows+1
		}
	}
	return to, rows
}

func TestEveryPairIsListedOnceOrRefused(t *testing.T) {
	walked := 0
	for _, e := range []Entity{EntityJob, EntityTask, EntityWorker} {
		for _, status := range statusesOf(e) {
			for _, ev := range allEvents() {
				walked++
				want, rows := listed(e, status, ev)
				got, err := next(e, status, ev)
				switch {
				case rows > 1:
					t.Errorf("%s %s %s has %d rows", e, status, ev, rows)
				case rows == 1 && (err != nil || got != want):
					t.Errorf("%s %s %s gives %s, %v; want %s", e, status, ev, got, err, want)
				case rows == 0 && !errors.Is(err, ErrTransition):
					t.Errorf("%s %s %s is not listed but gives %s, %v", e, status, ev, got, err)
				case rows == 0 && got != status:
					t.Errorf("%s %s %s was refused but went to %s", e, status, ev, got)
				}
			}
		}
	}
	if want := (len(JobStatuses) + len(TaskStatuses) + len(WorkerStatuses)) * len(allEvents()); walked != want {
		t.Fatalf("walked %d pairs, want %d", walked, want)
	}
}

func TestTableSpeaksOfKnownStatusesOnly(t *testing.T) {
	for _, row := range Transitions {
		known := statusesOf(row.Entity)
		for _, s := range append([]string{row.To}, row.From...) {
			if !slices.Contains(known, s) {
				t.Errorf("%s %s names status %q", row.Entity, row.Event, s)
			}
		}
	}
}

// What must never be possible, said apart from the table.
func TestForbiddenMoves(t *testing.T) {
	forbidden := []struct {
		e        Entity
		from, to string
		why      string
	}{
		{EntityTask, "completed", "active", "a done task renders again only after it was queued"},
		{EntityTask, "completed", "canceled", "what is done stays done"},
		{EntityTask, "completed", "failed", "what is done stays done"},
		{EntityTask, "canceled", "active", "a canceled task must be queued first"},
		{EntityTask, "failed", "active", "a failed task must be queued first"},
		{EntityTask, "paused", "active", "a paused task must be queued first"},
		{EntityTask, "queued", "completed", "only a worker completes a task"},
		{EntityJob, "paused", "active", "a paused job stays paused until somebody resumes it"},
		{EntityJob, "paused", "failed", "nothing runs in a paused job"},
		{EntityJob, "completed", "canceled", "what is done stays done"},
		{EntityJob, "completed", "active", "a done job is queued first"},
		{EntityWorker, "offline", "error", "a worker that signed off is not missing"},
	}
	for _, f := range forbidden {
		for _, ev := range allEvents() {
			if to, err := next(f.e, f.from, ev); err == nil && to == f.to && f.from != f.to {
				t.Errorf("%s: %s goes from %s to %s by %s", f.why, f.e, f.from, f.to, ev)
			}
		}
	}
}

func TestNothingIsStuck(t *testing.T) {
	start := map[Entity]string{EntityJob: string(JobUnderConstruction), EntityTask: string(TaskQueued), EntityWorker: string(WorkerOffline)}
	for e, initial := range start {
		reached := map[string]bool{initial: true}
		for todo := []string{initial}; len(todo) > 0; todo = todo[1:] {
			for _, ev := range Events(e) {
				if to, err := next(e, todo[0], ev); err == nil && !reached[to] {
					reached[to] = true
					todo = append(todo, to)
				}
			}
		}
		for _, s := range statusesOf(e) {
			if !reached[s] {
				t.Errorf("no way leads to %s %s", e, s)
			}
			if !slices.ContainsFunc(Events(e), func(ev Event) bool {
				to, err := next(e, s, ev)
				return err == nil && to != s
			}) {
				t.Errorf("no way leads out of %s %s", e, s)
			}
		}
	}
}

func TestTableIsPrinted(t *testing.T) {
	var table, diagram strings.Builder
	if err := WriteTransitions(&table); err != nil {
		t.Fatal(err)
	}
	for _, row := range Transitions {
		if !strings.Contains(table.String(), "| "+string(row.Event)+" | "+strings.Join(row.From, ", ")+" |") {
			t.Errorf("the printed table lacks %s %s", row.Entity, row.Event)
		}
	}
	if err := WriteDiagram(&diagram, EntityJob); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(diagram.String(), "pause_requested --> paused: paused") {
		t.Errorf("diagram lacks the end of a pause:\n%s", &diagram)
	}
}
