package blend

import "strings"

// imageKey names an image of the trace.
type imageKey struct {
	scene *scene
	name  string
}

// imageUser is how a datablock shows an image sequence (fact sheet, section 8).
type imageUser struct {
	frames, offset, start int64
	cyclic                bool
}

func readUser(s Struct) imageUser {
	return imageUser{s.Int("frames"), s.Int("offset"), s.Int("sfra"), s.Int("cycl") != 0}
}

// numbers are those of the files that are shown in some frames of the scene. Before its start a sequence shows nothing.
func (u imageUser) numbers(frames []Range) []Range {
	var shown []Range
	for _, r := range frames {
		at := Range{r.First - u.start + 1, r.Last - u.start + 1}
		positions := []Range{{max(1, min(at.First, u.frames)), min(at.Last, u.frames)}}
		if u.cyclic {
			positions = cycle(at, u.frames)
		}
		for _, p := range positions {
			shown = append(shown, Range{p.First + u.offset, p.Last + u.offset})
		}
	}
	return union(shown)
}

// volumeUser is how a volume runs through its files.
type volumeUser struct{ start, duration, offset, mode int64 }

// Volume.sequence_mode; the others go round.
const (
	volumeClip   = 0
	volumeExtend = 1
	volumeRepeat = 2
)

func (v volumeUser) numbers(frames []Range) []Range {
	if v.duration <= 0 {
		return nil
	}
	var shown []Range
	for _, r := range frames {
		at := Range{r.First - v.start + 1, r.Last - v.start + 1}
		positions := []Range{{1, v.duration}}
		switch v.mode {
		case volumeClip:
			positions = []Range{{max(at.First, 1), min(at.Last, v.duration)}}
		case volumeExtend:
			positions = []Range{{min(max(at.First, 1), v.duration), max(min(at.Last, v.duration), 1)}}
		case volumeRepeat:
			positions = cycle(at, v.duration)
		}
		for _, p := range positions {
			shown = append(shown, Range{p.First + v.offset, p.Last + v.offset})
		}
	}
	return union(shown)
}

func seeNode(r *reach, s Struct) error {
	image, ok := s.Follow("id")
	if !ok {
		return nil
	}
	storage, ok := s.Follow("storage")
	if !ok {
		return nil
	}
	switch storage.Type() {
	case "ImageUser", "NodeTexImage", "NodeTexEnvironment":
	default:
		return nil
	}
	user, ok, err := storage.Struct()
	if err != nil || !ok {
		return err
	}
	if storage.Type() != "ImageUser" {
		return seeOwnUser(r, user, image)
	}
	return r.user(image, readUser(user))
}

// seeOwnUser is for structs that hold their image user themselves.
func seeOwnUser(r *reach, s Struct, image Block) error {
	v, _ := s.Field("iuser")
	user, ok := v.Struct()
	if !ok {
		return nil
	}
	return r.user(image, readUser(user))
}

func seeTexture(r *reach, s Struct) error { return seeImageOf(r, s) }

func seeBackground(r *reach, s Struct) error { return seeImageOf(r, s) }

func seeImageOf(r *reach, s Struct) error {
	image, ok := s.Follow("ima")
	if !ok {
		return nil
	}
	return seeOwnUser(r, s, image)
}

// seeEmpty is for empties that show an image.
func seeEmpty(r *reach, s Struct) error {
	block, ok := s.Follow("iuser")
	if !ok || block.Type() != "ImageUser" {
		return nil
	}
	image, ok := s.Follow("data")
	if !ok || image.Code() != "IM" && image.Code() != "ID" {
		return nil
	}
	user, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	return r.user(image, readUser(user))
}

// seeAnimation looks for curves that change which file of a sequence is shown. Whose sequence it is, is not followed up:
// all sequences then count whole.
func seeAnimation(r *reach, s Struct) error {
	block, ok := s.Follow("rna_path")
	if !ok || block.Type() != "" {
		return nil
	}
	path, err := block.text()
	if err != nil {
		return err
	}
	property := path[strings.LastIndexByte(path, '.')+1:]
	switch property {
	case "frame_offset", "frame_start", "frame_duration", "frame_current", "frame":
		r.t.animated = true
	}
	return nil
}
