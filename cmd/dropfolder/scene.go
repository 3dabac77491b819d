package dropfolder

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hayloft/checkout/blend"
)

// maxFrames is how many frames one drop may have.
const maxFrames = 1_000_000

// Scene is what a .blend file says about how it wants to be rendered: the scene that it opens with.
type Scene struct {
	Name              string // empty if it is no UTF-8
	First, Last, Step int64
	FPS               float64 // frames per second; 0: unknown
	Engine            string  // Blender's name: "CYCLES", "BLENDER_EEVEE"; empty in old files
	Format            Format
	Previews          bool // a JPEG is written beside each EXR
}

// Format is a kind of file that Blender renders to.
type Format struct {
	Name      string // Blender's: "PNG", "OPEN_EXR"; empty: unknown here, and left to the file
	Extension string // with its dot
	Video     bool   // all frames go into one file
}

// formats are the values of imtype in a .blend file, with Blender's own names and endings of them.
var formats = map[int64]Format{
	0: {Name: "TARGA", Extension: ".tga"}, 1: {Name: "IRIS", Extension: ".rgb"}, 4: {Name: "JPEG", Extension: ".jpg"},
	14: {Name: "TARGA_RAW", Extension: ".tga"}, 15: {Name: "AVI_RAW", Video: true}, 16: {Name: "AVI_JPEG", Video: true},
	17: {Name: "PNG", Extension: ".png"}, 20: {Name: "BMP", Extension: ".bmp"}, 21: {Name: "HDR", Extension: ".hdr"},
	22: {Name: "TIFF", Extension: ".tif"}, 23: {Name: "OPEN_EXR", Extension: ".exr"}, 24: {Name: "FFMPEG", Video: true},
	26: {Name: "CINEON", Extension: ".cin"}, 27: {Name: "DPX", Extension: ".dpx"},
	28: {Name: "OPEN_EXR_MULTILAYER", Extension: ".exr"}, 30: {Name: "JPEG2000", Extension: ".jp2"},
	35: {Name: "WEBP", Extension: ".webp"},
}

// flagPreview in the flags of an image format: a JPEG is written beside each EXR.
const flagPreview = 1 << 1

// readScene reads the scene of a .blend file. Errors: those of [blend.Open], and refusals of what cannot be rendered in
// parts.
func readScene(path string) (Scene, error) {
	file, err := blend.Open(path)
	if err != nil {
		return Scene{}, err
	}
	s, err := sceneOf(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return Scene{}, err
	}
	return s, s.check()
}

// sceneOf finds the scene that the file opens with; in files that do not tell, the first one.
func sceneOf(file *blend.File) (Scene, error) {
	for block := range file.Blocks() {
		switch block.Code() {
		case "GLOB":
			global, ok, err := block.Struct()
			if err != nil {
				return Scene{}, err
			}
			if !ok {
				continue
			}
			if current, ok := global.Follow("curscene"); ok && current.Type() == "Scene" {
				return decodeScene(current)
			}
		case "SC":
			return decodeScene(block)
		}
	}
	return Scene{}, refuse("open it in Blender and save it again with a scene", "the .blend file holds no scene")
}

func decodeScene(block blend.Block) (Scene, error) {
	s, ok, err := block.Struct()
	if err != nil || !ok {
		return Scene{}, errors.Join(err, refuse("save it again with a newer Blender", "the scene in the .blend file cannot be read"))
	}
	scene := Scene{
		Name:  strings.TrimPrefix(s.Text("id.name"), "SC"),
		First: s.Int("r.sfra"), Last: s.Int("r.efra"), Step: max(1, s.Int("r.frame_step")),
		Engine:   s.Text("r.engine"),
		Previews: s.Int("r.im_format.flag")&flagPreview != 0,
	}
	if !utf8.ValidString(scene.Name) {
		scene.Name = ""
	}
	// Files from before 2.6 have no struct of their own for the format.
	kind := s.Int("r.imtype")
	if _, ok := s.Field("r.im_format.imtype"); ok {
		kind = s.Int("r.im_format.imtype")
	}
	scene.Format = formats[kind]
	if base := s.Float("r.frs_sec_base"); base > 0 {
		scene.FPS = float64(s.Int("r.frs_sec")) / base
	}
	return scene, nil
}

// check refuses what a farm cannot render.
func (s Scene) check() error {
	const inBlender = "change it in Blender's output properties, save, and put the file here again"
	switch {
	case s.Format.Video:
		return refuse(inBlender, "its output format %s makes one video of all frames, which several computers cannot share", s.Format.Name)
	case s.Last < s.First:
		return refuse(inBlender, "its frame range %d to %d ends before it begins", s.First, s.Last)
	case s.First < 0:
		return refuse(inBlender, "its frame range begins at %d, and frames below 0 cannot be rendered here", s.First)
	case s.count() > maxFrames:
		return refuse(inBlender, "it has %d frames, more than %d", s.count(), int64(maxFrames))
	}
	return nil
}

func (s Scene) count() int64 { return (s.Last-s.First)/s.Step + 1 }

// Frames is the range as a job takes it: "1-250", or "1,3,5" if frames are left out.
func (s Scene) Frames() string {
	if s.First == s.Last {
		return strconv.FormatInt(s.First, 10)
	}
	if s.Step <= 1 {
		return fmt.Sprintf("%d-%d", s.First, s.Last)
	}
	var text strings.Builder
	for frame := s.First; frame <= s.Last; frame += s.Step {
		if frame > s.First {
			text.WriteByte(',')
		}
		text.WriteString(strconv.FormatInt(frame, 10))
	}
	return text.String()
}
