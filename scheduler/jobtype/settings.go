package jobtype

import (
	"errors"
	"maps"
)

// settle returns the settings that compileJob sees: those of the job, plus the default of each declared one that the job
// left out and that is not required. A setting that the job names with the value nil is left out on purpose: it gets no default. Settings that
// the job type does not declare pass unchanged. The given map is not modified.
//
// Defaults are filled in also where the declaration has an eval expression: the add-on has evaluated it and sent the
// value; anybody else has no Blender to do so.
func (t JobType) settle(given map[string]any) (map[string]any, error) {
	settled := maps.Clone(given)
	if settled == nil {
		settled = make(map[string]any, len(t.Settings))
	}
	for _, s := range t.Settings {
		value, named := settled[s.Key]
		if !named && !s.Required && s.Default != nil {
			settled[s.Key] = s.Default
			continue
		}
		if value == nil {
			delete(settled, s.Key)
		}
		if s.Required && (value == nil || value == "") {
			return nil, badSetting(s.Key, errors.New("is required, but the job does not have it; give it a value"))
		}
		if value == nil {
			continue
		}
		if err := s.checkValue(value); err != nil {
			return nil, badSetting(s.Key, err)
		}
	}
	return settled, nil
}
