package variables

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Audience is who a value is for.
type Audience string

// The audiences. A value whose audience is empty is for all.
const (
	ForAll     Audience = "all"
	ForWorkers Audience = "workers"
	ForUsers   Audience = "users"
)

// AllPlatforms is the platform of values that hold wherever no more specific one does.
const AllPlatforms = "all"

// ErrInvalid marks a set of variables that cannot be used. The message names the variable and what is wrong with it.
var ErrInvalid = errors.New("invalid variable")

// Set is the variables of a farm by name, without braces.
type Set map[string]Variable

// Variable is what one name means to whom.
type Variable struct {
	// IsTwoWay says that the values are path prefixes, which are recognised in the settings of submitted jobs.
	IsTwoWay bool
	Values   []Value
}

// Value is one meaning of a variable.
type Value struct {
	// Platforms are names as in runtime.GOOS, or [AllPlatforms], which is also what an empty list means.
	Platforms []string
	// Audience is empty or [ForAll] for everybody.
	Audience Audience
	// Workers are the names of the workers that the value is for alone; see [Set.Overrides]. Empty means that it is for all.
	Workers []string
	Value   string
}

// Defaults returns the variables of a farm that configures none: Blender as found in the PATH of each worker, without a
// window and with Python scripts in .blend files allowed.
func Defaults() Set {
	return Set{
		"blender": {Values: []Value{
			{Platforms: []string{AllPlatforms}, Value: "blender"},
			{Platforms: []string{"windows"}, Value: "blender.exe"},
		}},
		"blenderArgs": {Values: []Value{{Platforms: []string{AllPlatforms}, Value: "-b -y"}}},
	}
}

// With returns a copy of the set in which name has the one given value for everybody, instead of any it had. It is how
// variables that the farm itself provides, such as jobs, come in.
func (s Set) With(name, value string) Set {
	extended := make(Set, len(s)+1)
	maps.Copy(extended, s)
	extended[name] = Variable{Values: []Value{{Value: value}}}
	return extended
}

// Validate returns an error that wraps [ErrInvalid] for a name that could never be written as {name}, an audience that
// does not exist, and a variable without values. Of several faults it reports the first by name.
func (s Set) Validate() error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if name == "" || strings.ContainsAny(name, "{}") {
			return fmt.Errorf("%w %q: a name is not empty and has no braces", ErrInvalid, name)
		}
		if len(s[name].Values) == 0 {
			return fmt.Errorf("%w %q: it has no values; add one or remove it", ErrInvalid, name)
		}
		for _, v := range s[name].Values {
			switch v.Audience {
			case "", ForAll, ForWorkers, ForUsers:
			default:
				return fmt.Errorf("%w %q: audience %q is none of all, workers, users", ErrInvalid, name, v.Audience)
			}
		}
	}
	return nil
}

// Resolve returns what each variable means to an audience on a platform (as in runtime.GOOS). A value for just that
// platform beats one for all; then one for just that audience beats one for all; then the later one in the list wins. A
// variable without a fitting value is absent. Two-way values come without the slashes at their end.
func (s Set) Resolve(audience Audience, platform string) map[string]string {
	resolved := make(map[string]string, len(s))
	for name, variable := range s {
		if value, ok := variable.pick(audience, platform); ok {
			resolved[name] = variable.trim(value.Value)
		}
	}
	return resolved
}

// pick returns the value that fits an audience on a platform best.
func (v Variable) pick(audience Audience, platform string) (value Value, ok bool) {
	best := 0
	for _, candidate := range v.Values {
		if fit := candidate.fit(audience, platform); fit > 0 && fit >= best {
			best, value = fit, candidate
		}
	}
	return value, best > 0
}

// trim takes the separators off the end of a path prefix.
func (v Variable) trim(value string) string {
	if v.IsTwoWay {
		return strings.TrimRight(value, `/\`)
	}
	return value
}

// Overrides returns the values that are bound to one worker, by name, for [Set.For].
func (s Set) Overrides(worker, platform string) map[string]string {
	bound := make(map[string]string)
	for name, variable := range s {
		best := 0
		for _, v := range variable.Values {
			if !slices.Contains(v.Workers, worker) {
				continue
			}
			v.Workers = nil
			if fit := v.fit(ForWorkers, platform); fit > 0 && fit >= best {
				best, bound[name] = fit, v.Value
			}
		}
	}
	return bound
}

// fit ranks a value: 0 does not fit at all, more is more specific.
func (v Value) fit(audience Audience, platform string) int {
	if len(v.Workers) > 0 {
		return 0
	}
	rank := 1
	switch {
	case v.isFor(platform):
		rank += 2
	case len(v.Platforms) == 0, slices.Contains(v.Platforms, AllPlatforms):
	default:
		return 0
	}
	switch v.Audience {
	case "", ForAll:
	case audience:
		rank++
	default:
		return 0
	}
	return rank
}

// isFor says whether the value names the platform and does not just hold for all.
func (v Value) isFor(platform string) bool {
	return platform != AllPlatforms && slices.Contains(v.Platforms, platform)
}
