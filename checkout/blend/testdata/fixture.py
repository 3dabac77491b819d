# Makes a scene in which a path stands in every kind of field that this Blender has: python fixture.py -- NAME.blend
#
# The versions are bpy 4.2.23, 4.5.15 and 5.0.1. Beside the scene, NAME.json lists the fields as the tests expect them:
# datablock, kind, field, path. Of the files that the scene names only those in the folder caches exist, which caches.py
# and layers.py made; the scene has to be saved beside it.
import json
import os
import shutil
import struct
import subprocess
import sys
import wave

import bpy

target = os.path.abspath(sys.argv[sys.argv.index("--") + 1])
fields = []
scratch = "/tmp/fixture"
os.makedirs(scratch)


def expect(datablock, kind, field, path):
    fields.append({"datablock": datablock, "kind": kind, "field": field, "written": path})
    return path


def keep(data):
    data.use_fake_user = True
    return data


def file(name, content=b""):
    path = os.path.join(scratch, name)
    with open(path, "wb") as out:
        out.write(content)
    return path


def picture(name):
    image = bpy.data.images.new("made", 4, 4)
    image.filepath_raw = os.path.join(scratch, name)
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return os.path.join(scratch, name)


def thing(name, data=None):
    object = bpy.data.objects.new(name, data or bpy.data.meshes.new(name))
    bpy.context.scene.collection.objects.link(object)
    return object


def pack():
    """Compresses the file as Blender does, in one frame with a seek table, but harder."""
    plain = os.path.getsize(target)
    packed = subprocess.run(["zstd", "-19", "--stdout", "--quiet", target], check=True, capture_output=True).stdout
    with open(target, "wb") as out:
        out.write(packed + struct.pack("<IIIIIBI", 0x184D2A5E, 17, len(packed), plain, 1, 0, 0x8F92EAB1))


def images():
    for name, source, path in (
        ("plain", "FILE", "//tex/plain.png"), ("absolute", "FILE", "/studio/tex/ünïcode [1].png"),
        ("drive", "FILE", "P:\\film\\tex\\drive.png"), ("share", "FILE", "\\\\server\\film\\share.png"),
        ("back", "FILE", "//tex\\back.png"), ("run", "SEQUENCE", "//seq/run_001_left.png"),
        ("tiles", "TILED", "//tex/tile.<UDIM>.png"), ("uv", "TILED", "//tex/tile_<UVTILE>.png"),
    ):
        image = keep(bpy.data.images.new(name, 4, 4))
        image.source = source
        image.filepath_raw = expect("IM" + name, "image", "Image.name", path)
        if source == "TILED":
            image.tiles.new(1012)
    bpy.context.scene.render.use_multiview = True
    left, _ = picture("eye_L.png"), picture("eye_R.png")
    views = keep(bpy.data.images.load(left))
    views.use_multiview, views.views_format = True, "INDIVIDUAL"
    views.filepath = left
    views.reload()
    for field, name in ("Image.name", "eye_L.png"), ("ImageView.filepath", "eye_L.png"), ("ImageView.filepath", "eye_R.png"):
        expect("IMeye_L.png", "image", field, os.path.join(scratch, name))
    bpy.data.images.new("generated", 4, 4).filepath_raw = "//tex/generated.png"
    packed = keep(bpy.data.images.load(picture("packed.png")))
    packed.pack()


def media():
    with wave.open(os.path.join(scratch, "beep.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(struct.pack("<8h", *range(8)))
    sound = keep(bpy.data.sounds.load(os.path.join(scratch, "beep.wav")))
    sound.filepath = expect("SObeep.wav", "sound", "bSound.name", "//media/beep.wav")
    clip = keep(bpy.data.movieclips.load(picture("clip7.png")))
    clip.filepath = expect("MCclip7.png", "movie clip", "MovieClip.name", "//media/clip7.png")
    clip.use_proxy_custom_directory = True
    clip.proxy.directory = expect("MCclip7.png", "movie clip proxies", "MovieClip.proxy.dir", "//media/proxies/")
    editor = bpy.context.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    if bpy.app.build_options.audaspace:
        played = keep(strips.new_sound("played", os.path.join(scratch, "beep.wav"), 3, 1).sound)
        played.filepath = expect("SO" + played.name, "sound", "bSound.name", "//media/played.wav")
        expect("SCScene", "sound strip", "StripElem.name", os.path.join(scratch, "beep.wav"))
    text = bpy.data.texts.load(file("notes.txt"))
    text.filepath = expect("TXnotes.txt", "text", "Text.name", "//media/notes.txt")
    volume = keep(bpy.data.volumes.new("smoke"))
    volume.filepath = expect("VOsmoke", "volume", "Volume.filepath", "//media/smoke_0001.vdb")
    bpy.ops.cachefile.open(filepath=file("cache.abc"))
    cache = keep(bpy.data.cache_files[0])
    cache.filepath = expect("CFcache.abc", "cache file", "CacheFile.filepath", "//media/cache.abc")
    cache.layers.new(expect("CFcache.abc", "cache file layer", "CacheFileLayer.filepath", "//media/layer.abc"))
    for name in "box.abc", "usd/top.usdc":
        bpy.ops.cachefile.open(filepath=file(os.path.basename(name)))
        real = keep(bpy.data.cache_files[os.path.basename(name)])
        real.filepath = expect("CF" + real.name, "cache file", "CacheFile.filepath", "//caches/" + name)
    smoke = keep(bpy.data.volumes.new("real"))
    smoke.filepath = expect("VOreal", "volume", "Volume.filepath", "//caches/smoke.vdb")
    scene = bpy.context.scene
    strip = strips.new_image("pictures", expect("SCScene", "sequencer strip", "StripElem.name", "//strip/first.png"), 1, 1)
    strip.elements.append("second.png")
    scene["asset"] = expect("SCScene", "custom property asset", "IDProperty.data.pointer", "//media/asset.bin")
    scene.id_properties_ui("asset").update(subtype="FILE_PATH")
    scene["word"] = "//media/word.bin"


def nodes():
    tree = keep(bpy.data.node_groups.new("shading", "ShaderNodeTree"))
    node = tree.nodes.new("ShaderNodeTexIES")
    node.mode, node.filepath = "EXTERNAL", expect("NTshading", "IES profile", "NodeShaderTexIES.filepath", "//media/lamp.ies")
    node = tree.nodes.new("ShaderNodeScript")
    node.mode = "EXTERNAL"
    node.filepath = expect("NTshading", "OSL script", "NodeShaderScript.filepath", "//media/shader.osl")
    shown = tree.nodes.new("ShaderNodeTexImage")
    shown.image, shown.image_user.frame_duration = bpy.data.images["run"], 2
    other = keep(bpy.data.node_groups.new("reading", "GeometryNodeTree"))
    other.nodes.new("GeometryNodeImageTexture").inputs["Image"].default_value = bpy.data.images["run"]
    other.nodes.new("FunctionNodeInputString").string = expect("NTreading", "node input", "NodeInputString.string", "//caches/box.abc")
    other.nodes.new("FunctionNodeInputString").string = "//caches/none.abc"
    camera = keep(bpy.data.cameras.new("camera"))
    if hasattr(camera, "custom_filepath"):
        camera.type, camera.custom_mode = "CUSTOM", "EXTERNAL"
        camera.custom_filepath = expect("CAcamera", "OSL camera", "Camera.custom_filepath", "//media/camera.osl")


def modifiers():
    object = thing("cached")
    points = object.modifiers.new("points", "MESH_CACHE")
    points.filepath = expect("OBcached", "mesh cache", "MeshCacheModifierData.filepath", "//media/points.mdd")
    cloth = object.modifiers.new("cloth", "CLOTH").point_cache
    cloth.use_external, cloth.index, cloth.name = True, 0, "cloth"
    cloth.filepath = "//sim"
    expect("OBcached", "point cache", "PointCache.path", "//sim/cloth")
    soft = object.modifiers.new("soft", "SOFT_BODY").point_cache
    soft.use_disk_cache = True
    name = "//blendcache_" + os.path.splitext(os.path.basename(target))[0] + "/" + "cached".encode().hex().upper()
    expect("OBcached", "point cache", "PointCache.name", name)
    group = bpy.data.node_groups.new("bakes", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    for _ in range(2):
        group.nodes.new("GeometryNodeBake")
    if hasattr(bpy.types, "GeometryNodeImportOBJ"):
        reader = group.nodes.new("GeometryNodeImportOBJ")
        reader.inputs[0].default_value = expect("NTbakes", "node input", "bNodeSocketValueString.value", "//media/mesh.obj")
        item = group.interface.new_socket("File", in_out="INPUT", socket_type="NodeSocketString")
        item.subtype = "FILE_PATH"
    modifier = object.modifiers.new("nodes", "NODES")
    modifier.node_group = group
    for key in [key for key in modifier.keys() if key == "Socket_2"]:
        modifier[key] = expect("OBcached", "node input", "IDProperty.data.pointer", "//media/input.ply")
    modifier.bake_directory = expect("OBcached", "geometry nodes bake", "NodesModifierData.simulation_bake_directory", "//bakes/all")
    own = modifier.bakes[1]
    own.use_custom_path = True
    own.directory = expect("OBcached", "geometry nodes bake", "NodesModifierBake.directory", "//bakes/own")
    if hasattr(modifier, "bake_target"):
        modifier.bake_target, own.bake_target = "DISK", "DISK"


bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.save_as_mainfile(filepath=target)  # Only a saved file may have caches on disk.
images()
media()
nodes()
modifiers()
if os.path.exists(target):
    os.remove(target)
bpy.ops.wm.save_as_mainfile(filepath=target, compress=False, relative_remap=False)
pack()
shutil.rmtree(scratch)
with open(os.path.splitext(target)[0] + ".json", "w") as out:
    json.dump(fields, out, ensure_ascii=False, indent=1)
    out.write("\n")
