package blend

import "strings"

// looksLikePath says whether a text that is not declared to be a path can be one all the same. It counts if there is such
// a file: nodes join texts, and hand on others.
func looksLikePath(text string) bool {
	return strings.HasPrefix(text, "/") && strings.Trim(text, "/") != ""
}

// findInputString is for nodes that give out a text, which may be the path that another node reads.
func findInputString(r *reach, s Struct) error {
	f, ok, err := inBlock(s, "node input", "string")
	if err != nil || !ok || !looksLikePath(f.Written) {
		return err
	}
	f.onlyIfThere = true
	return r.found(f)
}

// startFromGroup remembers which .blend file the relative paths among inputs start from: that of the node group which
// they are handed to, and not that of whoever hands them. The inputs lie behind their owner in the file.
func (r *reach) startFromGroup(owner Struct, group string, inputs Struct, list string) error {
	block, ok := owner.Follow(group)
	if !ok || block.Code() != "NT" && block.entry().code != codeID {
		return nil
	}
	base, err := r.homeOf(block)
	if err != nil {
		return err
	}
	for input, err := range inputs.List(list) {
		if err != nil {
			return err
		}
		r.bases[input.at] = base
	}
	return nil
}

// homeOf is the .blend file that the relative paths of a datablock start from; empty if that is the one at hand.
func (r *reach) homeOf(b Block) (string, error) {
	if b.entry().code == codeID {
		l, err := r.follow(b)
		return l.path, err
	}
	id, ok, err := r.head(b)
	if err != nil || !ok {
		return "", err
	}
	library, ok := id.Follow("lib")
	if !ok {
		return "", nil
	}
	return r.libraryPath(library)
}

// seeUnknownUser is for what may show any file of an image sequence: a node gets the number from another one, or from a
// setting that is not known here.
func seeUnknownUser(r *reach, s Struct, field string) error {
	image, ok := s.Follow(field)
	if !ok || image.Code() != "IM" && image.entry().code != codeID {
		return nil
	}
	return r.user(image, imageUser{})
}

func seeImageSocket(r *reach, s Struct) error { return seeUnknownUser(r, s, "value") }

// seeFill is for images that fill the strokes of grease pencil.
func seeFill(r *reach, s Struct) error {
	if err := seeUnknownUser(r, s, "sima"); err != nil {
		return err
	}
	return seeUnknownUser(r, s, "ima")
}

// skipDefaults marks the defaults of a group's own inputs, which up to 4.5 are sockets that no node has: each user of the
// group has a value of its own. They lie behind the tree in the file.
func skipDefaults(r *reach, s Struct) error {
	for socket, err := range s.List("inputs") {
		if err != nil {
			return err
		}
		r.unread[socket.at] = true
	}
	return nil
}
