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
	f.shape = shapeFolder
	return r.found(f)
}

const fluidBaked = 1 << 1 // FluidDomainSettings.cache_flag

// findFluid lists the cache of a fluid. What was never baked is simulated again, so its folder need not be there.
func findFluid(r *reach, s Struct) error {
	r.t.features["fluid"] = true
	f := one(s, "fluid cache", "cache_directory", s.Int("cache_flag")&fluidBaked != 0)
	f.shape = shapeFolder
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
		f.Written = s.Text("path")
		if f.Written == "" {
			return nil
		}
		if !strings.HasSuffix(f.Written, "/") && !strings.HasSuffix(f.Written, `\`) {
			f.Written += "/"
		}
		f.Written += name
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

// findNodesBake lists the folder of a modifier's bakes. What is not baked is computed again.
func findNodesBake(r *reach, s Struct) error {
	return findTextBlock(r, s, "geometry nodes bake", "simulation_bake_directory", shapeFolder)
}

const (
	bakeOwnPath = 1 << 1 // NodesModifierBake.flag
	bakePacked  = 1      // NodesModifierBake.bake_target
)

func findNodesBakes(r *reach, s Struct) error {
	if s.Int("flag")&bakeOwnPath == 0 || s.Int("bake_target") == bakePacked {
		return nil
	}
	return findTextBlock(r, s, "geometry nodes bake", "directory", shapeFolder)
}
