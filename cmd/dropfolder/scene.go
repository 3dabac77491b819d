package dropfolder

import (
	"errors"

	"hayloft/cmd/scene"
)

// maxFrames is how many frames one drop may have.
const maxFrames = 1_000_000

// readScene reads the scene of a .blend file. Errors: those of [scene.Read], and refusals of what cannot be rendered in
// parts.
func readScene(path string) (scene.Scene, error) {
	s, err := scene.Read(path)
	switch {
	case errors.Is(err, scene.ErrNoScene):
		return s, refuse("open it in Blender and save it again with a scene", "%v", err)
	case errors.Is(err, scene.ErrUnreadable):
		return s, refuse("save it again with a newer Blender", "%v", err)
	case err != nil:
		return s, err
	}
	return s, check(s)
}

// check refuses what a farm cannot render.
func check(s scene.Scene) error {
	const inBlender = "change it in Blender's output properties, save, and put the file here again"
	switch {
	case s.Format.Video:
		return refuse(inBlender, "its output format %s makes one video of all frames, which several computers cannot share", s.Format.Name)
	case s.Format.Name == "":
		return refuse(inBlender, "its output format is none whose frames can be told apart")
	case s.Last < s.First:
		return refuse(inBlender, "its frame range %d to %d ends before it begins", s.First, s.Last)
	case s.First < 0:
		return refuse(inBlender, "its frame range begins at %d, and frames below 0 cannot be rendered here", s.First)
	case s.Count() > maxFrames:
		return refuse(inBlender, "it has %d frames, more than %d", s.Count(), int64(maxFrames))
	}
	return nil
}
