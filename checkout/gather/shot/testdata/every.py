# Makes a project in which each kind of dependency is to be seen or heard: blender -b --factory-startup --python-exit-code 1 -P every.py -- DIR
#
# DIR/project is the project folder, DIR/elsewhere holds what lies outside it. The scene is project/shots/010.blend, and
# all.blend links it whole. DIR/kinds.json lists, for each kind, the files without which the result is another one.
import ctypes
import glob
import json
import os
import shutil
import struct
import sys
import time
import wave

import bpy

TOP = os.path.realpath(sys.argv[sys.argv.index("--") + 1])
SHOT = os.path.join(TOP, "project", "shots", "010.blend")
FRAME, COLUMNS = 3, 8
cells = 0
kinds = []


def kind(name, datablock, *files, shows="picture", blend=SHOT, path=None):
    """One file at least. `shows` is the scene that shows another picture when they are gone, if it is the main one in the
    last cell that was taken; `path` is what stands for all of them."""
    assert files and all(os.path.isfile(file) for file in files), (name, files)
    cell = [(cells - 1) % COLUMNS, (cells - 1) // COLUMNS] if shows == "picture" else [0, 0]
    path = path or (files[0] if len(files) == 1 else os.path.commonprefix(files).rstrip("/_0"))
    kinds.append({"name": name, "datablock": datablock, "files": sorted(files), "path": path, "shows": shows, "cell": cell, "blend": blend})


def at(*parts):
    path = os.path.join(TOP, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def beyond(*parts):
    return at("elsewhere", *parts)


def picture(path, color, size=4):
    image = bpy.data.images.new("made", size, size)
    image.pixels = [*color, 1.0] * (size * size)
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def text(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return path


def sound(path, height):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", height * (1 if n // 20 % 2 else -1)) for n in range(4000)))
    return path


def font(path):
    for top in [bpy.utils.system_resource("DATAFILES"), "/usr/share/fonts"]:
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith((".ttf", ".otf")) and "ono" in name:
                    return shutil.copyfile(os.path.join(folder, name), path)
    raise RuntimeError("no font found to copy")


def fresh():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    scene.frame_set(1)
    return scene


def save(path, **how):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False, check_existing=False, **how)


def link(path, what, name, relative=False):
    with bpy.data.libraries.load(path, link=True, relative=relative) as (_, to):
        setattr(to, what, [name])
    return getattr(to, what)[0]


def shader(name, build):
    """A material that glows in a colour of its own, so that the render has no noise."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(build(nodes, links), emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def glow(name, image, **user):
    def build(nodes, _):
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = image
        for key, value in user.items():
            setattr(texture.image_user, key, value)
        return texture.outputs["Color"]

    return shader(name, build)


def shape(name):
    """Shows where each point lies, height included."""

    def build(nodes, links):
        where, part = nodes.new("ShaderNodeNewGeometry"), nodes.new("ShaderNodeVectorMath")
        part.operation = "FRACTION"
        links.new(where.outputs["Position"], part.inputs[0])
        return part.outputs[0]

    return shader(name, build)


def image(name, path, source="FILE"):
    made = bpy.data.images.new(name, 4, 4)
    made.source, made.filepath_raw = source, path
    return made


def cell():
    global cells
    cells += 1
    return ((cells - 1) % COLUMNS, (cells - 1) // COLUMNS, 0)


def plane(name, material, steps=1):
    mesh = bpy.data.meshes.new(name)
    row = [n * 0.9 / steps for n in range(steps + 1)]
    faces = [(y * (steps + 1) + x, y * (steps + 1) + x + 1, (y + 1) * (steps + 1) + x + 1, (y + 1) * (steps + 1) + x) for y in range(steps) for x in range(steps)]
    mesh.from_pydata([(x, y, 0) for y in row for x in row], [], faces)
    mesh.uv_layers.new()
    for corner, loop in zip(mesh.loops, mesh.uv_layers[0].data):
        loop.uv = [c / 0.9 * 0.98 + 0.01 for c in mesh.vertices[corner.vertex_index].co[:2]]
    if material:
        mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def show(scene, made, move=True):
    if move:
        made.location = cell()
    scene.collection.objects.link(made)
    return made


def active(scene, made):
    for other in bpy.context.selected_objects:
        other.select_set(False)
    made.select_set(True)
    bpy.context.view_layer.objects.active = made


def settings(scene, engine="CYCLES"):
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine = engine
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = "CPU", 1, False, 1
    scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x, scene.render.resolution_y = 12 * COLUMNS, 72
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"


def camera(scene, size=(COLUMNS, 6)):
    made = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    made.location, made.data.type, made.data.ortho_scale = (size[0] / 2, size[1] / 2, 9), "ORTHO", max(size)
    scene.collection.objects.link(made)
    scene.camera = made


def movie(path, color):
    """Three frames of one colour."""
    scene = fresh()
    settings(scene)
    scene.render.resolution_x = scene.render.resolution_y = 32
    strip = scene.sequence_editor_create().sequences.new_effect("color", "COLOR", 1, frame_start=1, frame_end=4)
    strip.color = color
    scene.render.image_settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "AVI", "MPEG4"
    scene.render.filepath = path
    bpy.ops.render.render(animation=True)
    return path


def libraries():
    fresh()
    wood_picture = picture(beyond("library", "textures", "wood.png"), (0.6, 0.3, 0.1))
    wood = glow("wood", image("wood", "//../textures/wood.png"))
    wood.use_fake_user = True
    materials = beyond("library", "materials", "materials.blend")
    save(materials, compress=True)

    scene = fresh()
    props = beyond("library", "props", "chair.blend")
    save(props)
    wood = link(materials, "materials", "wood", True)
    show(scene, plane("chair", wood), False)
    save(props)
    fresh()
    cloth_picture = picture(at("project", "lib", "cloth.png"), (0.1, 0.5, 0.2))
    glow("cloth", image("cloth", at("project", "lib", "cloth.png"))).use_fake_user = True
    table = at("project", "lib", "table.blend")
    save(table)
    return props, table, materials, wood_picture, cloth_picture


def links(scene, props, table, materials, wood_picture, cloth_picture):
    holder = bpy.data.collections.new("holder")
    holder.objects.link(link(props, "objects", "chair"))
    empty = show(scene, bpy.data.objects.new("place", None))
    empty.instance_type, empty.instance_collection = "COLLECTION", holder
    kind("library", "LIchair.blend", props)
    kind("library of a library", "LImaterials.blend", materials, blend=props)
    kind("image of a library", "IMwood", wood_picture, blend=materials)
    show(scene, plane("table", link(table, "materials", "cloth")))
    kind("library in the project", "LItable.blend", table)
    kind("image of a library in the project", "IMcloth", cloth_picture, blend=table)


def pictures(scene):
    for name, written, path in (
        ("inside", "//../tex/inside.png", at("project", "tex", "inside.png")),
        ("absolute", at("project", "tex", "absolute.png"), at("project", "tex", "absolute.png")),
        ("outside", beyond("tex", "outside.png"), beyond("tex", "outside.png")),
        ("windows", "//..\\tex\\windows.png", at("project", "tex", "windows.png")),
    ):
        picture(path, (0.2 + len(name) / 20, 0.3, 0.9 - len(name) / 20))
        show(scene, plane(name, glow(name, image(name, written))))
        kind("image " + name, "IM" + name, path)

    for name, path, form in ("tiled", beyond("udim", "skin.<UDIM>.png"), "skin.{}.png"), ("uvtile", beyond("udim", "u_<UVTILE>.png"), "u_u{1}_v1.png"):
        files = [picture(beyond("udim", form.format(tile, tile - 1000)), (tile % 2, 0.4, 0.7)) for tile in (1001, 1002)]
        tiled = image(name, path, "TILED")
        tiled.tiles.new(1002)
        skin = show(scene, plane(name, glow(name, tiled)))
        for loop, (u, v) in zip(skin.data.uv_layers[0].data, [(0.01, 0), (1.99, 0), (1.99, 1), (0.01, 1)]):
            loop.uv = (u, v)
        for number, file in enumerate(files):
            kind(f"{name} {number + 1001}", "IM" + name, file)

    for frame in range(1, 6):
        picture(beyond("sequence", f"take_{frame:03}_left.png"), (frame / 5, 0.2, 0.8))
    show(scene, plane("sequence", glow("sequence", image("sequence", beyond("sequence", "take_001_left.png"), "SEQUENCE"),
                                       frame_duration=3, frame_offset=1, frame_start=1, use_auto_refresh=True)))
    kind("image sequence", "IMsequence", beyond("sequence", f"take_{FRAME + 1:03}_left.png"))
    show(scene, plane("film", glow("film", image("film", beyond("films", "texture.avi"), "MOVIE"), frame_duration=3, use_auto_refresh=True)))
    kind("image from a movie", "IMfilm", beyond("films", "texture.avi"))

    bump = bpy.data.textures.new("bump", "IMAGE")
    bump.image = image("bump", picture(beyond("tex", "bump.png"), (0.9, 0.9, 0.9)))
    bumpy = show(scene, plane("bumpy", bpy.data.materials["shape"]))
    displace = bumpy.modifiers.new("displace", "DISPLACE")
    displace.texture, displace.strength, displace.mid_level = bump, 0.5, 0
    kind("displacement texture", "IMbump", beyond("tex", "bump.png"))


def geometry(scene):
    points = [(0, 0, 0.2), (0.5, 0, 0.2), (0.9, 0.9, 0.2), (0, 0.5, 0.2)]
    flat = [c for point in points for c in point]
    with open(beyond("caches", "points.pc2"), "wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 1, 1, 3) + struct.pack("<12f", *flat) * 3)
    with open(beyond("caches", "points.mdd"), "wb") as file:
        file.write(struct.pack(">ii3f", 3, 4, 0, 1 / 24, 2 / 24) + struct.pack(">12f", *flat) * 3)
    for form in "PC2", "MDD":
        cached = show(scene, plane(form, bpy.data.materials["shape"]))
        modifier = cached.modifiers.new("points", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = form, beyond("caches", "points." + form.lower())
        modifier.forward_axis, modifier.up_axis, modifier.frame_start = "POS_Y", "POS_Z", 1
        kind("mesh cache " + form, "OB" + form, beyond("caches", "points." + form.lower()))

    rock = show(scene, plane("rock", bpy.data.materials["shape"]))
    active(scene, rock)
    rock.modifiers.new("Multires", "MULTIRES")
    bpy.ops.object.multires_subdivide(modifier="Multires")
    bpy.ops.object.multires_subdivide(modifier="Multires")
    pattern = bpy.data.objects.new("pattern", bpy.data.meshes.new_from_object(rock.evaluated_get(bpy.context.evaluated_depsgraph_get())))
    show(scene, pattern, False)
    for vertex in pattern.data.vertices:
        vertex.co.z += 0.3
    pattern.select_set(True)
    bpy.ops.object.multires_reshape(modifier="Multires")
    bpy.data.objects.remove(pattern)
    bpy.ops.object.multires_external_save(filepath=beyond("caches", "rock.btx"), modifier="Multires")
    kind("external displacement", "MErock", beyond("caches", "rock.btx"))

    sea = show(scene, plane("sea", bpy.data.materials["shape"], 8))
    active(scene, sea)
    ocean = sea.modifiers.new("Ocean", "OCEAN")
    ocean.geometry_mode, ocean.resolution, ocean.viewport_resolution = "DISPLACE", 4, 4
    ocean.spatial_size, ocean.choppiness, ocean.wave_scale, ocean.frame_start, ocean.frame_end = 4, 0, 0.5, 1, FRAME + 1
    ocean.filepath = beyond("caches", "ocean", "")
    bpy.ops.object.ocean_bake(modifier="Ocean")  # Another thread writes one file after the other.
    while not os.path.exists(beyond("caches", "ocean", f"disp_{FRAME + 1:04}.exr")):
        time.sleep(0.01)
    ocean.random_seed = 7  # What is simulated anew shows another sea.
    mark_as_baked(ocean)
    kind("ocean", "OBsea", beyond("caches", "ocean", f"disp_{FRAME:04}.exr"))

    curve = bpy.data.curves.new("letters", "FONT")
    curve.body, curve.font = "Qg", bpy.data.fonts.load(font(beyond("fonts", "face.ttf")))
    curve.materials.append(bpy.data.materials["shape"])
    show(scene, bpy.data.objects.new("letters", curve))
    kind("font", "VF" + curve.font.name, beyond("fonts", "face.ttf"))


def mark_as_baked(ocean):
    """Blender does so itself only with its window open. The mark lies behind the path and two names of layers."""
    head = ctypes.string_at(ocean.as_pointer(), 2048).index(ocean.filepath.encode())
    ctypes.c_char.from_address(ocean.as_pointer() + head + 1024 + 64 + 64).value = 1
    assert ocean.is_cached


def cached(scene, name, owner, cache):
    """Bakes into files, and has Blender read them from another folder under another name."""
    cache.frame_start, cache.frame_end = 1, 3
    cache.use_disk_cache = True
    with bpy.context.temp_override(scene=scene, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    made = sorted(glob.glob(os.path.join(os.path.dirname(SHOT), "blendcache_010", owner.encode().hex().upper() + "_*")))
    assert made, (name, os.listdir(os.path.dirname(SHOT)))
    return made


def outside_cache(scene, name, owner, cache, datablock):
    files = []
    for path in cached(scene, name, owner, cache):
        frame = os.path.basename(path).split("_")[1]
        files.append(shutil.move(path, beyond("sim", f"{name}_{frame}_00.bphys")))
    with bpy.context.temp_override(scene=scene, point_cache=cache):
        bpy.ops.ptcache.free_bake()
    cache.use_external = True
    cache.name, cache.index, cache.filepath = name, 0, beyond("sim")
    kind("point cache of " + name, datablock, *files)


def simulations(scene):
    scene.gravity = (0, 0, -300)
    bpy.ops.rigidbody.world_add()
    scene.rigidbody_world.collection = bpy.data.collections.new("stones")
    stone = show(scene, plane("stone", bpy.data.materials["shape"]))
    scene.rigidbody_world.collection.objects.link(stone)
    active(scene, stone)
    bpy.ops.rigidbody.object_add(type="ACTIVE")
    cache = scene.rigidbody_world.point_cache
    for frame in 1, 2, 3:  # A script cannot bake these.
        with open(beyond("sim", f"stones_{frame:06}_00.bphys"), "wb") as file:
            x, y, _ = stone.location
            file.write(struct.pack("<8s3I7f", b"BPHYSICS", 6, 1, 0b1010, x, y, frame / 5, 1, 0, 0, 0))
    cache.frame_start, cache.frame_end, cache.use_external = 1, 3, True
    cache.name, cache.index, cache.filepath = "stones", 0, beyond("sim")
    kind("point cache of rigid bodies", "SCpicture", *glob.glob(beyond("sim", "stones_*")))
    cloth = show(scene, plane("cloth", bpy.data.materials["shape"], 3))
    modifier = cloth.modifiers.new("cloth", "CLOTH")
    outside_cache(scene, "cloth", "cloth", modifier.point_cache, "OBcloth")
    soft = show(scene, plane("soft", bpy.data.materials["shape"], 3))
    modifier = soft.modifiers.new("soft", "SOFT_BODY")
    soft.soft_body.use_goal = False
    outside_cache(scene, "soft", "soft", modifier.point_cache, "OBsoft")

    grain = show(scene, plane("grain", bpy.data.materials["shape"]), False)
    grain.hide_render, grain.scale = True, (0.1, 0.1, 0.1)
    for name in "sparks", "dust":
        emitter = show(scene, plane(name, bpy.data.materials["inside"]))
        emitter.modifiers.new("particles", "PARTICLE_SYSTEM")
        system = emitter.particle_systems[0]
        system.settings.count, system.settings.frame_start, system.settings.frame_end = 20, 1, 1
        system.settings.render_type, system.settings.instance_object, system.settings.particle_size = "OBJECT", grain, 2
        system.settings.normal_factor = 3
        system.settings.effector_weights.gravity = 0
        if name == "sparks":
            files = cached(scene, name, name, system.point_cache)
            kind("point cache beside the scene", "OBsparks", *files)
        else:
            outside_cache(scene, "dust", "dust", system.point_cache, "OBdust")

    def color(nodes, _):
        attribute = nodes.new("ShaderNodeAttribute")
        attribute.attribute_name = "dp_paintmap"
        return attribute.outputs["Color"]

    canvas = show(scene, plane("canvas", shader("paint", color), 6))
    canvas.data.color_attributes.new("dp_paintmap", "BYTE_COLOR", "CORNER")
    paint = canvas.modifiers.new("paint", "DYNAMIC_PAINT")
    active(scene, canvas)
    paint.ui_type = "CANVAS"
    bpy.ops.dpaint.type_toggle(type="CANVAS")
    surface = paint.canvas_settings.canvas_surfaces[0]
    surface.frame_start, surface.frame_end = 1, 3
    surface.output_name_a = "dp_paintmap"
    brush = show(scene, plane("brush", bpy.data.materials["shape"]), False)
    brush.location, brush.scale, brush.hide_render = canvas.location, (0.5, 0.5, 1), True
    active(scene, brush)
    stroke = brush.modifiers.new("paint", "DYNAMIC_PAINT")
    stroke.ui_type = "BRUSH"
    bpy.ops.dpaint.type_toggle(type="BRUSH")
    stroke.brush_settings.paint_color = (0.9, 0.1, 0.1)
    stroke.brush_settings.paint_source, stroke.brush_settings.paint_distance = "VOLUME_DISTANCE", 0.3
    active(scene, canvas)
    outside_cache(scene, "painted", "canvas", surface.point_cache, "OBcanvas")


def cube(name, material, size=0.9):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x * size, y * size, z * size) for z in (0, 1) for y in (0, 1) for x in (0, 1)], [],
                     [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)])
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def smoke(scene):
    """A fluid, and volumes from the files that it leaves."""
    material = bpy.data.materials.new("smoke")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    volume, output = nodes.new("ShaderNodeVolumePrincipled"), nodes.new("ShaderNodeOutputMaterial")
    volume.inputs["Emission Strength"].default_value = 0
    info, emission = nodes.new("ShaderNodeVolumeInfo"), nodes.new("ShaderNodeEmission")
    links.new(info.outputs["Density"], emission.inputs["Strength"])
    links.new(emission.outputs[0], output.inputs["Volume"])
    domain = show(scene, cube("domain", material))
    active(scene, domain)
    modifier = domain.modifiers.new("fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    fluid = modifier.domain_settings
    fluid.domain_type, fluid.resolution_max, fluid.cache_type = "GAS", 8, "ALL"
    fluid.cache_frame_start, fluid.cache_frame_end, fluid.cache_directory = 1, 3, beyond("fluid", "")
    fluid.use_adaptive_domain = False
    source = show(scene, cube("source", None, 0.5), False)
    source.location, source.hide_render = [c + 0.2 for c in domain.location], True
    flow = source.modifiers.new("fluid", "FLUID")
    flow.fluid_type = "FLOW"
    flow.flow_settings.flow_type, flow.flow_settings.flow_behavior, flow.flow_settings.density = "SMOKE", "INFLOW", 1
    active(scene, domain)
    bpy.ops.fluid.bake_all()
    made = sorted(glob.glob(beyond("fluid", "**", "*.vdb"), recursive=True))
    assert made, os.listdir(beyond("fluid"))
    kind("fluid", "OBdomain", *sorted(path for path in glob.glob(beyond("fluid", "**", "*"), recursive=True) if os.path.isfile(path)))

    for name, single in ("cloud", True), ("clouds", False):
        for n, path in enumerate(made):
            shutil.copyfile(path, beyond("vdb", f"{name}_{n + 1:04}.vdb"))
        made_volume = bpy.data.volumes.new(name)
        made_volume.filepath, made_volume.is_sequence = beyond("vdb", name + "_0001.vdb"), not single
        if not single:
            made_volume.frame_duration, made_volume.frame_start, made_volume.frame_offset = 3, 1, 0
        made_volume.materials.append(material)
        show(scene, bpy.data.objects.new(name, made_volume)).location[2] = 0.5
        kind("volume " + name, "VO" + name, beyond("vdb", f"{name}_{1 if single else FRAME:04}.vdb"))


def light():
    """A scene of its own, so that nothing else throws light on it."""
    scene = bpy.data.scenes.new("lit")
    settings(scene)
    scene.render.resolution_x = scene.render.resolution_y = 16
    camera(scene, (1, 1))
    profile = "IESNA:LM-63-2002\nTILT=NONE\n1 1000 1 3 1 1 2 0 0 0\n1 1 1\n0 45 90\n0\n900 300 50\n"
    lamp = bpy.data.lights.new("lamp", "POINT")
    lamp.use_nodes, lamp.shadow_soft_size, lamp.energy = True, 0, 1
    nodes, links = lamp.node_tree.nodes, lamp.node_tree.links
    ies = nodes.new("ShaderNodeTexIES")
    ies.mode, ies.filepath = "EXTERNAL", text(beyond("lights", "lamp.ies"), profile)
    links.new(ies.outputs[0], nodes["Emission"].inputs["Strength"])
    show(scene, plane("white", bpy.data.materials.new("white")), False)
    show(scene, bpy.data.objects.new("lamp", lamp), False).location = (0.45, 0.45, 0.7)
    kind("IES profile", "LAlamp", beyond("lights", "lamp.ies"), shows="lit")


ON_LOAD = """
import bpy
with open(bpy.path.abspath(bpy.data.scenes["picture"]["asset"])) as file:
    bpy.data.materials["told"].node_tree.nodes["Emission"].inputs["Color"].default_value = eval(file.read())
"""


def script(scene):
    """A custom property that names a file, and the script in the scene that reads it."""
    told = shader("told", lambda nodes, _: nodes.new("ShaderNodeRGB").outputs[0])
    told.node_tree.links.remove(told.node_tree.links[0])
    show(scene, plane("told", told))
    scene["asset"] = text(beyond("data", "asset.txt"), "(0.9, 0.8, 0.1, 1)\n")
    scene.id_properties_ui("asset").update(subtype="FILE_PATH")
    on_load = bpy.data.texts.new("on_load.py")
    on_load.use_module = True
    on_load.write(ON_LOAD)
    kind("custom property", "SCpicture", beyond("data", "asset.txt"))


def stereo():
    """Cycles shows one view of a picture only, the compositor both."""
    scene = bpy.data.scenes.new("stereo")
    settings(scene)
    scene.render.resolution_x = scene.render.resolution_y = 32
    camera(scene)
    scene.render.use_multiview, scene.render.views_format = True, "STEREO_3D"
    scene.render.image_settings.views_format = "STEREO_3D"
    scene.render.image_settings.stereo_3d_format.display_mode = "SIDEBYSIDE"
    for side, color in ("L", (0.2, 0.9, 0.1)), ("R", (0.9, 0.1, 0.9)):
        kind("view " + side, "IMviews", picture(beyond("views", f"eye_{side}.png"), color, 32), shows="stereo")
    views = image("views", beyond("views", "eye_L.png"))
    bpy.context.window.scene = scene
    views.use_multiview, views.views_format = True, "INDIVIDUAL"
    views.filepath = beyond("views", "eye_L.png")
    views.reload()
    scene.use_nodes = True
    nodes, links = scene.node_tree.nodes, scene.node_tree.links
    nodes.clear()
    shown = nodes.new("CompositorNodeImage")
    shown.image = views
    links.new(shown.outputs[0], nodes.new("CompositorNodeComposite").inputs[0])


def composite():
    scene = bpy.data.scenes.new("composite")
    settings(scene)
    scene.render.resolution_x = scene.render.resolution_y = 32
    camera(scene)
    scene.use_nodes = True
    nodes, links = scene.node_tree.nodes, scene.node_tree.links
    nodes.clear()
    for frame in 1, 2, 3:
        picture(beyond("clip", f"plate.{frame:04}.png"), (frame / 3, 0.5, 0.5), 32)
        picture(beyond("clip", f"paint{frame}.png"), (0.5, frame / 4, 0.5), 32)
    plates, film = (bpy.data.movieclips.load(beyond(*parts)) for parts in (("clip", "plate.0001.png"), ("films", "clip.avi")))
    painted = image("painted", beyond("clip", "paint1.png"), "SEQUENCE")
    sources = [nodes.new("CompositorNodeMovieClip"), nodes.new("CompositorNodeMovieClip"), nodes.new("CompositorNodeImage")]
    sources[0].clip, sources[1].clip, sources[2].image = plates, film, painted
    sources[2].frame_duration, sources[2].frame_start, sources[2].use_auto_refresh = 3, 1, True
    total = None
    for source in sources:
        if total is None:
            total = source.outputs[0]
            continue
        mix = nodes.new("CompositorNodeMixRGB")
        mix.inputs["Fac"].default_value = 0.5
        links.new(total, mix.inputs[1])
        links.new(source.outputs[0], mix.inputs[2])
        total = mix.outputs[0]
    links.new(total, nodes.new("CompositorNodeComposite").inputs[0])
    kind("movie clip of pictures", "MC" + plates.name, beyond("clip", f"plate.{FRAME:04}.png"), shows="composite")
    kind("movie clip", "MC" + film.name, beyond("films", "clip.avi"), shows="composite")
    kind("image of the compositor", "IMpainted", beyond("clip", f"paint{FRAME}.png"), shows="composite")


def edit():
    scene = bpy.data.scenes.new("edit")
    settings(scene)
    scene.render.resolution_x = scene.render.resolution_y = 32
    strips = scene.sequence_editor_create().sequences
    for name, color in ("one", (1, 0, 0)), ("two", (0.3, 0, 0)), ("three", (0.7, 0, 0)):
        picture(beyond("edit", name + ".png"), color, 32)
    stills = strips.new_image("stills", beyond("edit", "one.png"), 1, 1)
    stills.elements.append("two.png")
    stills.elements.append("three.png")
    film = strips.new_movie("film", beyond("films", "strip.avi"), 2, 1)
    film.blend_type = "ADD"
    plates = strips.new_clip("plates", bpy.data.movieclips.load(beyond("films", "stripclip.avi")), 3, 1)
    plates.blend_type = "ADD"
    strips.new_sound("beep", sound(beyond("sounds", "beep.wav"), 9000), 4, 1)
    kind("strip of pictures", "SCedit", beyond("edit", "three.png"), shows="edit")
    kind("strip of a movie", "SCedit", beyond("films", "strip.avi"), shows="edit")
    kind("strip of a clip", "MCstripclip.avi", beyond("films", "stripclip.avi"), shows="edit")
    kind("sound of a strip", "SObeep.wav", beyond("sounds", "beep.wav"), shows="sound")
    camera(scene)
    bpy.context.window.scene = scene
    bpy.ops.object.speaker_add(location=scene.camera.location)
    bpy.context.object.data.sound = bpy.data.sounds.load(sound(beyond("sounds", "hum.wav"), 7000))
    kind("sound of a speaker", "SOhum.wav", beyond("sounds", "hum.wav"), shows="sound")


def main():
    for name, color in ("texture", (0.2, 0.7, 0.3)), ("clip", (0.1, 0.1, 0.8)), ("strip", (0, 0.6, 0)), ("stripclip", (0, 0, 0.5)):
        movie(beyond("films", name + ".avi"), color)
    linked = libraries()
    scene = fresh()
    scene.name = "picture"
    settings(scene)
    scene.render.use_sequencer = False
    camera(scene)
    save(at(SHOT))
    shape("shape")
    pictures(scene)
    geometry(scene)
    simulations(scene)
    smoke(scene)
    script(scene)
    links(scene, *linked)
    stereo()
    light()
    composite()
    edit()
    bpy.context.window.scene = scene
    assert cells <= 6 * COLUMNS, cells
    save(SHOT, compress=True)


if __name__ == "__main__":
    main()
    text(at("kinds.json"), json.dumps(kinds))
