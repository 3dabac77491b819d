# Makes a project whose files lie everywhere: blender -b --factory-startup --python-exit-code 1 -P project.py -- DIR
#
# DIR/project is the project folder, DIR/elsewhere holds what lies outside it. The scene is project/shots/010.blend.
import os
import shutil
import struct
import sys
import wave

import bpy

TOP = os.path.realpath(sys.argv[sys.argv.index("--") + 1])
planes = 0


def at(*parts):
    path = os.path.join(TOP, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def picture(path, color):
    image = bpy.data.images.new("made", 4, 4)
    image.pixels = [*color, 1.0] * 16
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def text(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return path


def sound(path):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<8h", *range(8)))
    return path


def font(path):
    for top in [bpy.utils.system_resource("DATAFILES"), "/usr/share/fonts"]:
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith((".ttf", ".otf")):
                    return shutil.copyfile(os.path.join(folder, name), path)
    raise RuntimeError("no font found to copy")


def fresh():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    scene.frame_set(2)
    return scene


def glow(name, image):
    """A material that shows an image as it is, so that the render has no noise."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, emission, output = (nodes.new(kind) for kind in ("ShaderNodeTexImage", "ShaderNodeEmission", "ShaderNodeOutputMaterial"))
    texture.image = image
    links.new(texture.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def image(name, path, source="FILE"):
    made = bpy.data.images.new(name, 4, 4)
    made.source = source
    made.filepath_raw = path
    return made


def plane(name, material, scene=None):
    """A plane of its own in the view; without a scene, only a datablock."""
    global planes
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (0.9, 0, 0), (0.9, 0.9, 0), (0, 0.9, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new()
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    if scene:
        made.location = (planes % 6, planes // 6, 0)
        planes += 1
        scene.collection.objects.link(made)
    return made


def place(made, scene):
    """Puts an object that cannot be moved itself into the view."""
    global planes
    holder = bpy.data.collections.new("holder of " + made.name)
    holder.objects.link(made)
    empty = bpy.data.objects.new("place of " + made.name, None)
    empty.instance_type, empty.instance_collection = "COLLECTION", holder
    empty.location = (planes % 6, planes // 6, 0)
    planes += 1
    scene.collection.objects.link(empty)


def save(path, **how):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False, check_existing=False, **how)


def link(path, kind, name, relative):
    with bpy.data.libraries.load(path, link=True, relative=relative) as (_, to):
        setattr(to, kind, [name])
    return getattr(to, kind)[0]


def libraries():
    # materials.blend, outside, with a picture beside it and one of the project.
    fresh()
    picture(at("elsewhere", "library", "textures", "wood.png"), (0.6, 0.3, 0.1))
    material = glow("wood", image("wood", "//../textures/wood.png"))
    material.use_fake_user = True
    unused = glow("unused", image("unused", "//../textures/none.png"))
    unused.use_fake_user = True
    save(at("elsewhere", "library", "materials", "materials.blend"), compress=True)

    # chair.blend, outside, links it, has particles of its own, and a circle leads back.
    scene = fresh()
    save(at("elsewhere", "library", "props", "chair.blend"))
    wood = link(at("elsewhere", "library", "materials", "materials.blend"), "materials", "wood", True)
    chair = plane("chair", wood)
    scene.collection.objects.link(chair)
    grain = plane("grain", wood)
    grain.scale = (0.1, 0.1, 0.1)
    scene.collection.objects.link(grain)
    bpy.context.view_layer.objects.active = chair
    chair.modifiers.new("particles", "PARTICLE_SYSTEM")
    settings = chair.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end, settings.render_type = 20, 1, 1, "OBJECT"
    settings.instance_object, settings.particle_size = grain, 0.5
    settings.effector_weights.gravity = 0
    cache = chair.particle_systems[0].point_cache
    cache.use_disk_cache = True
    cache.frame_start, cache.frame_end = 1, 3
    save(at("elsewhere", "library", "props", "chair.blend"))
    with bpy.context.temp_override(point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    save(at("elsewhere", "library", "props", "chair.blend"))
    bpy.ops.wm.open_mainfile(filepath=at("elsewhere", "library", "materials", "materials.blend"))
    bpy.data.materials["wood"]["back"] = link(at("elsewhere", "library", "props", "chair.blend"), "objects", "grain", False)
    bpy.ops.wm.save_mainfile(compress=True)

    # table.blend, in the project, is linked under two spellings.
    fresh()
    picture(at("project", "lib", "cloth.png"), (0.1, 0.5, 0.2))
    cloth = glow("cloth", image("cloth", at("project", "lib", "cloth.png")))
    silk = glow("silk", image("silk", "//cloth.png"))
    linen = glow("linen", image("linen", "//none.png"))  # Nobody links to it.
    cloth.use_fake_user = silk.use_fake_user = linen.use_fake_user = True
    save(at("project", "lib", "table.blend"))
    os.symlink(at("project", "lib"), at("elsewhere", "alias"))


def main():
    scene = fresh()
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = "CPU", 4, False, 1
    scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.use_sequencer = False
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location, camera.data.type, camera.data.ortho_scale = (3, 2.5, 5), "ORTHO", 6.5
    scene.collection.objects.link(camera)
    scene.camera = camera
    save(at("project", "shots", "010.blend"))

    pictures = {
        "inside": ("//../tex/inside.png", at("project", "tex", "inside.png")),
        "absolute": (at("project", "tex", "absolute.png"), at("project", "tex", "absolute.png")),
        "outside": (at("elsewhere", "tex", "outside.png"), at("elsewhere", "tex", "outside.png")),
        "climbing": ("//../../elsewhere/tex/climbing.png", at("elsewhere", "tex", "climbing.png")),
        "first": (at("elsewhere", "a", "textures", "same.png"), at("elsewhere", "a", "textures", "same.png")),
        "second": (at("elsewhere", "b", "textures", "same.png"), at("elsewhere", "b", "textures", "same.png")),
        "windows": ("//..\\tex\\windows.png", at("project", "tex", "windows.png")),
    }
    for i, (name, (written, path)) in enumerate(pictures.items()):
        picture(path, ((i * 37 % 11) / 10, (i * 53 % 7) / 6, i / len(pictures)))
        plane(name, glow(name, image(name, written)), scene)
    # Blender does not find this one here, so that it must not be seen.
    picture(at("elsewhere", "film", "tex", "foreign [ü].png"), (0, 0, 1))
    glow("foreign", image("foreign", "P:\\film\\tex\\foreign [ü].png")).use_fake_user = True

    for tile in 1001, 1002:
        picture(at("elsewhere", "udim", f"skin.{tile}.png"), (tile % 2, 0.4, 0.7))
    tiled = image("tiled", at("elsewhere", "udim", "skin.<UDIM>.png"), "TILED")
    tiled.tiles.new(1002)
    skin = plane("tiled", glow("tiled", tiled), scene)
    for loop, (u, v) in zip(skin.data.uv_layers[0].data, [(0, 0), (2, 0), (2, 1), (0, 1)]):
        loop.uv = (u * 0.99, v)

    for frame in range(1, 6):
        picture(at("elsewhere", "sequence", f"take_{frame:03}_left.png"), (frame / 5, 0.2, 0.8))
    sequence = image("sequence", at("elsewhere", "sequence", "take_001_left.png"), "SEQUENCE")
    shown = glow("sequence", sequence)
    user = shown.node_tree.nodes["Image Texture"].image_user
    user.frame_duration, user.frame_offset, user.frame_start, user.use_auto_refresh = 3, 2, 1, True
    plane("sequence", shown, scene)

    place(link(at("elsewhere", "library", "props", "chair.blend"), "objects", "chair", False), scene)
    plane("table", link(at("project", "lib", "table.blend"), "materials", "cloth", False), scene)
    plane("silk", link(at("elsewhere", "alias", "table.blend"), "materials", "silk", False), scene)

    curve = bpy.data.curves.new("letters", "FONT")
    curve.body = "Qg"
    curve.font = bpy.data.fonts.load(font(at("elsewhere", "fonts", "face.ttf")))
    curve.materials.append(glow("letters", bpy.data.images["inside"]))
    letters = bpy.data.objects.new("letters", curve)
    letters.location = (0, 4, 0.1)
    scene.collection.objects.link(letters)

    cached = plane("cached", glow("cached", bpy.data.images["outside"]), scene)
    points = [(0, 0, 0), (0.5, 0, 0), (0.9, 0.9, 0), (0, 0.5, 0)]
    with open(at("elsewhere", "caches", "points.pc2"), "wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 1, 1, 3))
        for _ in range(3):
            for point in points:
                file.write(struct.pack("<3f", *point))
    modifier = cached.modifiers.new("points", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "PC2", at("elsewhere", "caches", "points.pc2")
    modifier.forward_axis, modifier.up_axis = "POS_Y", "POS_Z"

    text(at("elsewhere", "caches", "moving.abc"), "no archive\n")  # Not every Blender reads Alembic.
    bpy.ops.cachefile.open(filepath=at("elsewhere", "caches", "moving.abc"))
    stream = plane("stream", glow("stream", bpy.data.images["absolute"]), scene)
    modifier = stream.modifiers.new("cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file, modifier.object_path = bpy.data.cache_files[0], "/moving/moving"

    profile = "IESNA:LM-63-2002\nTILT=NONE\n1 1000 1 3 1 1 2 0 0 0\n1 1 1\n0 45 90\n0\n900 300 50\n"
    lamp = bpy.data.lights.new("lamp", "POINT")
    lamp.use_nodes, lamp.shadow_soft_size = True, 0
    nodes, links = lamp.node_tree.nodes, lamp.node_tree.links
    ies = nodes.new("ShaderNodeTexIES")
    ies.mode, ies.filepath = "EXTERNAL", text(at("elsewhere", "lights", "lamp.ies"), profile)
    links.new(ies.outputs[0], nodes["Emission"].inputs["Strength"])
    light = bpy.data.objects.new("lamp", lamp)
    white = bpy.data.materials.new("white")
    lit = plane("lit", white, scene)
    light.location = (lit.location[0] + 0.45, lit.location[1] + 0.45, 0.7)
    scene.collection.objects.link(light)

    for frame in 1, 2, 3:
        picture(at("elsewhere", "clip", f"plate.{frame:04}.png"), (frame / 3, 0, 0))
    bpy.data.movieclips.load(at("elsewhere", "clip", "plate.0001.png")).use_fake_user = True
    editor = scene.sequence_editor_create()
    strip = editor.sequences.new_image("strip", picture(at("elsewhere", "edit", "one.png"), (1, 1, 0)), 1, 1)
    picture(at("elsewhere", "edit", "two.png"), (0, 1, 0))
    strip.elements.append("two.png")
    editor.sequences.new_sound("beep", sound(at("elsewhere", "sounds", "beep.wav")), 2, 1)
    scene["asset"] = text(at("elsewhere", "data", "asset.txt"), "bytes\n")
    scene.id_properties_ui("asset").update(subtype="FILE_PATH")
    smoke = bpy.data.volumes.new("smoke")
    text(at("elsewhere", "vdb", "smoke_0002.vdb"), "no volume\n")
    smoke.filepath, smoke.use_fake_user = at("elsewhere", "vdb", "smoke_0002.vdb"), True
    cloth = plane("cloth", bpy.data.materials["white"])
    scene.collection.objects.link(cloth)
    cloth.hide_render = True
    sim = cloth.modifiers.new("cloth", "CLOTH").point_cache
    sim.use_external, sim.index, sim.filepath = True, 0, at("elsewhere", "sim")
    for frame in 1, 2:
        text(at("elsewhere", "sim", f"636C6F7468_{frame:06}_00.bphys"), "no points\n")
    domain = plane("domain", bpy.data.materials["white"])
    scene.collection.objects.link(domain)
    domain.hide_render = True
    fluid = domain.modifiers.new("fluid", "FLUID")
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.cache_directory = at("elsewhere", "fluid")
    for name in "data", ".git", "drafts":
        text(at("elsewhere", "fluid", name, "fluid_data_0001.vdb"), "no fluid\n")
    painted = glow("painted", bpy.data.images["inside"])
    painted.use_fake_user = True
    osl = painted.node_tree.nodes.new("ShaderNodeScript")
    osl.mode = "EXTERNAL"
    osl.filepath = text(at("elsewhere", "osl", "paint.osl"), "shader paint() {}\n")
    text(at("elsewhere", "osl", "paint.oso"), "compiled\n")
    scene.render.use_multiview, scene.render.views_format = True, "STEREO_3D"
    views = image("views", at("elsewhere", "views", "eye_L.png"))
    for side in "L", "R":
        picture(at("elsewhere", "views", f"eye_{side}.png"), (0.2, 0.9, 0.9))
    views.use_fake_user, views.use_multiview, views.views_format = True, True, "INDIVIDUAL"
    views.filepath = at("elsewhere", "views", "eye_L.png")
    views.reload()
    plane("views", glow("views", views), scene)
    scene.render.use_multiview = False

    scene["studio_tools"] = {"version": 3}
    script = bpy.data.texts.new("on_load.py")
    script.use_module = True
    script.write("pass\n")

    save(at("project", "shots", "010.blend"), compress=True)


libraries()
main()
