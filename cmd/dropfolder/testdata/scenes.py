"""Makes the scenes that the tests of the watched folder are about. Usage: blender -b --factory-startup -P scenes.py -- FOLDER"""

import os
import sys

import bpy

folder = sys.argv[sys.argv.index("--") + 1]


def save(name, change=None, **settings):
    """Saves a small scene under a name, changed as the caller wants."""
    bpy.ops.wm.read_factory_settings(use_empty=False)
    scene = bpy.context.scene
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 32, 24, 100
    scene.frame_start, scene.frame_end = 1, 4
    cube = bpy.data.objects["Cube"]
    for frame in (1, 4):
        cube.rotation_euler.z = frame
        cube.keyframe_insert("rotation_euler", frame=frame)
    if change:
        change(scene)
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=settings.get("compress", False), relative_remap=False)


def textured(scene):
    image = bpy.data.images.new("wood", 8, 8)
    image.generated_color = (1, 0, 0, 1)
    image.filepath_raw = os.path.join(folder, "project", "textures", "wood.png")
    image.file_format = "PNG"
    os.makedirs(os.path.dirname(image.filepath_raw), exist_ok=True)
    image.save()
    image.source = "FILE"
    image.filepath = "//textures/wood.png"
    tree = bpy.data.materials["Material"].node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])


def foreign(scene):
    textured(scene)
    # Somewhere else on this machine, by an absolute path.
    bpy.data.images["wood"].filepath = os.path.join(folder, "project", "textures", "wood.png")


def odd(scene):
    scene.name = "Shot"
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 11, 2
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.use_preview = True
    # A second scene, which is not the one that is open.
    bpy.data.scenes.new("AAA").frame_end = 99


def video(scene):
    scene.render.image_settings.file_format = "FFMPEG"


def single(scene):
    scene.frame_start = scene.frame_end = 7
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.image_settings.file_format = "JPEG"


def in_format(name):
    def change(scene):
        scene.frame_end = 1
        scene.render.resolution_x = scene.render.resolution_y = 64  # JPEG 2000 needs that much.
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.render.image_settings.file_format = name

    return change


def codestream(scene):
    in_format("JPEG2000")(scene)
    scene.render.image_settings.jpeg2k_codec = "J2K"


def stereo(scene):
    in_format("PNG")(scene)
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = "INDIVIDUAL"


def blind(scene):
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    scene.frame_end = 1


save("project/shot.blend", textured, compress=True)
save("foreign/foreign.blend", foreign)
save("plain.blend")
save("odd.blend", odd)
save("video.blend", video)
save("single.blend", single)
save("blind.blend", blind)
save("stereo.blend", stereo)
save("formats/codestream.blend", codestream)
for file_format in ("TARGA", "JPEG2000", "HDR", "CINEON", "WEBP"):
    save("formats/" + file_format + ".blend", in_format(file_format))
