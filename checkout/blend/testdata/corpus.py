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


def below(*parts):
    return [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(TOP, *parts)) for name in names]


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


def compositor(scene):
    if hasattr(scene, "compositing_node_group"):
        scene.compositing_node_group = bpy.data.node_groups.new("compositor", "CompositorNodeTree")
        return scene.compositing_node_group
    scene.use_nodes = True
    return scene.node_tree


def strips(owner):
    return owner.strips if hasattr(owner, "strips") else owner.sequences


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
    tree = compositor(scene)
    for name in "texture", "camera", "empty", "compositor":
        for frame in range(1, 8):
            picture("users", f"{name}{frame}.png")
        users[name] = keep(name, f"//users/{name}1.png", "SEQUENCE")
    texture.image = users["texture"]
    background = camera.background_images.new()
    background.image = users["camera"]
    empty.data = users["empty"]
    node = tree.nodes.new("CompositorNodeImage")
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
    with bpy.context.temp_override(point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
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
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "AVI", "MPEG4"
    scene.render.filepath = at("movies", "clip.avi")
    editor = scene.sequence_editor_create()
    still = strips(editor).new_image("still", picture("movies", "still.png"), 1, 1)
    bpy.ops.render.render(animation=True)
    strips(editor).remove(still)
    shutil.copyfile(at("movies", "clip.avi"), at("movies", "texture7.avi"))
    shutil.copyfile(at("movies", "clip.avi"), at("beside.avi"))
    plain("movies", "texture8.avi")
    bpy.data.movieclips.load(at("movies", "clip.avi")).use_fake_user = True
    bpy.data.images.load(at("movies", "texture7.avi")).use_fake_user = True
    strips(editor).new_movie("movie", at("beside.avi"), 1, 1)
    meta = strips(editor).new_meta("meta", 2, 1)
    inner = strips(meta).new_image("inner", picture("movies", "inner.png"), 1, 1)
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
    fluid.show_viewport = fluid.show_render = False  # Otherwise Blender simulates, and adds files of its own.
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.cache_directory = "//fluid"
    scene.render.use_multiview, scene.render.views_format = True, "STEREO_3D"
    views = bpy.data.images.load(at("media", "left_L.png"))
    views.use_multiview, views.views_format, views.use_fake_user = True, "INDIVIDUAL", True
    views.filepath = "//media/left_L.png"
    views.reload()
    editor = scene.sequence_editor_create()
    strip = strips(editor).new_image("images", "//strip1.png", 1, 1)
    strip.elements.append("other.png")
    strip.elements.append("absent.png")
    if bpy.app.build_options.audaspace:
        strips(editor).new_sound("gun", at("media", "gun.wav"), 2, 1)
    else:
        bpy.data.sounds.load(at("media", "gun.wav")).use_fake_user = True
    scene["asset"] = plain("media", "asset.bin")
    scene.id_properties_ui("asset").update(subtype="FILE_PATH")
    scene["word"] = plain("media", "word.bin")
    needs.append(at("media", "asset.bin"))
    scene.render.engine = "CYCLES"
    scene.cycles.use_denoising, scene.cycles.device = True, "GPU"
    try:
        scene.cycles.denoiser = "OPENIMAGEDENOISE"
    except TypeError:
        scene["cycles"]["denoiser"] = 4  # Not every Blender is built with it.
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


def simulations():
    """Caches on disk of every kind that has some, and files that no other scene has."""
    scene = fresh()
    path = at("simulations.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    needs = []

    def cached(name, cache, external):
        cache.frame_start, cache.frame_end = 1, 3
        if external:
            cache.use_external = True
            cache.index, cache.filepath, cache.name = 2, "//external/", name
            return plain("external", name + "_000001_02.bphys")
        cache.use_disk_cache = True
        cache.index, cache.name = 0, name
        plain("blendcache_simulations", name + "x_000001_00.bphys")
        return plain("blendcache_simulations", name + "_000001_00.bphys")

    for external in False, True:
        tail = "e" if external else "d"
        soft = thing("soft" + tail, scene).modifiers.new("soft", "SOFT_BODY")
        cloth = thing("cloth" + tail, scene).modifiers.new("cloth", "CLOTH")
        needs += [cached("soft" + tail, soft.point_cache, external), cached("cloth" + tail, cloth.point_cache, external)]
        bpy.ops.mesh.primitive_plane_add()
        canvas = bpy.context.object.modifiers.new("paint", "DYNAMIC_PAINT")
        canvas.ui_type = "CANVAS"
        bpy.ops.dpaint.type_toggle(type="CANVAS")
        surface = canvas.canvas_settings.canvas_surfaces[0]
        surface.name = "paint" + tail
        surface.image_output_path = "//out/paint"
        needs.append(cached("paint" + tail, surface.point_cache, external))
    bpy.ops.rigidbody.world_add()
    needs.append(cached("rigid", scene.rigidbody_world.point_cache, True))

    for name in "volume.vdb", "one.abc", "two.abc", "hidden.abc":
        plain("external", name)
    bpy.ops.cachefile.open(filepath=at("external", "one.abc"))
    needs.append(at("external", "one.abc"))
    cache = bpy.data.cache_files[0]
    cache.filepath, cache.use_fake_user = "//external/one.abc", True
    if hasattr(cache, "layers"):
        cache.layers.new("//external/two.abc")
        cache.layers.new("//external/hidden.abc").hide_layer = True
        needs += [at("external", "two.abc"), at("external", "hidden.abc")]
    for frame in range(1, 4):
        needs.append(plain("external", f"run{frame}.abc"))
    plain("external", "runner1.abc")
    bpy.ops.cachefile.open(filepath=at("external", "run2.abc"))
    run = bpy.data.cache_files[-1]
    run.is_sequence, run.use_fake_user = True, True

    for name in "sphere", "spot":
        needs.append(plain("external", name + ".ies"))
    material = bpy.data.materials.new("lamp")
    material.use_nodes, material.use_fake_user = True, True
    group = bpy.data.node_groups.new("group", "ShaderNodeTree")
    group.use_fake_user = True
    for tree, name in (material.node_tree, "sphere"), (group, "spot"):
        node = tree.nodes.new("ShaderNodeTexIES")
        node.mode, node.filepath = "EXTERNAL", f"//external/{name}.ies"
    node = group.nodes.new("ShaderNodeTexIES")  # A text inside the file, and a path that is not in use.
    node.filepath, node.mode = "//external/unused.ies", "INTERNAL"

    clip = bpy.data.movieclips.load(picture("external", "clip.png"))
    needs.append(at("external", "clip.png"))
    clip.use_fake_user = clip.use_proxy = clip.use_proxy_custom_directory = True
    clip.proxy.directory = "//external/proxies"
    needs.append(picture("external", "proxies", "clip", "proxy_25.png"))

    needs.append(plain("external", "bound.mdd"))
    holder = thing("holder", scene)
    holder.modifiers.new("mdd", "MESH_CACHE").filepath = "//external/bound.mdd"
    holder["undeclared"] = "//external/settings.bin"
    needs.append(plain("external", "settings.bin"))
    holder["other"], holder["comment"] = "//external/none.bin", "see bound.mdd"
    for owner, name in (holder, "kept.bin"), (holder.data, "inner.bin"):
        owner["file"] = "//external/" + name
        owner.id_properties_ui("file").update(subtype="FILE_PATH")
        needs.append(plain("external", name))
    holder["folder"] = "//external/deep"
    holder.id_properties_ui("folder").update(subtype="DIR_PATH")
    needs.append(plain("external", "deep", "a", "b.bin"))
    save(path, needs)


def packed():
    """Nothing of it is a dependency."""
    fresh()
    for tile in 1001, 1002:
        picture("packed", f"tile.{tile}.png")
    tiled = bpy.data.images.load(at("packed", "tile.1001.png"))
    tiled.source, tiled.filepath = "TILED", at("packed", "tile.<UDIM>.png")
    tiled.tiles.new(1002)
    picture("packed", "one.png")
    still = bpy.data.images.load(at("packed", "one.png"))
    noise = bpy.data.sounds.load(sound("packed", "one.wav"))
    letters = bpy.data.fonts.load(font("packed", "one.ttf"))
    for data in tiled, still, noise, letters:
        data.use_fake_user = True
        data.pack()
    if not tiled.packed_file and not len(tiled.packed_files):
        raise RuntimeError("the tiles were not packed")
    shutil.rmtree(at("packed", ""))
    save(at("packed.blend"), [])


def overrides():
    """An override holds paths of its own, beside those of its library."""
    scene = fresh()
    thing("prop", scene).modifiers.new("cache", "MESH_CACHE").filepath = "//base.mdd"
    plain("over", "lib", "base.mdd")
    bpy.ops.wm.save_as_mainfile(filepath=at("over", "lib", "props.blend"))
    scene = fresh()
    with bpy.data.libraries.load(at("over", "lib", "props.blend"), link=True) as (_, to):
        to.objects = ["prop"]
    bpy.ops.wm.save_as_mainfile(filepath=at("over", "overrides.blend"))
    scene.collection.objects.link(to.objects[0])
    local = to.objects[0].override_create(remap_local_usages=True)
    local.modifiers["cache"].filepath = "//own.mdd"
    bpy.data.collections.new("original").objects.link(to.objects[0])
    bpy.data.collections["original"].use_fake_user = True
    save(at("over", "overrides.blend"), [at("over", "lib", "props.blend"), at("over", "lib", "base.mdd"), plain("over", "own.mdd")])


def deep():
    """A chain of libraries, the last of which has a texture; each is in a folder of its own."""
    needs = []
    for depth in range(6):
        scene = fresh()
        if depth == 0:
            material = bpy.data.materials.new("linked0")
            material.use_nodes = True
            material.node_tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images.load(picture("deep", "tex", "leaf.png"))
            bpy.data.images[0].filepath = "//../tex/leaf.png"
            material.use_fake_user = True
            needs.append(at("deep", "tex", "leaf.png"))
        else:
            kind = "materials" if depth == 1 else "objects"
            with bpy.data.libraries.load(needs[-1], link=True, relative=True) as (_, to):
                setattr(to, kind, [f"linked{depth - 1}"])
            object = thing(f"linked{depth}", scene)
            if depth == 1:
                object.data.materials.append(to.materials[0])
            else:
                object.parent = to.objects[0]
                scene.collection.objects.link(to.objects[0])  # A parent alone is no user, and would not be saved.
        path = at("deep", str(depth), "part.blend")
        save(path, needs[::-1], compress=depth % 2 == 1)
        needs.append(path)


def bakes():
    """Bakes of geometry nodes: at the modifier's folder, at one's own, and packed."""
    if not hasattr(bpy.types, "NodesModifierBake"):
        return
    scene = fresh()
    bpy.ops.wm.save_as_mainfile(filepath=at("bakes.blend"))
    bpy.ops.mesh.primitive_plane_add()
    object = bpy.context.object
    group = bpy.data.node_groups.new("bakes", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    if "subtype" in bpy.types.NodeTreeInterfaceSocketString.bl_rna.properties:
        item = group.interface.new_socket("File", in_out="INPUT", socket_type="NodeSocketString")
        item.subtype = "FILE_PATH"
        item.default_value = "//nodes/default.bin"  # Every modifier has a value of its own.
        plain("nodes", "default.bin")
        reader = group.nodes.new("GeometryNodeImportOBJ")
        reader.inputs[0].default_value = "//nodes/direct.obj"
        linked = group.nodes.new("GeometryNodeImportPLY")
        linked.inputs[0].default_value = "//nodes/behind-link.ply"
    source, sink = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    last = source.outputs[0]
    for _ in range(3):
        node = group.nodes.new("GeometryNodeBake")
        group.links.new(last, node.inputs[0])
        last = node.outputs[0]
    group.links.new(last, sink.inputs[0])
    if len(source.outputs) > 2:
        group.links.new(source.outputs[1], linked.inputs[0])
    modifier = object.modifiers.new("nodes", "NODES")
    modifier.node_group = group
    if hasattr(modifier, "bake_target"):
        modifier.bake_target = "DISK"
    modifier.bake_directory = "//bakes/all"
    first, second, third = modifier.bakes
    second.use_custom_path, second.directory = True, "//bakes/own/"
    if hasattr(third, "bake_target"):
        second.bake_target = "DISK"
        third.bake_target = "PACKED"
        third.use_custom_path, third.directory = True, "//bakes/packed"
    for bake in first, second, third:
        bake.bake_mode = "STILL"
        bpy.ops.object.geometry_node_bake_single(session_uid=object.session_uid, modifier_name="nodes", bake_id=bake.bake_id)
    needs, misses = below("bakes"), []
    if "Socket_2" in modifier.keys():
        modifier["Socket_2"] = "//nodes/input.ply"
        needs.append(plain("nodes", "direct.obj"))
        misses.append(at("nodes", "input.ply"))
    assert any("/all/" in path for path in needs) and any("/own/" in path for path in needs), needs
    save(at("bakes.blend"), needs, misses)


def lost():
    """A file of most kinds of dependency that is not there."""
    scene = fresh()
    misses = [at("lost", name) for name in ("smoke.vdb", "lamp.ies", "shader.osl", "one.abc", "points.pc2", "clip7.png", "beep.wav", "u.1001.png", "u.<UDIM>.png", "strip.png")]
    volume, image = bpy.data.volumes.new("smoke"), keep("tiles", "//lost/u.<UDIM>.png", "TILED")
    volume.filepath, volume.use_fake_user = "//lost/smoke.vdb", True
    world = bpy.data.worlds.new("world")
    world.use_nodes, scene.world = True, world
    for kind, name in ("TexIES", "lamp.ies"), ("Script", "shader.osl"):
        node = world.node_tree.nodes.new("ShaderNode" + kind)
        node.mode = "EXTERNAL"
        node.filepath = "//lost/" + name
    bpy.ops.cachefile.open(filepath=plain("lost", "one.abc"))
    bpy.data.cache_files[0].use_fake_user = True
    points = thing("points", scene).modifiers.new("points", "MESH_CACHE")
    points.cache_format, points.filepath = "PC2", "//lost/points.pc2"
    cloth = thing("cloth", scene).modifiers.new("cloth", "CLOTH").point_cache
    cloth.use_external, cloth.name, cloth.filepath = True, "cloth", "//lost/sim"
    misses += [at("lost", "sim", "cloth"), os.path.join(TOP, "lost", "sim")]
    bpy.data.movieclips.load(picture("lost", "clip7.png")).use_fake_user = True
    bpy.data.sounds.load(sound("lost", "beep.wav")).use_fake_user = True
    strips(scene.sequence_editor_create()).new_image("strip", "//lost/strip.png", 1, 1)
    shutil.rmtree(at("lost", ""))
    scene.render.engine = "CYCLES"
    save(at("lost.blend"), [], misses)


def quick():
    scene = fresh()
    scene.render.engine, scene.cycles.use_denoising = "CYCLES", False
    save(at("quick.blend"), [])


def archives():
    """Datablocks of two libraries, packed under one name; their relative paths start from where the libraries were."""
    if not hasattr(bpy.types.Library, "is_archive"):
        return
    needs = []
    for name in "one", "two":
        fresh()
        material = bpy.data.materials.new("shared")
        material.use_nodes = material.use_fake_user = True
        material.node_tree.nodes.new("ShaderNodeTexImage").image = keep("shared", f"//tex/{name}.png")
        bpy.ops.wm.save_as_mainfile(filepath=at("archives", "lib", name + ".blend"))
        needs += [picture("archives", "lib", "tex", name + ".png"), at("archives", "lib", name + ".blend")]
    scene = fresh()
    for path in needs[1::2]:
        with bpy.data.libraries.load(path, link=True, pack=True) as (_, to):
            to.materials = ["shared"]
        thing(os.path.basename(path), scene).data.materials.append(to.materials[0])
    os.remove(needs.pop())  # Nothing but the packed data was of use.
    save(at("archives", "main.blend"), needs)


def shown(name, **user):
    """An image sequence on a material of its own; its image user gets the settings."""
    material = bpy.data.materials.new(name)
    material.use_nodes = material.use_fake_user = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = keep(name, f"//spans/{name}01.png", "SEQUENCE")
    node.image.use_fake_user = False
    for setting, value in user.items():
        setattr(node.image_user, setting, value)
    return node.image_user


def spans():
    """Sequences that frames of the scene lie before, that numbers below zero are asked of, and that curves move."""
    scene = fresh()
    scene.frame_end = 4
    for number in range(8):
        for name in "early", "below", "still", "moved", "driven":
            picture("spans", f"{name}{number:02}.png")
    shown("early", frame_start=4, frame_offset=3, frame_duration=3)
    shown("below", frame_start=1, frame_offset=-2, frame_duration=10)
    shown("still", frame_duration=10)
    shown("moved", frame_duration=1).keyframe_insert("frame_offset", frame=1)
    shown("driven", frame_duration=1).driver_add("frame_offset").driver.expression = "frame"
    clip = bpy.data.movieclips.load(at("spans", "early05.png"))
    clip.use_fake_user, clip.frame_start = True, 2  # The first frame of the scene shows the file before.
    other = bpy.data.scenes.new("other")
    other.frame_start, other.frame_end = 1, 5
    strips(scene.sequence_editor_create()).new_scene("other", other, 1, 1)
    numbers = {"early": range(3, 8), "below": range(4), "still": range(1, 6), "moved": range(8), "driven": range(8)}
    save(at("spans.blend"), [at("spans", f"{name}{n:02}.png") for name in numbers for n in numbers[name]])


def views():
    """Strips that have a file for each view of their scene."""
    scene = fresh()
    scene.render.use_multiview = True
    needs = [picture("views", f"one_{view}.png") for view in "LR"] + [picture("views", "two_L.png"), plain("views", "clip_L.avi"), plain("views", "clip_R.avi")]
    picture("views", "one.png")
    editor = scene.sequence_editor_create()
    images = strips(editor).new_image("images", at("views", "one_L.png"), 1, 1)
    images.elements.append("two_L.png")
    movie = strips(editor).new_movie("movie", at("views", "clip_L.avi"), 2, 1)
    for strip in images, movie:
        strip.use_multiview, strip.views_format = True, "INDIVIDUAL"
    flat = strips(editor).new_image("flat", needs[0], 3, 1)
    flat.use_multiview, flat.views_format = True, "STEREO_3D"
    save(at("views.blend"), needs, [at("views", "two_R.png")])


def link_in(library, kind, name):
    with bpy.data.libraries.load(library, link=True, relative=True) as (_, to):
        setattr(to, kind, [name])
    return getattr(to, kind)[0]


def textured(folder):
    """A library with a material that shows a picture beside it, and one that nobody links."""
    fresh()
    for name in "leaf", "unused":
        material = bpy.data.materials.new(name)
        material.use_nodes = material.use_fake_user = True
        material.node_tree.nodes.new("ShaderNodeTexImage").image = keep(name, f"//tex/{name}.png")
        material.node_tree.nodes[-1].image.use_fake_user = False
        picture(folder, "tex", name + ".png")
    path = at(folder, "leaf.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


def packed_libraries():
    """Libraries inside the scene, whose textures lie on disk; and one that a library has packed, which helps nobody."""
    leaf = textured("packing/leaf")
    scene = fresh()
    branch = at("packing", "branch", "branch.blend")
    bpy.ops.wm.save_as_mainfile(filepath=branch)
    thing("branch", scene).data.materials.append(link_in(leaf, "materials", "leaf"))
    bpy.ops.wm.save_as_mainfile(filepath=branch)
    for name, pack in ("scene.blend", True), ("loose.blend", False):
        scene = fresh()
        bpy.ops.wm.save_as_mainfile(filepath=at("packing", name))
        scene.collection.objects.link(link_in(branch, "objects", "branch"))
        bpy.ops.wm.save_as_mainfile(filepath=at("packing", name))
        if pack:
            bpy.ops.file.pack_libraries()
            save(at("packing", name), [at("packing", "leaf", "tex", "leaf.png")], compress=True)
    save(at("packing", "loose.blend"), [branch, leaf, at("packing", "leaf", "tex", "leaf.png")])
    bpy.ops.wm.open_mainfile(filepath=branch)
    bpy.ops.file.pack_libraries()
    bpy.ops.wm.save_mainfile()


def siblings():
    """A library that was first loaded for another one, of which nothing is needed."""
    leaf = textured("siblings")
    other, branch = at("siblings", "other.blend"), at("siblings", "branch.blend")
    for path, parts in (other, [(leaf, "materials", "unused")]), (branch, [(other, "objects", other), (leaf, "materials", "leaf")]):
        scene = fresh()
        bpy.ops.wm.save_as_mainfile(filepath=path)
        for library, kind, name in parts:
            linked = link_in(library, kind, os.path.basename(name))
            if kind == "materials":
                thing(os.path.basename(path), scene).data.materials.append(linked)
            else:
                scene.collection.objects.link(linked)
        bpy.ops.wm.save_as_mainfile(filepath=path)
    scene = fresh()
    bpy.ops.wm.save_as_mainfile(filepath=at("siblings", "scene.blend"))
    scene.collection.objects.link(link_in(branch, "objects", "branch.blend"))
    save(at("siblings", "scene.blend"), [branch, leaf, at("siblings", "tex", "leaf.png")])


def aliases():
    """One library by its path and by a link in another folder: its relative paths start from either."""
    real = textured("aliases/real")
    needs = [real, at("aliases", "real", "tex", "leaf.png"), picture("aliases", "linked", "tex", "leaf.png"), at("aliases", "linked", "alias.blend")]
    os.symlink(real, needs[-1])
    scene = fresh()
    for path in real, needs[-1]:
        thing("leaf", scene).data.materials.append(link_in(path, "materials", "leaf"))
    save(at("aliases", "scene.blend"), needs)


def roots():
    """Paths that lead to the folder of the .blend file itself, and the caches of a fluid right there."""
    scene = fresh()
    keep("nothing", "//")
    plain("roots", "other_000001_01.bphys")
    scene["all"] = "//"
    scene.id_properties_ui("all").update(subtype="DIR_PATH")
    fluid = thing("domain", scene).modifiers.new("fluid", "FLUID")
    fluid.show_viewport = fluid.show_render = False
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.cache_directory = "//"
    cloth = thing("cl", scene).modifiers.new("cloth", "CLOTH").point_cache
    cloth.use_external = True
    cloth.index, cloth.filepath, cloth.name = 1, "//", ""
    needs = [plain("roots", "data", "fluid_data_0001.vdb"), plain("roots", "_000001_01.bphys")]
    save(at("roots", "scene.blend"), needs)


def list_all():
    for path, scene in expected.items():
        bpy.ops.wm.open_mainfile(filepath=at(path))
        listed = {os.path.normpath(p) for p in bpy.utils.blend_paths(absolute=True, packed=False, local=False) if p}
        scene["listed"] = sorted(listed)


def write_expected(name):
    list_all()
    with open(at(name), "w") as file:
        json.dump(expected, file)


if __name__ == "__main__":
    scenes = [images, sequences, shown_elsewhere, caches, movies, media, libraries, simulations, packed, overrides, deep, bakes, lost, quick]
    for make in scenes + [archives, spans, views, packed_libraries, siblings, aliases, roots]:
        make()
    write_expected("expected.json")
