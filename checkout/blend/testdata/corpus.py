# Makes the corpus of the tests: blender -b --factory-startup --python-exit-code 1 -P corpus.py -- DIR
#
# Beside the scenes, DIR gets expected.json: by scene, the files that it needs, the files that it needs and that are
# missing, and what Blender itself lists. All paths are absolute.
import json
import os
import shutil
import struct
import sys
import wave

import bpy

TOP = os.path.realpath(sys.argv[sys.argv.index("--") + 1])
expected = {}


def at(*parts):
    path = os.path.join(TOP, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def picture(*parts):
    path = at(*parts)
    image = bpy.data.images.new("made", 4, 4)
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def plain(*parts):
    path = at(*parts)
    with open(path, "wb") as file:
        file.write(b"some bytes\n")
    return path


def sound(*parts):
    path = at(*parts)
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<8h", *range(8)))
    return path


def font(*parts):
    for top in [bpy.utils.system_resource("DATAFILES"), "/usr/share/fonts"]:
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith((".ttf", ".otf")):
                    return shutil.copyfile(os.path.join(folder, name), at(*parts))
    raise RuntimeError("no font found to copy")


def fresh():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    return scene


def keep(name, path, source="FILE"):
    image = bpy.data.images.new(name, 4, 4)
    image.source = source
    image.filepath_raw = path
    image.use_fake_user = True
    return image


def thing(name, scene, data=None):
    object = bpy.data.objects.new(name, data or bpy.data.meshes.new(name))
    scene.collection.objects.link(object)
    return object


def save(path, needs, misses=(), compress=False, remap=True):
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=compress, relative_remap=remap, check_existing=False)
    expected[os.path.relpath(path, TOP)] = {"files": sorted(needs), "missing": sorted(misses), "listed": []}


def images():
    fresh()
    needs = [picture("tex", "wood.png"), picture("tex", "absolute.png"), picture("tex", "windows.png"), picture("tex", "ünïcode [1].png")]
    picture("tex", "unused.png")
    packed = keep("packed", picture("tex", "packed.png"))
    packed.pack()
    packed.filepath = "//tex/packed.png"
    keep("wood", "//tex/wood.png")
    keep("absolute", at("tex", "absolute.png"))
    keep("windows", "//tex\\windows.png")
    keep("unicode", "//tex/ünïcode [1].png")
    keep("gone", "//tex/gone.png")
    picture("tex", "Case.png")
    keep("case", "//tex/case.png")
    keep("drive", "C:\\tex\\drive.png")
    keep("share", "\\\\server\\tex\\share.png")
    keep("generated", "//tex/generated.png", "GENERATED")
    for tile in 1001, 1002, 1003, 1011:
        picture("tex", f"tile.{tile}.png")
    picture("tex", "tile.preview.png")
    tiled = keep("tiled", "//tex/tile.<UDIM>.png", "TILED")
    tiled.tiles.new(1002)
    tiled.tiles.new(1011)
    needs += [at("tex", f"tile.{tile}.png") for tile in (1001, 1002, 1011)]
    picture("tex", "uv_u1_v1.png")
    picture("tex", "uv_u2_v1.png")
    other = keep("uvtile", "//tex/uv_<UVTILE>.png", "TILED")
    other.tiles.new(1002)
    other.tiles.new(1013)
    needs += [at("tex", "uv_u1_v1.png"), at("tex", "uv_u2_v1.png")]
    misses = [at("tex", "gone.png"), at("tex", "case.png"), at("tex", "uv_u3_v2.png"), "C:\\tex\\drive.png", "\\\\server\\tex\\share.png"]
    # Remapping would turn the paths of Windows into others.
    save(at("images.blend"), needs, misses, remap=False)
    save(at("images_zstd.blend"), needs, misses, compress=True, remap=False)


def sequences():
    fresh()
    for frame in range(1, 11):
        picture("seq", f"shot_{frame:03}_left.png")
        picture("seq", f"loop{frame:02}.png")
        picture("seq", f"clip.{frame:04}.png")
        plain("vdb", f"smoke_{frame:04}.vdb")
    picture("seq", "shot_003_left_old.png")
    picture("seq", "shot_0003_left.png")
    once, loop = keep("once", "//seq/shot_001_left.png", "SEQUENCE"), keep("loop", "//seq/loop01.png", "SEQUENCE")
    missing = keep("short", "//seq/loop09.png", "SEQUENCE")
    material = bpy.data.materials.new("material")
    material.use_nodes, material.use_fake_user = True, True
    for image, frames, offset, start, cyclic in (once, 10, 2, 1, False), (loop, 2, 0, 0, True), (missing, 5, 8, 1, False):
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        user = node.image_user
        user.frame_duration, user.frame_offset, user.frame_start, user.use_cyclic = frames, offset, start, cyclic
    clip = bpy.data.movieclips.load(at("seq", "clip.0004.png"))
    clip.use_fake_user = True
    volume = bpy.data.volumes.new("smoke")
    volume.filepath, volume.is_sequence, volume.use_fake_user = "//vdb/smoke_0001.vdb", True, True
    volume.frame_duration, volume.frame_start, volume.frame_offset, volume.sequence_mode = 4, 2, 3, "CLIP"
    still = bpy.data.volumes.new("still")
    still.filepath, still.use_fake_user = "//vdb/smoke_0010.vdb", True
    needs = [at("seq", f"shot_{n:03}_left.png") for n in (3, 4, 5)]
    needs += [at("seq", f"loop{n:02}.png") for n in (1, 2, 9, 10)]
    needs += [at("seq", f"clip.{n:04}.png") for n in range(4, 11)]
    needs += [at("vdb", f"smoke_{n:04}.vdb") for n in (4, 5, 10)]
    save(at("sequences.blend"), needs, [at("seq", "loop11.png")], compress=True)


def shown_elsewhere():
    """Sequences that a texture, a camera, an empty and the compositor show, each another file of its own."""
    scene = fresh()
    needs = []
    users = {}
    texture = bpy.data.textures.new("texture", "IMAGE")
    texture.use_fake_user = True
    camera = bpy.data.cameras.new("camera")
    thing("camera", scene, camera)
    empty = bpy.data.objects.new("empty", None)
    empty.empty_display_type = "IMAGE"
    scene.collection.objects.link(empty)
    scene.use_nodes = True
    for name in "texture", "camera", "empty", "compositor":
        for frame in range(1, 8):
            picture("users", f"{name}{frame}.png")
        users[name] = keep(name, f"//users/{name}1.png", "SEQUENCE")
    texture.image = users["texture"]
    background = camera.background_images.new()
    background.image = users["camera"]
    empty.data = users["empty"]
    node = scene.node_tree.nodes.new("CompositorNodeImage")
    node.image = users["compositor"]
    for offset, (name, user) in enumerate([("texture", texture.image_user), ("camera", background.image_user), ("empty", empty.image_user), ("compositor", node)]):
        user.frame_duration, user.frame_start, user.frame_offset = 2, 1, offset
        needs += [at("users", f"{name}{offset + n}.png") for n in (1, 2)]
    save(at("users.blend"), needs)


def caches():
    fresh()
    bpy.ops.wm.save_as_mainfile(filepath=at("caches.blend"))
    bpy.ops.mesh.primitive_plane_add()
    object = bpy.context.object
    object.name = "emitter"
    object.modifiers.new("particles", "PARTICLE_SYSTEM")
    cache = object.particle_systems[0].point_cache
    cache.use_disk_cache = True
    cache.frame_start, cache.frame_end = 1, 3
    override = bpy.context.copy()
    override["point_cache"] = cache
    bpy.ops.ptcache.bake(override, bake=True)
    folder = at("blendcache_caches", "")
    needs = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    assert len(needs) >= 3, needs
    plain("blendcache_caches", "other_000001_00.bphys")

    bpy.ops.mesh.primitive_plane_add()
    sea = bpy.context.object
    ocean = sea.modifiers.new("Ocean", "OCEAN")
    ocean.resolution, ocean.viewport_resolution = 1, 1
    ocean.frame_start, ocean.frame_end = 1, 1
    ocean.filepath = "//ocean/"
    bpy.ops.object.ocean_bake(modifier="Ocean")  # Without a window the modifier is not marked as baked.

    bpy.ops.mesh.primitive_plane_add()
    rock = bpy.context.object
    rock.modifiers.new("Multires", "MULTIRES")
    bpy.ops.object.multires_subdivide(modifier="Multires")
    bpy.ops.object.multires_external_save(filepath=at("rock.btx"), modifier="Multires")
    needs.append(at("rock.btx"))
    save(at("caches.blend"), needs)


def movies():
    scene = fresh()
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.frame_end = 2
    scene.render.image_settings.file_format = "AVI_JPEG"
    scene.render.filepath = at("movies", "clip.avi")
    editor = scene.sequence_editor_create()
    color = editor.sequences.new_effect("color", "COLOR", 1, 1, frame_end=3)
    bpy.ops.render.render(animation=True)
    editor.sequences.remove(color)
    shutil.copyfile(at("movies", "clip.avi"), at("movies", "texture7.avi"))
    shutil.copyfile(at("movies", "clip.avi"), at("beside.avi"))
    plain("movies", "texture8.avi")
    bpy.data.movieclips.load(at("movies", "clip.avi")).use_fake_user = True
    bpy.data.images.load(at("movies", "texture7.avi")).use_fake_user = True
    editor.sequences.new_movie("movie", at("beside.avi"), 1, 1)
    meta = editor.sequences.new_meta("meta", 2, 1)
    inner = meta.sequences.new_image("inner", picture("movies", "inner.png"), 1, 1)
    inner.mute = True
    save(at("movies.blend"), [at("movies", "clip.avi"), at("movies", "texture7.avi"), at("beside.avi"), at("movies", "inner.png")], compress=True)


def media():
    scene = fresh()
    needs = [sound("media", "beep.wav"), sound("media", "gun.wav"), font("media", "font.ttf"), plain("media", "lamp.ies"), plain("media", "shader.osl"),
             plain("media", "shader.oso"), plain("media", "notes.txt"), plain("media", "cache.abc"), plain("media", "cache.usdc"), plain("media", "points.pc2"),
             picture("strip1.png"), picture("other.png"), picture("media", "left_L.png"), picture("media", "left_R.png")]
    packed = bpy.data.sounds.load(sound("media", "packed.wav"))
    packed.use_fake_user = True
    packed.pack()
    speaker = bpy.data.speakers.new("speaker")
    speaker.sound = bpy.data.sounds.load(at("media", "beep.wav"))
    speaker.sound.filepath = "//media/beep.wav"
    thing("speaker", scene, speaker)
    curve = bpy.data.curves.new("text", "FONT")
    curve.font = bpy.data.fonts.load(at("media", "font.ttf"))
    thing("text", scene, curve)
    world = bpy.data.worlds.new("world")
    world.use_nodes, scene.world = True, world
    ies = world.node_tree.nodes.new("ShaderNodeTexIES")
    ies.mode, ies.filepath = "EXTERNAL", "//media/lamp.ies"
    script = world.node_tree.nodes.new("ShaderNodeScript")
    script.mode = "EXTERNAL"
    script.filepath = "//media/shader.osl"
    bpy.data.texts.load(at("media", "notes.txt"))
    cached = thing("cached", scene)
    for name in "cache.abc", "cache.usdc":
        bpy.ops.cachefile.open(filepath=at("media", name))
    bpy.data.cache_files[0].filepath = "//media/" + bpy.data.cache_files[0].name
    for file in bpy.data.cache_files:
        modifier = cached.modifiers.new("cache", "MESH_SEQUENCE_CACHE")
        modifier.cache_file = file
    points = cached.modifiers.new("points", "MESH_CACHE")
    points.cache_format, points.filepath = "PC2", "//media/points.pc2"
    needs += [plain("sim", "636C_000001_00.bphys"), plain("sim", "636C_000002_00.bphys"), plain("fluid", "data", "fluid_data_0001.vdb")]
    plain("sim", "636C_000001_01.bphys")
    plain("sim", "other_000001_00.bphys")
    cloth = thing("cl", scene).modifiers.new("cloth", "CLOTH")
    cloth.point_cache.use_external = True
    cloth.point_cache.index, cloth.point_cache.filepath = 0, "//sim"
    fluid = thing("domain", scene).modifiers.new("fluid", "FLUID")
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.cache_directory = "//fluid"
    scene.render.use_multiview, scene.render.views_format = True, "STEREO_3D"
    views = bpy.data.images.load(at("media", "left_L.png"))
    views.use_multiview, views.views_format, views.use_fake_user = True, "INDIVIDUAL", True
    views.filepath = "//media/left_L.png"
    views.reload()
    editor = scene.sequence_editor_create()
    strip = editor.sequences.new_image("images", "//strip1.png", 1, 1)
    strip.elements.append("other.png")
    strip.elements.append("absent.png")
    editor.sequences.new_sound("gun", at("media", "gun.wav"), 2, 1)
    scene["asset"] = plain("media", "asset.bin")
    scene.id_properties_ui("asset").update(subtype="FILE_PATH")
    scene["word"] = plain("media", "word.bin")
    needs.append(at("media", "asset.bin"))
    scene.render.engine = "CYCLES"
    scene.cycles.use_denoising, scene.cycles.device = True, "GPU"
    scene["cycles"]["denoiser"] = 4  # OpenImageDenoise, which not every Blender is built with.
    scene.render.filepath = "//out/frame_"
    save(at("media.blend"), needs, [at("absent.png")])


def libraries():
    scene = fresh()
    for name in "needed", "unused":
        material = bpy.data.materials.new(name)
        material.use_nodes, material.use_fake_user = True, True
        picture("lib", "shading", name + ".png")
        keep(name, f"//{name}.png").use_fake_user = False
        material.node_tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images[name]
    material.node_tree.nodes[-1].image = bpy.data.images["unused"]
    bpy.ops.wm.save_as_mainfile(filepath=at("lib", "shading", "materials.blend"), compress=True)

    scene = fresh()
    with bpy.data.libraries.load(at("lib", "shading", "materials.blend"), link=True, relative=True) as (_, to):
        to.materials = ["needed"]
    chair, parent = thing("chair", scene), thing("parent", scene)
    chair.parent = parent
    chair.data.materials.append(to.materials[0])
    lost = bpy.data.textures.new("lost", "IMAGE")
    lost.image = keep("lost", "//lost.png")
    lost.image.use_fake_user = False
    parent.modifiers.new("displace", "DISPLACE").texture = lost
    table = thing("table", scene)
    table.data.materials.append(bpy.data.materials.new("local"))
    bpy.ops.wm.save_as_mainfile(filepath=at("lib", "props.blend"))

    # The circle closes: materials needs something of props, by an absolute path.
    bpy.ops.wm.open_mainfile(filepath=at("lib", "shading", "materials.blend"))
    with bpy.data.libraries.load(at("lib", "props.blend"), link=True, relative=False) as (_, to):
        to.objects = ["table"]
    bpy.data.materials["needed"]["back"] = to.objects[0]
    bpy.ops.wm.save_mainfile(compress=True)

    scene = fresh()
    with bpy.data.libraries.load(at("lib", "props.blend"), link=True, relative=True) as (_, to):
        to.objects = ["chair"]
    scene.collection.objects.link(to.objects[0])
    needs = [at("lib", "props.blend"), at("lib", "shading", "materials.blend"), at("lib", "shading", "needed.png")]
    save(at("libraries.blend"), needs, [at("lib", "lost.png")])

    shutil.copyfile(at("libraries.blend"), at("moved", "libraries.blend"))
    expected["moved/libraries.blend"] = {"files": [], "missing": [at("moved", "lib", "props.blend")], "listed": []}


def list_all():
    for path, scene in expected.items():
        bpy.ops.wm.open_mainfile(filepath=at(path))
        listed = {os.path.normpath(p) for p in bpy.utils.blend_paths(absolute=True, packed=False, local=False) if p}
        scene["listed"] = sorted(listed)


images()
sequences()
shown_elsewhere()
caches()
movies()
media()
libraries()
list_all()
with open(at("expected.json"), "w") as file:
    json.dump(expected, file)
