package flamencotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A shape says what is wrong with a decoded JSON value, or nothing. Numbers come as json.Number.
type shape func(value any) error

// fields are the members of an object. A name that ends in "?" may be absent. Members that are not named are ignored, as
// all of Flamenco's clients do.
type fields map[string]shape

var (
	errNotText   = errors.New("is not text")
	errNotWhole  = errors.New("is not a whole number of 64 bits")
	errNotFlag   = errors.New("is neither true nor false")
	errNotList   = errors.New("is not a list")
	errNotObject = errors.New("is not an object")
)

func anything(any) error { return nil }

func text(value any) error {
	if _, ok := value.(string); !ok {
		return errNotText
	}
	return nil
}

func flag(value any) error {
	if _, ok := value.(bool); !ok {
		return errNotFlag
	}
	return nil
}

// whole refuses 50.0 too: the add-on's client tells int from float by how the number is written.
func whole(value any) error {
	n, ok := value.(json.Number)
	if !ok {
		return errNotWhole
	}
	if _, err := n.Int64(); err != nil {
		return errNotWhole
	}
	return nil
}

func id(value any) error {
	s, ok := value.(string)
	if !ok {
		return errNotText
	}
	parsed, err := uuid.Parse(s)
	if err != nil || parsed.String() != s {
		return fmt.Errorf("%q is not a UUID in lower case", s)
	}
	return nil
}

func moment(value any) error {
	s, ok := value.(string)
	if !ok {
		return errNotText
	}
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return fmt.Errorf("%q is not a time as of RFC 3339", s)
	}
	return nil
}

func oneOf(values ...string) shape {
	return func(value any) error {
		s, ok := value.(string)
		if !ok {
			return errNotText
		}
		if !slices.Contains(values, s) {
			return fmt.Errorf("%q is none of %s", s, strings.Join(values, ", "))
		}
		return nil
	}
}

func listOf(item shape) shape {
	return func(value any) error {
		list, ok := value.([]any)
		if !ok {
			return errNotList
		}
		for i, each := range list {
			if err := item(each); err != nil {
				return fmt.Errorf("[%d] %w", i, err)
			}
		}
		return nil
	}
}

func mapOf(item shape) shape {
	return func(value any) error {
		members, ok := value.(map[string]any)
		if !ok {
			return errNotObject
		}
		for name, each := range members {
			if err := item(each); err != nil {
				return fmt.Errorf("%s %w", name, err)
			}
		}
		return nil
	}
}

func object(members fields) shape {
	return func(value any) error {
		there, ok := value.(map[string]any)
		if !ok {
			return errNotObject
		}
		for name, each := range members {
			name, optional := strings.CutSuffix(name, "?")
			member, present := there[name]
			switch {
			case !present && optional:
			case !present:
				return fmt.Errorf("%s is missing", name)
			default:
				if err := each(member); err != nil {
					return fmt.Errorf("%s %w", name, err)
				}
			}
		}
		return nil
	}
}

// decode checks one JSON document and, when its shape is right, reads it into target, which may be nil.
func decode(body []byte, want shape, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON document")
	}
	if err := want(value); err != nil {
		return err
	}
	if target == nil {
		return nil
	}
	return json.Unmarshal(body, target)
}

// Enumerations of section 3; each client knows these names and no others.
var (
	jobStatus = oneOf("active", "canceled", "completed", "failed", "paused", "pause-requested", "queued", "cancel-requested",
		"requeueing", "under-construction")
	taskStatus   = oneOf("active", "canceled", "completed", "failed", "queued", "soft-failed", "paused")
	workerStatus = oneOf("starting", "awake", "asleep", "error", "testing", "offline", "restart")
)

// Shapes of section 3.
var (
	versionShape       = object(fields{"version": text, "shortversion": text, "name": text, "git": text})
	sharedStorageShape = object(fields{"location": text, "audience": oneOf("users", "workers"), "platform": text, "shamanEnabled": flag})
	errorShape         = object(fields{"code": whole, "message": text})
	refusalShape       = object(fields{"message": text}) // without a code: validation and sign-in
	tagsShape          = object(fields{"tags": listOf(object(fields{"id": id, "name": text, "description?": text}))})

	jobTypesShape = object(fields{"job_types": listOf(object(fields{
		"name": text, "label": text, "description?": text, "etag": text, "settings": listOf(settingShape),
	}))})
	settingShape = object(fields{
		"key": text, "type": oneOf("string", "int32", "float", "bool"),
		"subtype?": oneOf("file_path", "dir_path", "file_name", "hashed_file_path"), "choices?": listOf(text), "propargs?": mapOf(anything),
		"description?": text, "label?": text, "default?": anything, "eval?": text,
		"evalInfo?": object(fields{"showLinkButton": flag, "description": text}),
		"visible?":  oneOf("visible", "hidden", "submission", "web"), "required?": flag, "editable?": flag,
	})
	submittedJobMembers = fields{
		"name": text, "type": text, "type_etag?": text, "priority": whole, "submitter_platform": text, "settings?": mapOf(anything),
		"metadata?": mapOf(text), "storage?": object(fields{"shaman_checkout_id?": text}), "worker_tag?": id, "initial_status?": jobStatus,
	}
	jobShape = both(object(submittedJobMembers), object(fields{
		"id": id, "created": moment, "updated": moment, "status": jobStatus, "activity": text,
		"steps_completed": whole, "steps_total": whole, "delete_requested_at?": moment,
	}))

	registrationShape   = object(fields{"name": text, "secret": text, "platform": text, "supported_task_types": listOf(text)})
	registeredShape     = object(fields{"uuid": id, "name": text, "address": text, "status": text, "platform": text, "software": text, "supported_task_types": listOf(text)})
	signOnShape         = object(fields{"name": text, "supported_task_types": listOf(text), "software_version": text, "can_restart?": flag})
	requestedShape      = object(fields{"status_requested": workerStatus})
	stateChangedShape   = object(fields{"status": workerStatus})
	mayKeepRunShape     = object(fields{"mayKeepRunning": flag, "reason": text, "statusChangeRequested": flag})
	taskUpdateShape     = object(fields{"taskStatus?": taskStatus, "activity?": text, "log?": text, "steps_completed?": whole})
	assignedTaskShape   = object(assignedTaskMembers)
	requirementsShape   = object(fields{"files": listOf(object(fields{"sha": text, "size": whole, "path": text, "status": oneOf("unknown", "uploading")}))})
	fileStatusShape     = object(fields{"status": oneOf("unknown", "uploading", "stored")})
	checkoutShape       = object(fields{"checkoutPath": text})
	assignedTaskMembers = fields{
		"uuid": id, "job": id, "name": text, "status": oneOf("active"), "priority": whole, "job_priority": whole, "job_type": text, "task_type": text,
		"commands":        listOf(object(fields{"name": text, "parameters": mapOf(anything), "total_step_count": whole})),
		"steps_completed": whole, "steps_total": whole,
	}
)

func both(one, other shape) shape {
	return func(value any) error {
		if err := one(value); err != nil {
			return err
		}
		return other(value)
	}
}
