package worker

import (
	"fmt"
	"strconv"
	"time"

	"hayloft/api/wire"
)

// params reads the parameters of a command. Types are strict: a number where a text belongs counts as missing.
type params struct{ wire.Command }

func (p params) missing(name, kind string) error {
	if _, there := p.Parameters[name]; !there {
		return fmt.Errorf("parameter %q is missing", name)
	}
	return fmt.Errorf("parameter %q must be %s", name, kind)
}

// text gives a parameter that must be there and not empty.
func (p params) text(name string) (string, error) {
	s, ok := p.Parameters[name].(string)
	if !ok || s == "" {
		return "", p.missing(name, "a text that is not empty")
	}
	return s, nil
}

// optionalText gives an empty text when the parameter is absent.
func (p params) optionalText(name string) (string, error) {
	value, there := p.Parameters[name]
	s, ok := value.(string)
	if there && value != nil && !ok {
		return "", p.missing(name, "a text")
	}
	return s, nil
}

// list gives a list of scalars as texts; absent means empty.
func (p params) list(name string) ([]string, error) {
	value := p.Parameters[name]
	if value == nil {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok {
		return nil, p.missing(name, "a list")
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if texts[i], ok = scalar(item); !ok {
			return nil, p.missing(name, "a list of texts and numbers")
		}
	}
	return texts, nil
}

// words gives a parameter that is split like a shell command.
func (p params) words(name string) ([]string, error) {
	s, err := p.optionalText(name)
	if err != nil {
		return nil, err
	}
	words, err := splitWords(s)
	if err != nil {
		return nil, fmt.Errorf("parameter %q: %w", name, err)
	}
	return words, nil
}

// program gives the program of a command, which find resolves on this machine, and the arguments that belong to it.
func (p params) program(find func(exe string) (string, error)) ([]string, error) {
	exe, err := p.text("exe")
	if err != nil {
		return nil, err
	}
	args, err := p.words("exeArgs")
	if err != nil {
		return nil, err
	}
	found, err := find(exe)
	if err != nil {
		return nil, err
	}
	return append([]string{found}, args...), nil
}

func (p params) number(name string) (float64, error) {
	n, ok := p.Parameters[name].(float64)
	if !ok {
		return 0, p.missing(name, "a number")
	}
	return n, nil
}

// seconds gives an optional limit in whole seconds; absent or zero gives the fallback.
func (p params) seconds(name string, fallback time.Duration) (time.Duration, error) {
	if p.Parameters[name] == nil {
		return fallback, nil
	}
	n, err := p.number(name)
	if err != nil || n < 0 || n > 1e9 {
		return 0, p.missing(name, "a number of seconds that is not negative")
	}
	if n == 0 {
		return fallback, nil
	}
	return time.Duration(n) * time.Second, nil
}

// stepCount is the number of steps that the manager counts for the command, at least one.
func (p params) stepCount() int {
	if p.TotalStepCount == nil {
		return 1
	}
	return max(1, *p.TotalStepCount)
}

// scalar writes a JSON scalar as text.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
