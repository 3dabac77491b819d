package blend

import "strings"

// animations are the datablocks whose curves change which file of a sequence is shown: then all files count.
type animations struct {
	datablocks map[idKey]bool           // with such a curve of their own, actions among them
	actions    map[idKey]map[idKey]bool // by datablock: the actions that move it
}

// spread adds the datablocks that such an action moves, once all actions are known.
func (a animations) spread() {
	for id, actions := range a.actions {
		for action := range actions {
			if a.datablocks[action] {
				a.datablocks[id] = true
				break
			}
		}
	}
}

// seeAnimation looks for curves that change which file of a sequence is shown: those of an action, or of a driver.
func seeAnimation(r *reach, s Struct) error {
	block, ok := s.Follow("rna_path")
	if !ok || block.Type() != "" {
		return nil
	}
	path, err := block.text()
	if err != nil {
		return err
	}
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "frame_offset", "frame_start", "frame_duration", "frame_current", "frame":
		r.t.changing.datablocks[idKey{r.scene, r.id.name}] = true
	}
	return nil
}

// seeAction notes which action moves the datablock.
func seeAction(r *reach, s Struct) error { return r.movedBy(s, "action") }

func seeNLAStrip(r *reach, s Struct) error { return r.movedBy(s, "act") }

func (r *reach) movedBy(s Struct, field string) error {
	action, ok := s.Follow(field)
	if !ok {
		return nil
	}
	key, ok, err := r.keyOf(action)
	if err != nil || !ok {
		return err
	}
	id := idKey{r.scene, r.id.name}
	if r.t.changing.actions[id] == nil {
		r.t.changing.actions[id] = map[idKey]bool{}
	}
	r.t.changing.actions[id][key] = true
	return nil
}
