package blend

import (
	"slices"
	"strings"
)

// Sequence.type of strips that name files themselves.
const (
	imageStrip    = 0
	sceneStrip    = 2 // It shows another scene, at frames of its own.
	movieStrip    = 3
	soundStrip    = 4
	oldSoundStrip = 5
)

const mostElements = 1 << 20 // images of one strip

func findStrip(r *reach, s Struct) error {
	switch s.Int("type") {
	case sceneStrip:
		return seeSceneStrip(r, s)
	case soundStrip, oldSoundStrip:
		return findSoundStrip(r, s)
	case imageStrip, movieStrip:
	default:
		return nil
	}
	views, err := viewsOf(r, s)
	if err != nil {
		return err
	}
	f, ok, err := filesOfStrip(s, views)
	if err != nil || !ok {
		return err
	}
	return r.found(f)
}

// filesOfStrip is a dependency on the files that a strip names; ok is false if it names none.
func filesOfStrip(s Struct, views views) (f finding, ok bool, err error) {
	block, ok := s.Follow("strip")
	if !ok {
		return finding{}, false, nil
	}
	strip, ok, err := block.Struct()
	if err != nil || !ok {
		return finding{}, false, err
	}
	elements, ok := strip.Follow("stripdata")
	if !ok || elements.Type() != "StripElem" {
		return finding{}, false, nil
	}
	if elements.Count() > mostElements {
		return finding{}, false, tooLarge("a strip of images has %d elements", elements.Count())
	}
	declared := s.Int("flag")&stripUsesViews != 0
	f = finding{Dependency: Dependency{Kind: "sequencer strip", Field: "StripElem.name", Required: true}, shape: shapeSeveral}
	f.dir, f.place = strip.Text("dir"), placeOf(strip, "dir")
	for element, err := range elements.Structs() {
		if err != nil {
			return finding{}, false, err
		}
		name := element.Text("name")
		if name == "" {
			continue
		}
		if len(f.several) == 0 {
			f.name, f.namePlace = name, placeOf(element, "name")
		}
		for i, name := range views.names(name) {
			if path := withSeparator(f.dir) + name; i == 0 || declared {
				f.several = append(f.several, path)
			} else {
				f.others = append(f.others, path)
			}
		}
		if len(f.several)+len(f.others) > mostElements {
			return finding{}, false, tooLarge("a strip of images has more than %d of them in all its views", mostElements)
		}
	}
	f.Written = withSeparator(f.dir) + f.name
	return f, len(f.several) > 0, nil
}

// findSoundStrip is for the path that a sound strip has of its own. Blender plays the file of the strip's sound datablock
// whatever that path says, so that it stands for that file, and is listed only to be kept in step.
func findSoundStrip(r *reach, s Struct) error {
	f, ok, err := filesOfStrip(s, nil)
	if err != nil || !ok {
		return err
	}
	f.Kind, f.Required, f.shape = "sound strip", false, shapeFile
	if block, ok := s.Follow("sound"); ok && block.Type() == "bSound" {
		sound, ok, err := block.Struct()
		if err != nil || !ok || isPacked(sound) {
			return err
		}
		f.meant = sound.Text("name")
	}
	return r.found(f)
}

// seeSceneStrip notes which frames of another scene a strip shows. Those of a scene in a library are not looked up: all
// files of sequences then count.
func seeSceneStrip(r *reach, s Struct) error {
	block, ok := s.Follow("scene")
	if !ok {
		return nil
	}
	shown, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	if block.entry().code == codeID || shown.Type() != "Scene" {
		r.t.animated = true
		return nil
	}
	first := shown.Int("r.sfra") + s.Int("anim_startofs")
	r.t.stripped = append(r.t.stripped, clampFrames(first, first+s.Int("len")-1))
	return nil
}

const (
	stripUsesViews = 1 << 29 // Sequence.flag
	sceneHasViews  = 1 << 21 // Scene.r.scemode
	viewIsOff      = 1 << 0  // SceneRenderView.viewflag
	freeViews      = 1       // Scene.r.views_format: all views; otherwise those named "left" and "right"
)

// views are the ends of the names of files that each show one view, such as "_L" and "_R".
type views []string

// viewsOf are those of a strip that has a file for each view of its scene. Of images Blender looks for all views, whether
// the strip is said to have them or not.
func viewsOf(r *reach, strip Struct) (views, error) {
	several := strip.Int("flag")&stripUsesViews != 0 || strip.Int("type") == imageStrip
	if !several || strip.Int("views_format") != viewsApart {
		return nil, nil
	}
	scene, ok, err := Block{r.file, r.id.index}.Struct()
	if err != nil || !ok || scene.Type() != "Scene" || scene.Int("r.scemode")&sceneHasViews == 0 {
		return nil, err
	}
	var all views
	for view, err := range scene.List("r.views") {
		if err != nil {
			return nil, err
		}
		name := view.Text("name")
		basic := name == "left" || name == "right"
		if view.Int("viewflag")&viewIsOff == 0 && (basic || scene.Int("r.views_format") == freeViews) {
			all = append(all, view.Text("suffix"))
		}
	}
	return all, nil
}

// names are those of the files that show all views, the stored one first. A name that is none of a view stands alone.
func (v views) names(stored string) []string {
	dot := strings.LastIndexByte(stored, '.')
	if dot <= 0 || len(v) < 2 {
		return []string{stored}
	}
	at := slices.IndexFunc(v, func(suffix string) bool { return strings.HasSuffix(stored[:dot], suffix) })
	if at < 0 {
		return []string{stored}
	}
	names := []string{stored}
	for i, suffix := range v {
		if i != at {
			names = append(names, strings.TrimSuffix(stored[:dot], v[at])+suffix+stored[dot:])
		}
	}
	return names
}
