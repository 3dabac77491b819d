package blend

import (
	"path/filepath"
	"strings"
	"testing"
)

// readProperties are the paths that Blender reads, by their names in Python, and the fields that Trace looks at for them.
var readProperties = map[string]string{
	"CacheFile.filepath": "CacheFile.filepath", "CacheFileLayer.filepath": "CacheFileLayer.filepath", "Camera.custom_filepath": "Camera.custom_filepath",
	"FluidDomainSettings.cache_directory": "FluidDomainSettings.cache_directory", "Image.filepath": "Image.name", "Image.filepath_raw": "Image.name",
	"ImageSequence.directory": "StripElem.name", "ImageStrip.directory": "StripElem.name", "Library.filepath": "Library.name",
	"MeshCacheModifier.filepath": "MeshCacheModifierData.filepath", "MovieClip.filepath": "MovieClip.name", "MovieClipProxy.directory": "MovieClip.proxy.dir",
	"MovieSequence.filepath": "StripElem.name", "MovieStrip.filepath": "StripElem.name", "MultiresModifier.filepath": "CustomDataExternal.filename",
	"NodeSocketStringFilePath.default_value": "bNodeSocketValueString.value", "NodesModifier.bake_directory": "NodesModifierData.simulation_bake_directory",
	"NodesModifierBake.directory": "NodesModifierBake.directory", "OceanModifier.filepath": "OceanModifierData.cachepath",
	"PointCache.filepath": "PointCache.path", "PointCacheItem.filepath": "PointCache.path", "ShaderNodeScript.filepath": "NodeShaderScript.filepath",
	"ShaderNodeTexIES.filepath": "NodeShaderTexIES.filepath", "Sound.filepath": "bSound.name", "VectorFont.filepath": "VFont.name", "Volume.filepath": "Volume.filepath",
}

// otherProperties are paths that no render reads, and why.
var otherProperties = map[string]string{
	"BakeSettings.filepath": "output", "CollectionExport.filepath": "output", "CompositorNodeOutputFile.base_path": "output",
	"CompositorNodeOutputFile.directory": "output", "DynamicPaintSurface.image_output_path": "output", "RenderSettings.filepath": "output",
	"SequenceEditor.proxy_dir": "preview", "SequenceProxy.directory": "preview", "SequenceProxy.filepath": "preview", "StripProxy.directory": "preview",
	"StripProxy.filepath": "preview", "Brush.icon_filepath": "interface", "FileBrowserFSMenuEntry.path": "interface", "FileSelectEntry.relative_path": "interface",
	"FileSelectParams.directory": "interface", "StudioLight.path": "interface", "StudioLight.path_irr_cache": "interface", "StudioLight.path_sh_cache": "interface", "Theme.filepath": "interface", "BlendData.filepath": "the file itself",
	"BlendImportContextLibrary.filepath": "not stored", "VolumeGrids.frame_filepath": "not stored", "ImagePackedFile.filepath": "packed",
	"LibraryWeakReference.filepath": "where it came from", "LibraryWeakReference.id_name": "where it came from",
	"NodeTreeInterfaceSocketStringFilePath.default_value": "users have their own", "PathCompare.path": "preferences", "ScriptDirectory.directory": "preferences",
	"UserAssetLibrary.path": "preferences", "UserExtensionRepo.custom_directory": "preferences", "UserExtensionRepo.directory": "preferences",
}

// TestEveryPathPropertyIsKnown asks each Blender for its paths: a new one is to be read, or to be left out on purpose.
func TestEveryPathPropertyIsKnown(t *testing.T) {
	for _, p := range pythons() {
		t.Run(filepath.Base(p.top), func(t *testing.T) {
			out, err := p.run("testdata/properties.py")
			if err != nil {
				t.Fatal(err)
			}
			known := 0
			for line := range strings.Lines(string(out)) {
				name, ok := strings.CutPrefix(strings.TrimSpace(line), "property ")
				if !ok || strings.HasPrefix(name, "Preferences") {
					continue
				}
				if readProperties[name] == "" && otherProperties[name] == "" {
					t.Errorf("%s is not known", name)
				}
				if readProperties[name] != "" {
					known++
				}
			}
			if known < 20 {
				t.Errorf("%d known properties", known)
			}
		})
	}
}
