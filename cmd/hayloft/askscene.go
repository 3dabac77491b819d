package main

import (
	"hayloft/api/wire"
	"hayloft/cmd/cli"
	"hayloft/cmd/scene"
	"hayloft/scheduler/jobtype"
)

// askScene adds the settings that were not given and that the scene in the .blend file tells, as the add-on does. Untold is
// why it tells none, which matters only if one is needed. Err refuses the target, or frames that nobody could render.
func (s *submission) askScene(jobType wire.AvailableJobType, settings map[string]any, target string) (untold, err error) {
	if target == "" {
		return nil, nil
	}
	file, _, err := locate(target, s.project)
	if err != nil {
		return nil, err
	}
	asked, err := scene.Read(file)
	if err != nil {
		return err, nil
	}
	for _, setting := range jobType.Settings {
		if _, given := settings[setting.Key]; given || setting.Eval == nil {
			continue
		}
		if value, known := asked.Value(*setting.Eval); known && fits(setting.Type, value) {
			settings[setting.Key] = value
			s.framesOfScene = s.framesOfScene || setting.Key == framesSetting
		}
	}
	if !s.framesOfScene {
		return nil, nil
	}
	if _, err := jobtype.ParseFrames(settings[framesSetting].(string)); err != nil {
		return nil, cli.Usage("the frame range of the scene in %s: %w; change it in Blender or give --setting frames=VALUE", target, err)
	}
	return nil, nil
}

// framesSetting is the key of the frames to render.
const framesSetting = "frames"

// fits tells whether a setting of that type may have the value.
func fits(kind wire.AvailableJobSettingType, value any) bool {
	switch value.(type) {
	case string:
		return kind == wire.String
	case bool:
		return kind == wire.Bool
	}
	return kind == wire.Float
}
