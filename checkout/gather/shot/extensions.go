package shot

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"hayloft/checkout/blend"
)

// runOnLoading is the flag of a text block that Blender runs when it opens the file (Blender's DNA: Text.flags).
const runOnLoading = 1 << 4

// ownSettings are groups of settings in scenes that come with Blender.
var ownSettings = []string{"cycles", "cycles_curves", "_RNA_UI", "_CYCLES_DEBUG"}

// ownNodes begin the names of Blender's own kinds of nodes.
var ownNodes = []string{"ShaderNode", "CompositorNode", "TextureNode", "GeometryNode", "FunctionNode", "Node"}

const groupProperty = 6 // IDProperty.type

// extensions are what a file tells of programs that are not Blender's.
type extensions struct{ scripts, addOns map[string]bool }

// readExtensions looks for scripts and traces of add-ons in the .blend file itself. What libraries hold of them takes no
// part in opening the file.
func (g *gathering) readExtensions() error {
	file, err := blend.Open(g.main)
	if err != nil {
		return err
	}
	e := extensions{map[string]bool{}, map[string]bool{}}
	for block := range file.Blocks() {
		switch {
		case block.Code() == "TX":
			err = each(block, e.readText)
		case block.Code() == "SC":
			err = each(block, e.readScene)
		case block.Type() == "bNode":
			err = each(block, e.readNode)
		}
		if err = errors.Join(err, g.ctx.Err()); err != nil {
			break
		}
	}
	g.shot.Scripts = slices.AppendSeq(g.shot.Scripts, maps.Keys(e.scripts))
	g.shot.AddOns = slices.AppendSeq(g.shot.AddOns, maps.Keys(e.addOns))
	slices.Sort(g.shot.Scripts)
	slices.Sort(g.shot.AddOns)
	return errors.Join(err, file.Close())
}

func each(block blend.Block, read func(blend.Struct) error) error {
	for s, err := range block.Structs() {
		if err == nil {
			err = read(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e extensions) readText(s blend.Struct) error {
	if name := s.Text("id.name"); s.Int("flags")&runOnLoading != 0 && len(name) > 2 {
		e.scripts[name[2:]] = true
	}
	return nil
}

// readScene takes the groups among a scene's properties: what a user makes is single values, what an add-on registers is
// a group under its name.
func (e extensions) readScene(s blend.Struct) error {
	for _, root := range []string{"id.properties", "id.system_properties"} {
		block, ok := s.Follow(root)
		if !ok {
			continue
		}
		properties, ok, err := block.Struct()
		if err != nil || !ok {
			return err
		}
		for p, err := range properties.List("data.group") {
			if err != nil {
				return err
			}
			if name := p.Text("name"); p.Int("type") == groupProperty && !slices.Contains(ownSettings, name) {
				e.addOns["settings "+name] = true
			}
		}
	}
	return nil
}

func (e extensions) readNode(s blend.Struct) error {
	kind := s.Text("idname")
	own := slices.ContainsFunc(ownNodes, func(begin string) bool { return strings.HasPrefix(kind, begin) })
	if kind != "" && !own {
		e.addOns["nodes "+kind] = true
	}
	return nil
}
