package scene

import (
	"fmt"
	"strings"
)

// wholeRange gives all frames from the first to the last.
const wholeRange = "f'{C.scene.frame_start}-{C.scene.frame_end}'"

// answers are the expressions about a scene that are understood without Python, and what each gives.
var answers = map[string]func(Scene) (value any, known bool){
	wholeRange: func(s Scene) (any, bool) { return s.wholeRange(), true },
	wholeRange + " if C.scene.frame_step == 1 else " +
		"','.join(map(str, range(C.scene.frame_start, C.scene.frame_end + 1, C.scene.frame_step)))": func(s Scene) (any, bool) {
		if s.Step == 1 {
			return s.wholeRange(), true
		}
		return s.Frames(), s.Count() <= mostFrames
	},
	"C.scene.name": func(s Scene) (any, bool) { return s.Name, s.Name != "" },
	"C.scene.render.fps / C.scene.render.fps_base":                                                func(s Scene) (any, bool) { return s.FPS, s.FPS > 0 },
	"C.scene.render.image_settings.file_format":                                                   func(s Scene) (any, bool) { return s.Format.Name, s.Format.Name != "" },
	"C.scene.render.file_extension":                                                               func(s Scene) (any, bool) { return s.Format.Extension, s.Format.Extension != "" },
	"C.scene.render.image_settings.use_preview":                                                   func(s Scene) (any, bool) { return s.Previews, true },
	"C.scene.render.use_multiview and C.scene.render.image_settings.views_format == 'INDIVIDUAL'": func(s Scene) (any, bool) { return s.Views, true },
}

// mostFrames is how many frames are written one by one; a job with more is refused in any case.
const mostFrames = 1_000_000

// Value gives what an expression of a job type, the eval of a setting, would give in Blender: a string, a float64 or a
// bool. known tells whether the expression is one that the file alone can answer, and does.
func (s Scene) Value(expression string) (value any, known bool) {
	answer, known := answers[strings.Join(strings.Fields(expression), " ")]
	if !known {
		return nil, false
	}
	return answer(s)
}

func (s Scene) wholeRange() string { return fmt.Sprintf("%d-%d", s.First, s.Last) }
