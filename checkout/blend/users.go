package blend

// idKey names a datablock of the trace.
type idKey struct {
	scene *scene
	name  string
}

// imageUser is how a datablock shows an image sequence (fact sheet, section 8).
type imageUser struct {
	frames, offset, start int64
	cyclic                bool
	stored                bool  // Blender reads the file of the number that it last showed before it knows the frame
	last                  int64 // that number
	by                    idKey // the datablock
}

func readUser(s Struct) imageUser {
	return imageUser{frames: s.Int("frames"), offset: s.Int("offset"), start: s.Int("sfra"), cyclic: s.Int("cycl") != 0}
}

// numbers are those of the files that are shown in some frames of the scene. idle are those that Blender looks for
// before the sequence starts: most often there are none, and nothing is shown.
func (u imageUser) numbers(frames []Range) (shown, idle []Range) {
	for _, r := range frames {
		at := Range{r.First - u.start + 1, r.Last - u.start + 1}
		positions := []Range{{max(1, min(at.First, u.frames)), min(at.Last, u.frames)}}
		if u.cyclic {
			positions = cycle(at, u.frames)
		} else if at.First < 1 {
			idle = append(idle, notNegative(Range{u.offset, u.offset}))
		}
		for _, p := range positions {
			if p.First <= p.Last {
				shown = append(shown, notNegative(Range{p.First + u.offset, p.Last + u.offset}))
			}
		}
	}
	if u.stored {
		idle = append(idle, notNegative(Range{u.last, u.last}))
	}
	return union(shown), union(idle)
}

// notNegative maps numbers of images as Blender does: those below zero become zero.
func notNegative(r Range) Range { return Range{max(r.First, 0), max(r.Last, 0)} }

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

// usersInNodes are what nodes keep their image users in.
var usersInNodes = map[string]bool{"ImageUser": true, "NodeTexImage": true, "NodeTexEnvironment": true, "NodeCryptomatte": true}

func seeNode(r *reach, s Struct) error {
	if err := r.startFromGroup(s, "id", s, "inputs"); err != nil {
		return err
	}
	image, ok := s.Follow("id")
	if !ok {
		return nil
	}
	storage, ok := s.Follow("storage")
	if !ok || !usersInNodes[storage.Type()] {
		return seeUnknownUser(r, s, "id")
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

func seeTexture(r *reach, s Struct) error {
	image, ok := s.Follow("ima")
	if !ok {
		return nil
	}
	v, _ := s.Field("iuser")
	user, ok := v.Struct()
	if !ok {
		return nil
	}
	u := readUser(user)
	u.stored, u.last = true, user.Int("framenr")
	return r.user(image, u)
}

func seeBackground(r *reach, s Struct) error {
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
