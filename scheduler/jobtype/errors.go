package jobtype

import (
	"errors"
	"fmt"
	"strings"
)

// Errors by meaning. They are wrapped with the job type and what is wrong; callers test with [errors.Is].
var (
	// ErrUnknownJobType: no script has that name. The message lists the names there are.
	ErrUnknownJobType = errors.New("unknown job type")
	// ErrBrokenJobType: the script is there, but it could not be loaded. The message says why.
	ErrBrokenJobType = errors.New("job type cannot be used")
	// ErrEtagMismatch: the job was made with another version of the job type.
	ErrEtagMismatch = errors.New("job type has changed since the job was made")
	// ErrBadSetting: a required setting is missing, or a setting does not fit its declaration.
	ErrBadSetting = errors.New("setting refused")
	// ErrCompile: the script threw, or what it made is no valid job. See [ScriptError] for the place.
	ErrCompile = errors.New("job does not compile")
	// ErrTimeLimit: the script was stopped because it took too long.
	ErrTimeLimit = errors.New("job type script took too long")
	// ErrMemoryLimit: the script was stopped because memory grew too much while it ran. It comes with [ErrCompile].
	ErrMemoryLimit = errors.New("job type script took too much memory")
)

// ScriptError is a failure inside of a script.
type ScriptError struct {
	// File is the script's path in its folder, with forward slashes. It is empty when the place is not known.
	File string
	// Line and Column count from 1. They are 0 when the place is not known.
	Line, Column int
	// Message is what the script threw, or what the engine says.
	Message string
	// cause is what the error means to a caller, besides being a ScriptError.
	cause []error
}

func (e *ScriptError) Error() string {
	if place := e.Place(); place != "" {
		return e.Message + " (" + place + ")"
	}
	return e.Message
}

// Place returns "file:line:column", as far as they are known.
func (e *ScriptError) Place() string {
	if e.File == "" || e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// Unwrap gives [ErrCompile] or [ErrTimeLimit], perhaps [ErrMemoryLimit], and the error that a function of the API threw into the script.
func (e *ScriptError) Unwrap() []error { return e.cause }

// unknownJobType is the error for a name that no script has.
func unknownJobType(name string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("%w %q: there are none", ErrUnknownJobType, shorten(name))
	}
	return fmt.Errorf("%w %q: use one of %s", ErrUnknownJobType, shorten(name), strings.Join(known, ", "))
}

// badSetting is the error for one setting; problem continues the sentence after the setting's name.
func badSetting(key string, problem error) error {
	return fmt.Errorf("%w: %q %w", ErrBadSetting, key, problem)
}
