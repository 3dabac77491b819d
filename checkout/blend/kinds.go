package blend

import (
	"maps"
	"slices"
	"strings"
)

// finder looks for dependencies in a struct. It is called for each struct of its kind, wherever that hangs: the struct
// that holds a path decides, not the datablock around it, so that nothing depends on knowing all owners.
type finder func(r *reach, s Struct) error

// finders are by the name of the struct on disk (fact sheet, section 6). Outputs are not among them: the render's own
// path, bakes, file output nodes, image sequences of dynamic paint.
var finders = map[string]finder{
	"Library": findLibrary, "Image": findImage, "MovieClip": findClip, "bSound": findSound, "VFont": findFont,
	"Text": findText, "CacheFile": findCache, "CacheFileLayer": findCacheLayer, "Volume": findVolume,
	"CustomDataExternal": findDisplacement, "Sequence": findStrip, "NodeShaderTexIES": findIES, "NodeShaderScript": findScript,
	"Camera": findCameraScript, "MeshCacheModifierData": findMeshCache, "OceanModifierData": findOcean,
	"FluidDomainSettings": findFluid, "FluidsimSettings": findOldFluid, "PointCache": findPointCache,
	"NodesModifierData": findNodes, "bNodeSocket": findSocket, "NodeInputString": findInputString,
	"IDProperty": findProperty, "CollectionExport": skipExport, "bNodeTree": skipDefaults,
	// These hold no paths, but tell which files of a sequence are shown.
	"bNode": seeNode, "Tex": seeTexture, "CameraBGImage": seeBackground, "Object": seeEmpty, "FCurve": seeAnimation, "AnimData": seeAction, "NlaStrip": seeNLAStrip, "Scene": seeScene,
	"bNodeSocketValueImage": seeImageSocket, "MaterialGPencilStyle": seeFill,
}

// isPacked says whether the file's bytes lie in the .blend file itself.
func isPacked(s Struct) bool { v, _ := s.Field("packedfile"); return v.Address() != 0 }

// one is a dependency on the file that a text field names.
func one(s Struct, kind, field string, required bool) finding {
	d := Dependency{Kind: kind, Field: s.Type() + "." + field, Written: s.Text(field), Required: required}
	return finding{Dependency: d, place: placeOf(s, field)}
}

const archiveLibrary = 1 << 0 // Library.flag from 5.0 on: it stands for data that is packed into this file

func findLibrary(r *reach, s Struct) error {
	if s.Int("flag")&archiveLibrary != 0 && r.file.header.Version >= 500 {
		return nil
	}
	if packed, err := r.takePacked(s); err != nil || packed {
		return err
	}
	strong, used := r.needed[r.id.index]
	_, packed := r.archives[r.id.index]
	f := one(s, "library", "name", strong || !used && !packed)
	f.base, f.archive = r.scene.path, r.archives[r.id.index]
	return r.found(f)
}

// Image.source and what it means for Image.name.
const (
	imageFile     = 1
	imageSequence = 2
	imageMovie    = 3
	imageTiled    = 6
	imageUseViews = 1 << 14 // Image.flag
	viewsApart    = 0       // Image.views_format
)

func findImage(r *reach, s Struct) error {
	source := s.Int("source")
	packed, err := packedImage(s)
	if err != nil || packed || source != imageFile && source != imageSequence && source != imageMovie && source != imageTiled {
		return err
	}
	template := one(s, "image", "name", true)
	template.id = idKey{r.scene, r.id.name}
	switch source {
	case imageSequence:
		template.shape = shapeSequence
	case imageTiled:
		template.shape = shapeTiles
		if template.tiles, err = neededTiles(s); err != nil {
			return err
		}
	}
	if s.Int("flag")&imageUseViews == 0 || s.Int("views_format") != viewsApart {
		return r.found(template)
	}
	views := 0
	for view, err := range s.List("views") {
		if err != nil {
			return err
		}
		f := template
		if path := view.Text("filepath"); path != "" {
			f.Field, f.Written, f.place = "ImageView.filepath", path, placeOf(view, "filepath")
			views++
			if err := r.found(f); err != nil {
				return err
			}
		}
	}
	template.Required = views == 0 // It names one of them once more.
	return r.found(template)
}

// packedImage says whether an image is packed. One with tiles counts only if each of them is: if some are left out, Blender
// reads all of them from disk.
func packedImage(s Struct) (bool, error) {
	tiles := map[int64]bool{}
	any := isPacked(s)
	for file, err := range s.List("packedfiles") {
		if err != nil {
			return false, err
		}
		any = true
		if number := file.Int("tile_number"); number > 0 {
			tiles[number] = true
		}
	}
	if s.Int("source") != imageTiled || len(tiles) == 0 {
		return any, nil
	}
	needed, err := neededTiles(s)
	return !slices.ContainsFunc(needed, func(tile int64) bool { return !tiles[tile] }), err
}

const firstTile = 1001

func neededTiles(s Struct) ([]int64, error) {
	set := map[int64]bool{}
	for tile, err := range s.List("tiles") {
		if err != nil {
			return nil, err
		}
		if number := tile.Int("tile_number"); number >= firstTile && number < 10_000 {
			set[number] = true
		}
	}
	if len(set) == 0 {
		set[firstTile] = true
	}
	return slices.Sorted(maps.Keys(set)), nil
}

const (
	clipSequence = 1      // MovieClip.source
	clipProxyDir = 1 << 1 // MovieClip.flag: proxies lie in a folder of their own
)

func findClip(r *reach, s Struct) error {
	f := one(s, "movie clip", "name", true)
	if s.Int("source") == clipSequence {
		f.shape = shapeClip
		f.offset = s.Int("frame_offset")
		f.numbered = clipFiles(s, f.Written)
	}
	if err := r.found(f); err != nil || s.Int("flag")&clipProxyDir == 0 {
		return err
	}
	f = one(s, "movie clip proxies", "proxy.dir", false)
	f.shape = shapeFolder
	return r.found(f)
}

func findSound(r *reach, s Struct) error {
	if isPacked(s) {
		return nil
	}
	return r.found(one(s, "sound", "name", true))
}

func findFont(r *reach, s Struct) error {
	if isPacked(s) || s.Text("name") == "<builtin>" {
		return nil
	}
	return r.found(one(s, "font", "name", true))
}

// findText lists a text's file as optional: its content is in the .blend file.
func findText(r *reach, s Struct) error {
	f, ok, err := inBlock(s, "text", "name")
	if err != nil || !ok {
		return err
	}
	return r.found(f)
}

// longestPath is the length of Blender's buffers for paths, the NUL included. It cuts what is longer.
const longestPath = 1024

// inBlock is a dependency on the file that a text in a block of its own names. lengths are the fields that tell how long
// that is. ok is false where there is no such text.
func inBlock(s Struct, kind, field string, lengths ...string) (f finding, ok bool, err error) {
	block, path, ok, err := textBehind(s, field)
	if err != nil || !ok {
		return finding{}, false, err
	}
	return inText(s, kind, field, block, path, lengths...), true, nil
}

// textBehind reads a text in a block of its own; ok is false where there is none.
func textBehind(s Struct, field string) (block Block, text string, ok bool, err error) {
	block, ok = s.Follow(field)
	if !ok || block.entry().code != codeData || block.Type() != "" {
		return block, "", false, nil
	}
	text, err = block.text()
	return block, text, err == nil, err
}

// inText is inBlock for a text that was read.
func inText(s Struct, kind, field string, block Block, path string, lengths ...string) finding {
	f := one(s, kind, field, false)
	f.Written = path
	f.place = place{at: block.entry().at, size: longestPath, block: block.index}
	for _, name := range lengths {
		if v, ok := s.Field(name); ok && v.member.pointer == 0 && len(v.data) == 4 {
			f.place.lengths = append(f.place.lengths, v)
		}
	}
	return f
}

func findCache(r *reach, s Struct) error {
	f := one(s, "cache file", "filepath", true)
	if s.Int("is_sequence") != 0 {
		f.shape, f.every = shapeSequence, true
	}
	if strings.HasSuffix(strings.ToLower(f.Written), ".abc") {
		r.t.features["alembic"] = true
	} else if f.Written != "" {
		r.t.features["usd"] = true
	}
	return r.found(f)
}

const hiddenLayer = 1 << 0

func findCacheLayer(r *reach, s Struct) error {
	return r.found(one(s, "cache file layer", "filepath", s.Int("flag")&hiddenLayer == 0))
}

func findVolume(r *reach, s Struct) error {
	r.t.features["openvdb"] = true
	if isPacked(s) {
		return nil
	}
	f := one(s, "volume", "filepath", true)
	if s.Int("is_sequence") != 0 {
		f.shape, f.id = shapeVolume, idKey{r.scene, r.id.name}
		f.volume = volumeUser{s.Int("frame_start"), s.Int("frame_duration"), s.Int("frame_offset"), s.Int("sequence_mode")}
	}
	return r.found(f)
}

func findDisplacement(r *reach, s Struct) error {
	return r.found(one(s, "external displacement", "filename", true))
}

const externalSource = 1 // mode of nodes whose text is a datablock or a file

func findIES(r *reach, s Struct) error {
	if s.Int("mode") != externalSource {
		return nil
	}
	return r.found(one(s, "IES profile", "filepath", true))
}

func findScript(r *reach, s Struct) error {
	r.t.features["osl"] = true
	if s.Int("mode") != externalSource {
		return nil
	}
	return r.found(one(s, "OSL script", "filepath", true))
}

const customCamera = 3 // Camera.type: a script says which rays it sends

// findCameraScript lists a camera's script as optional where the camera is of another type.
func findCameraScript(r *reach, s Struct) error {
	custom := s.Int("type") == customCamera
	if custom {
		r.t.features["osl"] = true
	}
	if s.Int("custom_mode") != externalSource {
		return nil
	}
	return r.found(one(s, "OSL camera", "custom_filepath", custom))
}

func findMeshCache(r *reach, s Struct) error {
	return r.found(one(s, "mesh cache", "filepath", true))
}

// filePathSubtype and folderPathSubtype mark texts that are paths.
const (
	filePathSubtype   = 1
	folderPathSubtype = 2
)

const (
	inputSocket  = 1      // bNodeSocket.in_out
	linkedSocket = 1 << 2 // bNodeSocket.flag: a link decides its value
)

// findSocket looks at the values of inputs, of which a linked one has no use for its own. Those of outputs, and the
// defaults of a group's own inputs, are read by no node: each user of the group has a value of its own. A text that is
// not declared to be a path can be handed to a node that takes it for one.
func findSocket(r *reach, s Struct) error {
	if s.Int("in_out") != inputSocket || r.unread[s.at] {
		return nil
	}
	block, ok := s.Follow("default_value")
	if !ok || block.Type() != "bNodeSocketValueString" {
		return nil
	}
	value, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	f := one(value, "node input", "value", s.Int("flag")&linkedSocket == 0)
	f.base = r.bases[s.at]
	if value.Int("subtype") != filePathSubtype {
		if !looksLikePath(f.Written) {
			return nil
		}
		f.onlyIfThere, f.Required = true, false
	}
	return r.found(f)
}

const (
	textProperty      = 0 // IDProperty.type
	datablockProperty = 7
)

// findProperty lists custom properties that are paths. Whoever reads them decides whether they matter.
func findProperty(r *reach, s Struct) error {
	switch kind := s.Int("type"); {
	case r.unread[s.at]:
		return nil
	case kind == textProperty:
	case kind == datablockProperty:
		return seeUnknownUser(r, s, "data.pointer")
	default:
		return nil
	}
	block, written, ok, err := textBehind(s, "data.pointer")
	if err != nil || !ok {
		return err
	}
	subtype, err := subtypeOf(s)
	if err != nil {
		return err
	}
	_, input := r.bases[s.at]
	declared := subtype == filePathSubtype || subtype == folderPathSubtype
	// Add-ons declare the subtypes of their properties in Python; the file does not tell those.
	if !declared && !strings.HasPrefix(written, "//") && !(input && looksLikePath(written)) {
		return nil // as nearly all texts, of which a scene may have very many
	}
	f := inText(s, "custom property "+s.Text("name"), "data.pointer", block, written, "len", "totallen")
	f.onlyIfThere = !declared
	if subtype == folderPathSubtype {
		f.shape = shapeFolder
	}
	if input {
		f.Kind, f.Required, f.base = "node input", !f.onlyIfThere, r.bases[s.at]
	}
	return r.found(f)
}

// skipExport marks the settings of an exporter, one of which is where it writes to. They lie behind it in the file.
func skipExport(r *reach, s Struct) error {
	block, ok := s.Follow("export_properties")
	if !ok {
		return nil
	}
	settings, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	for setting, err := range settings.List("data.group") {
		if err != nil {
			return err
		}
		r.unread[setting.at] = true
	}
	return nil
}

func subtypeOf(s Struct) (int64, error) {
	block, ok := s.Follow("ui_data")
	if !ok {
		return 0, nil
	}
	ui, _, err := block.Struct()
	return ui.Int("base.rna_subtype"), err
}
