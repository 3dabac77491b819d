package blend

import (
	"fmt"
	"path/filepath"
	"strings"
)

func findOcean(r *reach, s Struct) error {
	r.t.features["ocean"] = true
	if s.Int("cached") == 0 {
		return nil
	}
	f := one(s, "ocean cache", "cachepath", true)
	f.shape, f.numbered = shapeFolder, oceanFiles(s)
	return r.found(f)
}

const fluidBaked = 1 << 1 // FluidDomainSettings.cache_flag

// findFluid lists the cache of a fluid. What was never baked is simulated again, so its folder need not be there.
func findFluid(r *reach, s Struct) error {
	r.t.features["fluid"] = true
	f := one(s, "fluid cache", "cache_directory", s.Int("cache_flag")&fluidBaked != 0)
	f.shape, f.numbered = shapeFolder, fluidFiles(s)
	return r.found(f)
}

const oldFluidDomain = 1 << 1 // FluidsimSettings.type

func findOldFluid(r *reach, s Struct) error {
	if s.Int("type") != oldFluidDomain {
		return nil
	}
	f := one(s, "fluid cache", "surfdataPath", false)
	f.shape = shapePrefix
	return r.found(f)
}

// PointCache.flag (fact sheet, section 7).
const (
	cacheBaked       = 1 << 0
	cacheOnDisk      = 1 << 6
	cacheExternal    = 1 << 9
	cacheOfMainBlend = 1 << 11
)

// findPointCache lists the files of particles, cloth, soft and rigid bodies and dynamic paint. A cache on disk that was
// not baked is simulated again where it is not there.
func findPointCache(r *reach, s Struct) error {
	flag, index := s.Int("flag"), s.Int("index")
	f := finding{shape: shapePointCache, cacheIndex: index, base: r.id.base}
	f.Dependency = Dependency{Kind: "point cache", Field: "PointCache.path", Required: flag&(cacheExternal|cacheBaked) != 0}
	if flag&cacheOfMainBlend != 0 {
		f.base = r.t.root
	}
	name := s.Text("name")
	if name == "" && len(r.id.name) > 2 {
		name = fmt.Sprintf("%X", r.id.name[2:])
	}
	switch {
	case flag&cacheExternal != 0:
		f.dir, f.name = s.Text("path"), name
		f.place, f.namePlace = placeOf(s, "path"), placeOf(s, "name")
		f.unnamed = s.Text("name") == ""
		if f.dir == "" {
			return nil
		}
		f.Written = withSeparator(f.dir) + name
	case flag&cacheOnDisk != 0:
		f.Field = "PointCache.name"
		f.Written = blendCacheFolder(f.base) + "/" + name
	default:
		return nil // It lies in memory, and so in the .blend file.
	}
	return r.found(f)
}

// blendCacheFolder is the folder that carries a .blend file's name and lies beside it.
func blendCacheFolder(blend string) string {
	name := filepath.Base(blend)
	return "//blendcache_" + strings.TrimSuffix(name, filepath.Ext(name))
}

const (
	bakeOwnPath = 1 << 1 // NodesModifierBake.flag
	bakePacked  = 1      // bake_target of a bake, or of its modifier; 0 on a bake is as its modifier says
)

// findNodes lists the folders of a modifier's bakes, and marks what it hands to its nodes.
func findNodes(r *reach, s Struct) error {
	if err := markInputs(r, s); err != nil {
		return err
	}
	block, ok := s.Follow("bakes")
	if !ok || block.Type() != "NodesModifierBake" { // Blender 3.6 and 4.0 have one folder for all.
		return findBake(r, s, "simulation_bake_directory")
	}
	shared := false
	for bake, err := range block.Structs() {
		if err != nil {
			return err
		}
		target := bake.Int("bake_target")
		if target == 0 {
			target = s.Int("bake_target")
		}
		switch {
		case target == bakePacked:
		case bake.Int("flag")&bakeOwnPath != 0:
			if err := findBake(r, bake, "directory"); err != nil {
				return err
			}
		default:
			shared = true
		}
	}
	if !shared {
		return nil
	}
	return findBake(r, s, "simulation_bake_directory")
}

// findBake lists a folder of bakes as required: Blender writes its path when it bakes, and without the bake a simulation
// that does not start at its first frame shows nothing.
func findBake(r *reach, s Struct, field string) error {
	f, ok, err := inBlock(s, "geometry nodes bake", field)
	if err != nil || !ok {
		return err
	}
	f.shape, f.Required = shapeFolder, true
	return r.found(f)
}

// markInputs remembers the properties that a modifier hands to its nodes. They lie behind it in the file.
func markInputs(r *reach, s Struct) error {
	block, ok := s.Follow("settings.properties")
	if !ok {
		return nil
	}
	inputs, ok, err := block.Struct()
	if err != nil || !ok {
		return err
	}
	return r.startFromGroup(s, "node_group", inputs, "data.group")
}
