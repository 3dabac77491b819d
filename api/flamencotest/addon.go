package flamencotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"
)

// AddonVersion is the version of the originals that are played.
const AddonVersion = "3.9-beta1"

var (
	// ErrVersion says that the manager is of another version than the add-on, which then refuses to submit.
	ErrVersion = errors.New("the manager has another version than the add-on; it would have to be forced")
	// ErrOutdated says that the manager has another job type than the one that the add-on knows.
	ErrOutdated = errors.New("the job type is old; refresh")
	// ErrTransfer says that the files did not get to the farm.
	ErrTransfer = errors.New("the files could not be sent")
)

// RefusedError is the manager's no to a job, as the artist gets to see it.
type RefusedError struct{ Message string }

func (e *RefusedError) Error() string { return "the manager refused the job: " + e.Message }

// Packing is the generation of the code that sends a project's files.
type Packing int

// BAT v2 is used by Blender from 5.1.1 on, BAT v1 before that.
const (
	PackingV1 Packing = 1
	PackingV2 Packing = 2
)

// Addon is a simulated add-on of Flamenco 3.9. Manager, HTTP and Fault are required.
type Addon struct {
	Manager string
	HTTP    *http.Client
	Fault   Fault
	Observe func(Exchange)   // may be nil
	Now     func() time.Time // names the folders of copied projects; time.Now by default
}

// Submission is a job as an artist sends it.
type Submission struct {
	Name    string
	JobType string
	// Project is the folder whose files travel, all of them; Blend is the path of the scene in it. Without Blend nothing
	// travels and the job has no blendfile.
	Project, Blend string
	// Settings are the values of settings that the artist set, and those that an eval would have given inside Blender.
	Settings map[string]any
	Priority int // 50 by default
	Packing  Packing
	Paused   bool
	Tag      string // UUID of a worker tag; empty for all workers
	Etag     string // overrides the etag of the job type, as one that was cached long ago does
}

// SubmittedJob is what the manager made of a submission.
type SubmittedJob struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Status   string         `json:"status"`
	Settings map[string]any `json:"settings"`
	Storage  struct {
		Checkout string `json:"shaman_checkout_id"`
	} `json:"storage"`
	Uploads int `json:"-"` // files that had to travel, by Shaman
}

// Info is what an add-on asks a manager before it shows anything.
type Info struct {
	Location string // the folder of the farm's jobs
	Shaman   bool
	JobTypes []JobType
	Tags     map[string]string // names by UUID
}

// JobType is a job type as the add-on knows it.
type JobType struct {
	Name     string `json:"name"`
	Etag     string `json:"etag"`
	Settings []struct {
		Key     string `json:"key"`
		Type    string `json:"type"`
		Eval    string `json:"eval"`
		Default any    `json:"default"`
	} `json:"settings"`
}

func (a *Addon) caller() caller {
	return newCaller(a.Manager, "Flamenco/"+AddonVersion+" (Blender add-on)", a.HTTP, a.Observe)
}

// get asks for something that the add-on cannot do without.
func (a *Addon) get(ctx context.Context, path string, want shape, target any) error {
	got, err := a.caller().call(ctx, message{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	return a.success(got, want, target)
}

// success takes 200 to 299 for good, and reads the body with the strictness of the add-on's client.
func (a *Addon) success(got answer, want shape, target any) error {
	if got.status < 200 || got.status > 299 {
		return fmt.Errorf("%v", got)
	}
	if err := got.read(want, target); err != nil {
		a.Fault("the add-on's client raises an exception: %v: %v", err, got)
		return fmt.Errorf("%v: %w", got, err)
	}
	return nil
}

// Refresh asks the four questions that begin every submission. ErrVersion comes with a usable answer.
func (a *Addon) Refresh(ctx context.Context) (Info, error) {
	var version struct {
		Short string `json:"shortversion"`
	}
	var storage struct {
		Location string `json:"location"`
		Shaman   bool   `json:"shamanEnabled"`
	}
	var types struct {
		JobTypes []JobType `json:"job_types"`
	}
	var tags struct {
		Tags []struct{ ID, Name string } `json:"tags"`
	}
	for _, question := range []struct {
		path   string
		want   shape
		target any
	}{
		{"/version", versionShape, &version},
		{"/configuration/shared-storage/users/" + runtime.GOOS, sharedStorageShape, &storage},
		{"/jobs/types", jobTypesShape, &types},
		{"/worker-mgt/tags", tagsShape, &tags},
	} {
		if err := a.get(ctx, question.path, question.want, question.target); err != nil {
			return Info{}, fmt.Errorf("refresh: %w", err)
		}
	}
	info := Info{Location: storage.Location, Shaman: storage.Shaman, JobTypes: types.JobTypes, Tags: map[string]string{}}
	for _, tag := range tags.Tags {
		info.Tags[tag.ID] = tag.Name
	}
	if version.Short != AddonVersion {
		return info, fmt.Errorf("%w: %q", ErrVersion, version.Short)
	}
	return info, nil
}

// Submit sends a job: the four questions, the check, the files, the job.
func (a *Addon) Submit(ctx context.Context, s Submission) (SubmittedJob, error) {
	info, err := a.Refresh(ctx)
	if err != nil {
		return SubmittedJob{}, err
	}
	job, err := newJob(info, s)
	if err != nil {
		return SubmittedJob{}, err
	}
	settings := job["settings"].(map[string]any)
	if s.Blend != "" {
		settings["blendfile"] = "dummy-for-job-check.blend"
	}
	checked, err := a.caller().call(ctx, asJSON("/jobs/check", job))
	if err != nil {
		return SubmittedJob{}, err
	}
	if err := a.verdict(checked); err != nil {
		return SubmittedJob{}, err
	}
	var sent transfer
	if s.Blend != "" {
		if sent, err = a.transfer(ctx, info, s); err != nil {
			return SubmittedJob{}, err
		}
		settings["blendfile"] = sent.blendfile
	}
	if s.Packing == PackingV1 && sent.checkout != "" {
		job["storage"] = map[string]string{"shaman_checkout_id": sent.checkout}
	}
	submitted, err := a.post(ctx, job)
	submitted.Uploads = sent.uploads
	return submitted, err
}

// post hands a job in.
func (a *Addon) post(ctx context.Context, job map[string]any) (SubmittedJob, error) {
	got, err := a.caller().call(ctx, asJSON("/jobs", job))
	if err != nil {
		return SubmittedJob{}, err
	}
	if err := a.verdict(got); err != nil {
		return SubmittedJob{}, err
	}
	var submitted SubmittedJob
	err = a.success(got, jobShape, &submitted)
	return submitted, err
}

// verdict reads what a manager thinks of a job.
func (a *Addon) verdict(got answer) error {
	switch {
	case got.status == http.StatusPreconditionFailed:
		return ErrOutdated
	case got.status == http.StatusBadRequest:
		var said struct {
			Message string `json:"message"`
		}
		if err := got.read(refusalShape, &said); err != nil || said.Message == "" {
			a.Fault("the add-on shows the message of a refusal, but there is none: %v (%v)", got, err)
		}
		return &RefusedError{Message: said.Message}
	case got.status < 200 || got.status > 299:
		return fmt.Errorf("%v", got)
	}
	return nil
}

// newJob puts the body of a submission together.
func newJob(info Info, s Submission) (map[string]any, error) {
	at := slices.IndexFunc(info.JobTypes, func(t JobType) bool { return t.Name == s.JobType })
	if at < 0 {
		return nil, fmt.Errorf("the manager has no job type %q", s.JobType)
	}
	jobType := info.JobTypes[at]
	settings, err := settingsOf(jobType, s)
	if err != nil {
		return nil, err
	}
	job := map[string]any{
		"name": s.Name, "type": s.JobType, "type_etag": jobType.Etag, "priority": 50, "settings": settings,
		"metadata": map[string]string{}, "submitter_platform": runtime.GOOS, "initial_status": "queued",
	}
	if s.Etag != "" {
		job["type_etag"] = s.Etag
	}
	if s.Priority != 0 {
		job["priority"] = s.Priority
	}
	if s.Paused {
		job["initial_status"] = "paused"
	}
	if s.Tag != "" {
		job["worker_tag"] = s.Tag
	}
	return job, nil
}

// settingsOf gives each setting of a job type a value, as each is a property in Blender.
func settingsOf(jobType JobType, s Submission) (map[string]any, error) {
	settings := map[string]any{}
	for _, setting := range jobType.Settings {
		if setting.Key == "blendfile" && s.Blend != "" {
			continue
		}
		value, given := s.Settings[setting.Key]
		switch {
		case given:
		case setting.Eval != "":
			return nil, fmt.Errorf("setting %s is computed in Blender by %s: give its value", setting.Key, setting.Eval)
		case setting.Default != nil:
			value = setting.Default
		default:
			value = map[string]any{"string": "", "int32": 0, "float": 0.0, "bool": false}[setting.Type]
		}
		settings[setting.Key] = value
	}
	for name := range s.Settings {
		if _, known := settings[name]; !known {
			return nil, fmt.Errorf("job type %s has no setting %q", s.JobType, name)
		}
	}
	return settings, nil
}

// Ask reads any JSON of the manager, for tests that look at what became of a job. Numbers come as float64.
func (a *Addon) Ask(ctx context.Context, path string, target any) error {
	got, err := a.caller().call(ctx, message{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return fmt.Errorf("%v", got)
	}
	return json.Unmarshal(got.body, target)
}
