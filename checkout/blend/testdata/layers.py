# Makes USD layers that name each other in every way: pip install usd-core==26.11; python layers.py DIR
#
# top.usdc and top.usda say the same, in the two forms that layers have.
import os
import sys

from pxr import Sdf, Usd, UsdGeom

os.makedirs(os.path.join(sys.argv[1], "sub"), exist_ok=True)
os.chdir(sys.argv[1])


def leaf(name):
    stage = Usd.Stage.CreateNew(name)
    UsdGeom.Xform.Define(stage, "/part")
    stage.SetDefaultPrim(stage.GetPrimAtPath("/part"))
    return stage


for name in "below.usdc", "unanchored.usda", "referenced.usd", "sub/payload.usdc", "variant.usdc", "manifest.usda", "unused.usdc":
    leaf(name).Save()
for frame in 1, 2, 3:
    leaf(f"clip.{frame:03}.usdc").Save()
deep = leaf("sub/deep.usda")
deep.GetRootLayer().subLayerPaths.append("./deepest.usdc")
deep.Save()
leaf("sub/deepest.usdc").Save()

stage = Usd.Stage.CreateNew("top.usdc")
layer = stage.GetRootLayer()
for path in "./below.usdc", "unanchored.usda", "./sub/deep.usda":
    layer.subLayerPaths.append(path)
part = UsdGeom.Xform.Define(stage, "/part").GetPrim()
part.GetReferences().AddReference("./referenced.usd")
part.GetReferences().AddReference("./gone.usdc", "/part")
part.GetPayloads().AddPayload("sub/payload.usdc")
part.CreateAttribute("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath("./tex/wood.png"))
part.SetDocumentation("# made from old/lost.usdc by hand")
variants = part.GetVariantSets().AddVariantSet("lod")
variants.AddVariant("high")
variants.SetVariantSelection("high")
with variants.GetVariantEditContext():
    part.GetPayloads().AddPayload("./variant.usdc")
clips = Usd.ClipsAPI(UsdGeom.Xform.Define(stage, "/clips").GetPrim())
clips.SetClipTemplateAssetPath("./clip.###.usdc")
clips.SetClipTemplateStartTime(1)
clips.SetClipTemplateEndTime(3)
clips.SetClipTemplateStride(1)
clips.SetClipManifestAssetPath(Sdf.AssetPath("./manifest.usda"))
clips.SetClipPrimPath("/part")
stage.Save()
layer.Export("top.usda")
