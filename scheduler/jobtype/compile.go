package jobtype

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dop251/goja"
)

// Request is a job that is to be compiled.
type Request struct {
	JobID string
	Name  string
	// Type is the name of the job type.
	Type string
	// Etag is that of the job type which the submitter knew; empty skips the check.
	Etag     string
	Priority int
	Status   string
	Created  time.Time
	// Settings are what a JSON decoder makes of the job's settings.
	Settings map[string]any
	Metadata map[string]string
	// CheckoutID is the Shaman checkout of the job's files; empty means none.
	CheckoutID string
	// WorkerTag is the id of the worker tag; empty means any worker.
	WorkerTag string
}

// Compiled is what a job type made of a job.
type Compiled struct {
	// Settings are the job's settings with defaults filled in and with the script's own changes, as a JSON decoder gives
	// them: numbers are float64.
	Settings map[string]any
	// Tasks are in the order in which the script added them. There may be none.
	Tasks []Task
}

// Compile runs a job type on one job. It waits for a free slot, then takes at most the time limit.
//
// Errors, to be tested with errors.Is: [ErrUnknownJobType], [ErrBrokenJobType], [ErrEtagMismatch], [ErrBadSetting] before
// the script has run; [ErrCompile] and [ErrTimeLimit], with a [ScriptError] that has the place, after that. A script that
// fails on a frame range gives [ErrFrameRange] as well. If ctx ends first, its cause is returned.
func (l *Library) Compile(ctx context.Context, r Request) (Compiled, error) {
	s := l.current.Load()
	found, err := s.find(r.Type)
	if err != nil {
		return Compiled{}, err
	}
	if r.Etag != "" && r.Etag != found.jobType.Etag {
		return Compiled{}, fmt.Errorf("%w: %q; refresh the job types and submit again", ErrEtagMismatch, r.Type)
	}
	if r.Settings, err = found.jobType.settle(r.Settings); err != nil {
		return Compiled{}, fmt.Errorf("job type %q: %w", r.Type, err)
	}
	var compiled Compiled
	err = l.run(ctx, s, found.file, func(e *engine) error {
		compiled, err = e.compileJob(r)
		return err
	})
	if err != nil {
		return Compiled{}, fmt.Errorf("job type %q: %w", r.Type, err)
	}
	return compiled, nil
}

func (e *engine) compileJob(r Request) (Compiled, error) {
	job, err := e.jobObject(r)
	if err != nil {
		return Compiled{}, err
	}
	value, err := e.vm.RunProgram(askCompileJob)
	if err != nil {
		return Compiled{}, err
	}
	compileJob, _ := goja.AssertFunction(value)
	result, err := compileJob(goja.Undefined(), job)
	if err != nil {
		return Compiled{}, err
	}
	if err := e.settled(result); err != nil {
		return Compiled{}, err
	}
	settings, err := e.settingsOf(job)
	if err != nil {
		return Compiled{}, err
	}
	tasks, err := e.plan.finish()
	if err != nil {
		return Compiled{}, err
	}
	return Compiled{Settings: settings, Tasks: tasks}, nil
}

// settled refuses what an async compileJob returns unless it has ended well: nobody would see its error otherwise.
func (e *engine) settled(result goja.Value) error {
	promise, ok := result.Export().(*goja.Promise)
	if !ok {
		return nil
	}
	switch promise.State() {
	case goja.PromiseStateRejected:
		return &ScriptError{File: e.file.name, Message: e.message(promise.Result()), cause: []error{ErrCompile}}
	case goja.PromiseStateFulfilled:
	case goja.PromiseStatePending:
		return &ScriptError{
			File: e.file.name, Message: "compileJob waits for something that never comes; make it end by itself",
			cause: []error{ErrCompile},
		}
	}
	return nil
}

// jobObject is the argument of compileJob.
func (e *engine) jobObject(r Request) (*goja.Object, error) {
	created, err := e.vm.New(e.vm.Get("Date"), e.vm.ToValue(r.Created.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("pass the creation time to the script: %w", err)
	}
	settings, err := e.plainObject(r.Settings)
	if err != nil {
		return nil, fmt.Errorf("pass the settings to the script: %w", err)
	}
	metadata, err := e.plainObject(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("pass the metadata to the script: %w", err)
	}
	storage, err := e.object(map[string]any{"shamanCheckoutID": r.CheckoutID})
	if err != nil {
		return nil, err
	}
	job, err := e.object(map[string]any{
		"jobID":         r.JobID,
		"name":          r.Name,
		"jobType":       r.Type,
		"priority":      r.Priority,
		"status":        r.Status,
		"created":       created,
		"settings":      settings,
		"metadata":      metadata,
		"storage":       storage,
		"workerTagUUID": r.WorkerTag,
		"addTask":       e.addTask,
	})
	if err != nil {
		return nil, err
	}
	tasks := e.vm.ToValue(e.addedTasks)
	if err := job.DefineAccessorProperty("tasks", tasks, nil, goja.FLAG_FALSE, goja.FLAG_TRUE); err != nil {
		return nil, fmt.Errorf("define tasks for scripts: %w", err)
	}
	return job, nil
}

// addedTasks is the property job.tasks.
func (e *engine) addedTasks(goja.FunctionCall) goja.Value {
	tasks := make([]any, len(e.plan.authored))
	for i, t := range e.plan.authored {
		tasks[i] = t.object
	}
	return e.vm.NewArray(tasks...)
}

// plainObject makes a JavaScript object of what has a JSON form. A Go map would behave differently from one in scripts.
func (e *engine) plainObject(value any) (goja.Value, error) {
	text, err := marshalPlain(value)
	if err != nil {
		return nil, err
	}
	if string(text) == "null" {
		return e.vm.NewObject(), nil
	}
	return e.parseJSON(goja.Undefined(), e.vm.ToValue(string(text)))
}

// settingsOf reads back job.settings after the script may have changed it.
func (e *engine) settingsOf(job *goja.Object) (map[string]any, error) {
	object, ok := job.Get("settings").(*goja.Object)
	if !ok {
		return nil, e.badSettings(errors.New("it is no object any more"))
	}
	text, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, e.badSettings(err)
	}
	return settings, nil
}

func (e *engine) badSettings(err error) error {
	return &ScriptError{
		File: e.file.name, Message: fmt.Sprintf("the script left job.settings in a bad state: %v", err),
		cause: []error{ErrCompile},
	}
}
