package scene

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hayloft/checkout/blend"
)

// Errors of [Read].
var (
	ErrNoScene    = errors.New("the .blend file holds no scene")
	ErrUnreadable = errors.New("the scene in the .blend file cannot be read")
)

// Scene is what a .blend file says about how it wants to be rendered: the scene that it opens with.
type Scene struct {
	Name              string // empty if it is no UTF-8
	First, Last, Step int64
	FPS               float64 // frames per second; 0: unknown
	Engine            string  // Blender's name: "CYCLES", "BLENDER_EEVEE"; empty in old files
	Format            Format
	Previews          bool // a JPEG is written beside each EXR
	Views             bool // each eye or view has files of its own
}

// Format is a kind of file that Blender renders to.
type Format struct {
	Name      string // as Blender's Python has it: "PNG", "TARGA"; empty: unknown
	Extension string // with its dot; empty for videos
	Video     bool   // all frames go into one file
}

// formats are the values of imtype in a .blend file. What Blender's Python has no name for any more is called as on
// Blender's command line.
var formats = map[int64]Format{
	0: {Name: "TARGA", Extension: ".tga"}, 1: {Name: "IRIS", Extension: ".rgb"}, 4: {Name: "JPEG", Extension: ".jpg"},
	14: {Name: "TARGA_RAW", Extension: ".tga"}, 15: {Name: "AVI_RAW", Video: true}, 16: {Name: "AVI_JPEG", Video: true},
	17: {Name: "PNG", Extension: ".png"}, 20: {Name: "BMP", Extension: ".bmp"}, 21: {Name: "HDR", Extension: ".hdr"},
	22: {Name: "TIFF", Extension: ".tif"}, 23: {Name: "OPEN_EXR", Extension: ".exr"}, 24: {Name: "FFMPEG", Video: true},
	26: {Name: "CINEON", Extension: ".cin"}, 27: {Name: "DPX", Extension: ".dpx"}, 28: {Name: "OPEN_EXR_MULTILAYER", Extension: ".exr"},
	30: {Name: "JPEG2000", Extension: ".jp2"}, 31: {Name: "H264", Video: true}, 32: {Name: "XVID", Video: true},
	33: {Name: "THEORA", Video: true}, 35: {Name: "WEBP", Extension: ".webp"}, 36: {Name: "AV1", Video: true},
}

// Flags and values of a scene's render settings.
const (
	flagPreview     = 1 << 1  // im_format.flag: a JPEG is written beside each EXR
	flagMultiview   = 1 << 21 // scemode: there are several views
	viewsIndividual = 0       // im_format.views_format: a file for each
)

// Read reads the scene of a .blend file. Errors: those of [blend.Open], [ErrNoScene] and [ErrUnreadable].
func Read(path string) (Scene, error) {
	file, err := blend.Open(path)
	if err != nil {
		return Scene{}, err
	}
	s, err := opened(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return Scene{}, err
	}
	return s, nil
}

// opened finds the scene that the file opens with; in files that do not tell, the first one.
func opened(file *blend.File) (Scene, error) {
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
				return decode(current)
			}
		case "SC":
			return decode(block)
		}
	}
	return Scene{}, ErrNoScene
}

func decode(block blend.Block) (Scene, error) {
	s, ok, err := block.Struct()
	if err != nil || !ok {
		return Scene{}, errors.Join(err, ErrUnreadable)
	}
	scene := Scene{
		Name:  strings.TrimPrefix(s.Text("id.name"), "SC"),
		First: s.Int("r.sfra"), Last: s.Int("r.efra"), Step: max(1, s.Int("r.frame_step")),
		Engine:   s.Text("r.engine"),
		Previews: s.Int("r.im_format.flag")&flagPreview != 0,
		Views:    s.Int("r.scemode")&flagMultiview != 0 && s.Int("r.im_format.views_format") == viewsIndividual,
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

// Count is how many frames the scene has; less than 1 if its range ends before it begins.
func (s Scene) Count() int64 { return (s.Last-s.First)/max(1, s.Step) + 1 }

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
