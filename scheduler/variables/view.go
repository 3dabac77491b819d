package variables

import (
	"runtime"
)

// PlatformManager is what a submitter calls the platform that the manager runs on (fact sheet of the Flamenco protocol,
// section 3, SubmittedJob).
const PlatformManager = "manager"

// View is what the variables of a [Set] mean to one audience on one platform, perhaps to one worker. It never changes
// and is safe for concurrent use.
type View struct {
	platform string
	meanings map[string]meaning
	// paths are those of the two-way variables.
	paths prefixes
}

// meaning is what one variable means in a view.
type meaning struct {
	text   string
	twoWay bool
	// own says that the text was written for this very platform or worker, so it needs no translation.
	own bool
}

// For returns what the variables mean to an audience on a platform (as in runtime.GOOS, or [PlatformManager]).
//
// Overrides are the recipient's own values by name, such as those of one worker; they beat all others. The value of a
// two-way variable stays a path prefix. A name that the set does not have becomes a one-way variable of this view.
func (s Set) For(audience Audience, platform string, overrides map[string]string) View {
	if platform == PlatformManager {
		platform = runtime.GOOS
	}
	v := View{platform: platform, meanings: make(map[string]meaning, len(s)+len(overrides))}
	for name, variable := range s {
		if value, ok := variable.pick(audience, platform); ok {
			v.put(name, variable, value.Value, value.isFor(platform))
		}
	}
	for name, text := range overrides {
		v.put(name, s[name], text, true)
	}
	for name, m := range v.meanings {
		if m.twoWay {
			v.paths = append(v.paths, newPrefix(name, m.text, platform))
		}
	}
	v.paths.sort()
	return v
}

// put gives a name its meaning. A two-way variable without a text stands for no path, so it is treated as one-way.
func (v View) put(name string, variable Variable, text string, own bool) {
	v.meanings[name] = meaning{text: variable.trim(text), twoWay: variable.IsTwoWay && text != "", own: own}
}

// Values returns the text of each variable, as [Set.Resolve] does.
func (v View) Values() map[string]string {
	values := make(map[string]string, len(v.meanings))
	for name, m := range v.meanings {
		values[name] = m.text
	}
	return values
}

// ToLogical replaces the beginning of a path by the two-way variable that stands for it, written {name}, and writes what
// follows with forward slashes. A text that does not begin with such a path comes back as it is.
//
// The longest value wins. Whole components are compared; upper and lower case are the same, but where case matters a
// value that is exactly the same comes first. In a view of Windows both slashes are the same.
func (v View) ToLogical(path string) string {
	p, rest, ok := v.paths.match(path)
	if !ok {
		return path
	}
	return "{" + p.name + "}" + p.logical(rest)
}

// ToLogical makes the settings and metadata of a job independent of the platform that they were written on: each text in
// them, in lists and objects at any depth too, goes through [View.ToLogical] of the workers' values. Names of settings
// and metadata stay. The arguments are not modified; what needs no change is shared with them.
func (s Set) ToLogical(settings map[string]any, metadata map[string]string, platform string) (map[string]any, map[string]string) {
	v := s.For(ForWorkers, platform, nil)
	if len(v.paths) == 0 {
		return settings, metadata
	}
	if settings != nil {
		settings = v.tree(settings).(map[string]any)
	}
	if metadata != nil {
		translated := make(map[string]string, len(metadata))
		for name, text := range metadata {
			translated[name] = v.ToLogical(text)
		}
		metadata = translated
	}
	return settings, metadata
}

// tree translates what a JSON decoder makes of a value.
func (v View) tree(value any) any {
	switch value := value.(type) {
	case string:
		return v.ToLogical(value)
	case []any:
		translated := make([]any, len(value))
		for i, item := range value {
			translated[i] = v.tree(item)
		}
		return translated
	case map[string]any:
		translated := make(map[string]any, len(value))
		for name, member := range value {
			translated[name] = v.tree(member)
		}
		return translated
	}
	return value
}
