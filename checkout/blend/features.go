package blend

import "strings"

// seeScene takes a scene's frames and engine, if the file is one that will be rendered.
func seeScene(r *reach, s Struct) error {
	if !r.scene.all {
		return nil
	}
	if !r.t.fixed {
		r.t.frames = append(r.t.frames, clampFrames(s.Int("r.sfra"), s.Int("r.efra")))
	}
	if s.Int("r.framapto") != s.Int("r.images") {
		r.t.animated = true // Frames are mapped to others.
	}
	engine := s.Text("r.engine")
	if engine == "" {
		return nil
	}
	r.t.features["engine:"+engine] = true
	if strings.HasPrefix(engine, "BLENDER_EEVEE") || engine == "BLENDER_WORKBENCH" || engine == "HYDRA_STORM" {
		r.t.features["gpu"] = true
	}
	if engine != "CYCLES" {
		return nil
	}
	return seeCycles(r, s)
}

// Cycles keeps its settings as properties of the scene; a setting that was never changed is not in the file. The
// numbers of the denoisers are those of its own list.
var denoisers = map[int64]string{2: "optix", 4: "openimagedenoise"}

const (
	cyclesOnGPU      = 1
	denoisesUnasked  = 300 // From this version on Cycles removes noise unless that is switched off.
	usualDenoiser    = 4
	denoiserSetting  = "denoiser"
	denoisingSetting = "use_denoising"
)

func seeCycles(r *reach, s Struct) error {
	settings := map[string]int64{denoiserSetting: usualDenoiser}
	if r.file.header.Version >= denoisesUnasked {
		settings[denoisingSetting] = 1
	}
	for _, root := range []string{"id.properties", "id.system_properties"} {
		if err := readGroup(s, root, "cycles", settings); err != nil {
			return err
		}
	}
	if settings["shading_system"] != 0 {
		r.t.features["osl"] = true
	}
	if settings["device"] == cyclesOnGPU {
		r.t.features["gpu"] = true
	}
	if name, ok := denoisers[settings[denoiserSetting]]; ok && settings[denoisingSetting] != 0 {
		r.t.features["denoiser:"+name] = true
	}
	return nil
}

// readGroup reads the whole numbers of a group of properties.
func readGroup(s Struct, root, group string, into map[string]int64) error {
	block, ok := s.Follow(root)
	if !ok {
		return nil
	}
	properties, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	for p, err := range properties.List("data.group") {
		if err != nil {
			return err
		}
		if p.Text("name") != group {
			continue
		}
		for setting, err := range p.List("data.group") {
			if err != nil {
				return err
			}
			into[setting.Text("name")] = setting.Int("data.val")
		}
	}
	return nil
}
