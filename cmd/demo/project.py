# SPDX-License-Identifier: Apache-2.0
"""Makes the demonstration project; run inside Blender:

    blender -b --factory-startup --python-exit-code 1 -P project.py -- FOLDER

FOLDER must be empty or absent. It then holds

    scene.blend                    links lib/props.blend
    lib/props.blend                links lib/shading/materials.blend
    lib/shading/materials.blend    uses textures/ and the sequence textures/lantern/
    textures/planks.png, textures/straw.png, textures/dusk.png
    textures/lantern/0001.png ...  one picture for each frame

Every reference is relative, so the folder can be moved. Each run gives the same pixels: nothing in here is random
that is not seeded.
"""

import math
import os
import random
import sys

import bpy

FRAMES = 24
WIDTH, HEIGHT = 320, 180
SAMPLES = 8


def save_image(path, width, height, colour):
    """Write colour(x, y) -> (r, g, b), each from 0 to 1 and y upwards, as a PNG of width by height pixels."""
    pixels = []
    for row in range(height):
        y = row / (height - 1)
        for column in range(width):
            pixels.extend(min(max(c, 0.0), 1.0) for c in colour(column / (width - 1), y))
            pixels.append(1.0)
    image = bpy.data.images.new(os.path.basename(path), width, height)
    image.pixels.foreach_set(pixels)
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)


def tint(shade, low, high):
    """The RGB colour between two others that a shade from 0 to 1 stands for."""
    return tuple(a + shade * (b - a) for a, b in zip(low, high))


def planks():
    tones = [random.Random(n).uniform(0.35, 0.75) for n in range(8)]

    def colour(x, y):
        tone = tones[min(int(x * 8), 7)]
        gap = (x * 8) % 1.0 < 0.03
        grain = 0.12 * math.sin(40 * y + 90 * x + 6 * tone) + 0.05 * math.sin(310 * x + 13 * y)
        return tint(0.0 if gap else tone + grain, (0.10, 0.05, 0.02), (0.55, 0.33, 0.17))

    return colour


def straw():
    rng = random.Random(2)
    stalks = [(rng.uniform(-6, 6), rng.uniform(120, 260), rng.uniform(0, 6.3)) for _ in range(7)]

    def colour(x, y):
        if min(abs(x - 0.3), abs(x - 0.7)) < 0.012:
            return (0.25, 0.08, 0.05)
        shade = sum(math.sin(slope * x + count * y + phase) for slope, count, phase in stalks)
        return tint(0.55 + 0.12 * shade, (0.42, 0.27, 0.06), (0.98, 0.80, 0.36))

    return colour


def dusk():
    def colour(x, y):
        glow = math.exp(-(((x - 0.5) * 2.2) ** 2 + ((y - 0.15) * 3.5) ** 2))
        sky = tint(y, (0.75, 0.42, 0.30), (0.10, 0.13, 0.32))
        return tuple(base + glow * warm for base, warm in zip(sky, (0.35, 0.22, 0.05)))

    return colour


def lantern(frame):
    """One picture of the sequence: a flame that sways once in FRAMES pictures and counts them in its lower edge."""
    turn = 2 * math.pi * frame / FRAMES
    height = 0.75 + 0.15 * math.cos(2 * turn)

    def colour(x, y):
        if y < 0.06 and x < frame / FRAMES:
            return (1.0, 1.0, 1.0)
        centre = 0.5 + 0.10 * math.sin(turn) * y
        flame = math.exp(-(((x - centre) / 0.16) ** 2) - ((y - 0.35) / (0.4 * height)) ** 2)
        return tint(flame, (0.25, 0.02, 0.0), (1.0, 0.85, 0.30))

    return colour


def write_textures(folder):
    os.makedirs(os.path.join(folder, "lantern"))
    for name, colour in (("planks", planks()), ("straw", straw()), ("dusk", dusk())):
        save_image(os.path.join(folder, name + ".png"), 256, 256, colour)
    for frame in range(1, FRAMES + 1):
        save_image(os.path.join(folder, "lantern", "%04d.png" % frame), 64, 64, lantern(frame))


def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside the project's files


def save_file(path):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False, compress=False)


def material(name, picture, glow=0.0, frames=0):
    """A material whose colour is a picture, or a sequence of so many frames; glow is emission strength."""
    mat = bpy.data.materials.new(name)
    mat.use_nodes = True
    mat.use_fake_user = True
    nodes, links = mat.node_tree.nodes, mat.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load(picture)
    if frames:
        texture.image.source = "SEQUENCE"
        texture.image_user.frame_start = 1
        texture.image_user.frame_duration = frames
        texture.image_user.use_auto_refresh = True
    shader = nodes.new("ShaderNodeEmission" if glow else "ShaderNodeBsdfDiffuse")
    if glow:
        shader.inputs["Strength"].default_value = glow
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(texture.outputs["Color"], shader.inputs["Color"])
    links.new(shader.outputs[0], output.inputs["Surface"])


def write_materials(path):
    empty_file()
    save_file(path)
    material("planks", "//../../textures/planks.png")
    material("straw", "//../../textures/straw.png")
    material("dusk", "//../../textures/dusk.png", glow=0.8)
    material("lantern", "//../../textures/lantern/0001.png", glow=3.0, frames=FRAMES)
    save_file(path)


def link(library, kind, names):
    """Link data of a kind ("materials", "collections") by relative path and return it by name."""
    with bpy.data.libraries.load(bpy.path.abspath(library), link=True, relative=True) as (_, wanted):
        setattr(wanted, kind, list(names))
    return {block.name: block for block in getattr(wanted, kind)}


def prop(name, add, mat, scale):
    """Make an object with a mesh primitive in a collection of its own name."""
    add()
    thing = bpy.context.object
    thing.name = name
    thing.scale = scale
    thing.data.materials.append(mat)
    collection = bpy.data.collections.new(name)
    collection.use_fake_user = True
    for owner in list(thing.users_collection):
        owner.objects.unlink(thing)
    collection.objects.link(thing)


def write_props(path):
    empty_file()
    save_file(path)
    mats = link("//shading/materials.blend", "materials", ("planks", "straw", "dusk", "lantern"))
    cube, plane = bpy.ops.mesh.primitive_cube_add, bpy.ops.mesh.primitive_plane_add
    prop("floor", lambda: plane(size=2), mats["planks"], (6, 6, 1))
    prop("bale", lambda: cube(size=2), mats["straw"], (1.0, 0.6, 0.5))
    prop("sky", lambda: plane(size=2, rotation=(math.pi / 2, 0, 0)), mats["dusk"], (20, 8, 1))
    prop("lantern", lambda: cube(size=2), mats["lantern"], (0.35, 0.35, 0.45))
    save_file(path)


def place(collection, location, turn=0.0, parent=None):
    """Put an instance of a collection into the scene; turn is in degrees around the upright axis."""
    holder = bpy.data.objects.new(collection.name, None)
    holder.instance_type = "COLLECTION"
    holder.instance_collection = collection
    holder.location = location
    holder.rotation_euler = (0, 0, math.radians(turn))
    holder.parent = parent
    bpy.context.scene.collection.objects.link(holder)
    return holder


def animate(thing, path, index, first, last):
    """Move one channel of a property at even speed from the first frame to the last."""
    for frame, value in ((1, first), (FRAMES, last)):
        getattr(thing, path)[index] = value
        thing.keyframe_insert(path, index=index, frame=frame)
    for curve in thing.animation_data.action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def add_camera(scene):
    pivot = bpy.data.objects.new("pivot", None)
    scene.collection.objects.link(pivot)
    animate(pivot, "rotation_euler", 2, math.radians(-22), math.radians(22))
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.parent = pivot
    camera.location = (0, -9.0, 3.0)
    camera.rotation_euler = (math.radians(80), 0, 0)
    camera.data.lens = 36
    scene.collection.objects.link(camera)
    scene.camera = camera


def add_light(scene):
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy = 2.5
    lamp.color = (1.0, 0.86, 0.68)
    sun = bpy.data.objects.new("sun", lamp)
    sun.rotation_euler = (math.radians(48), math.radians(18), 0)
    scene.collection.objects.link(sun)


def render_settings(scene):
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.fps = 24
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = "//render/"
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = SAMPLES
    scene.cycles.seed = 0
    scene.cycles.use_animated_seed = False
    scene.cycles.use_adaptive_sampling = False
    # Distributions build Blender without the denoiser, and a scene that asks for it then does not render at all.
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 3


def write_scene(path):
    empty_file()
    save_file(path)
    scene = bpy.context.scene
    props = link("//lib/props.blend", "collections", ("floor", "bale", "sky", "lantern"))
    place(props["floor"], (0, 0, 0))
    place(props["sky"], (0, 6, 4))
    place(props["bale"], (-1.5, 0.4, 0.5), 12)
    place(props["bale"], (0.9, 0.8, 0.5), -8)
    place(props["bale"], (-0.3, 0.6, 1.5), 4)
    roller = place(props["bale"], (2.6, -1.2, 0.5), 70)
    animate(roller, "location", 0, 3.2, 1.4)
    light = place(props["lantern"], (-0.3, 0.4, 2.45), 20)
    animate(light, "rotation_euler", 2, 0.0, math.radians(60))
    add_camera(scene)
    add_light(scene)
    render_settings(scene)
    save_file(path)


def main(folder):
    folder = os.path.abspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        raise SystemExit("%s is not empty: name a folder that is, or one that does not exist" % folder)
    os.makedirs(os.path.join(folder, "lib", "shading"))
    empty_file()
    write_textures(os.path.join(folder, "textures"))
    write_materials(os.path.join(folder, "lib", "shading", "materials.blend"))
    write_props(os.path.join(folder, "lib", "props.blend"))
    write_scene(os.path.join(folder, "scene.blend"))


main(sys.argv[sys.argv.index("--") + 1])
