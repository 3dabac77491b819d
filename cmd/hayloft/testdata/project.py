# SPDX-License-Identifier: Apache-2.0
"""Makes a project that renders in a moment; run inside Blender:

    blender -b --factory-startup --python-exit-code 1 -P project.py -- FOLDER FRAMES

FOLDER then holds scene.blend, which links lib/props.blend, which uses textures/checks.png. The cube turns, so that no
two frames have the same pixels. When the environment names a file in HAYLOFT_TEST_RENDERS, each Blender that may run
scripts adds a line with the number of each frame that it has written.
"""

import math
import os
import sys

import bpy

NOTE_FRAMES = """
import bpy, os
from bpy.app.handlers import persistent

@persistent
def note(scene, *_):
    with open(os.environ["HAYLOFT_TEST_RENDERS"], "a") as log:
        log.write("%d\\n" % scene.frame_current)

if "HAYLOFT_TEST_RENDERS" in os.environ:
    bpy.app.handlers.render_write.append(note)
"""


def empty_file(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    save_file(path)


def save_file(path):
    bpy.ops.wm.save_as_mainfile(filepath=path, relative_remap=False)


def write_texture(path):
    image = bpy.data.images.new("checks", 16, 16)
    image.pixels.foreach_set([c for i in range(256) for c in ((0.9, 0.5, 0.1, 1) if (i // 4 + i // 64) % 2 else (0.1, 0.2, 0.6, 1))])
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()


def write_library(path):
    empty_file(path)
    mat = bpy.data.materials.new("checks")
    mat.use_nodes = True
    nodes, links = mat.node_tree.nodes, mat.node_tree.links
    nodes.clear()
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.load("//../textures/checks.png")
    shader, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(texture.outputs["Color"], shader.inputs["Color"])
    links.new(shader.outputs[0], output.inputs["Surface"])
    bpy.ops.mesh.primitive_cube_add(size=2)
    cube = bpy.context.object
    cube.name = "cube"
    cube.use_fake_user = True
    cube.data.materials.append(mat)
    save_file(path)


def write_scene(path, frames):
    empty_file(path)
    scene = bpy.context.scene
    with bpy.data.libraries.load(bpy.path.abspath("//lib/props.blend"), link=True, relative=True) as (_, wanted):
        wanted.objects = ["cube"]
    pivot = bpy.data.objects.new("pivot", None)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.parent, camera.location, camera.rotation_euler = pivot, (0, -5, 0), (math.radians(90), 0, 0)
    for thing in (wanted.objects[0], pivot, camera):
        scene.collection.objects.link(thing)
    for frame, angle in ((1, 0.1), (frames + 1, 1.4)):
        pivot.rotation_euler[2] = angle
        pivot.keyframe_insert("rotation_euler", index=2, frame=frame)
    scene.camera = camera
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.image_settings.file_format = "PNG"
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 2, False, False
    notes = bpy.data.texts.new("note_frames.py")
    notes.write(NOTE_FRAMES)
    notes.use_module = True
    save_file(path)


def main(folder, frames):
    for name in ("lib", "textures"):
        os.makedirs(os.path.join(folder, name))
    write_texture(os.path.join(folder, "textures", "checks.png"))
    write_library(os.path.join(folder, "lib", "props.blend"))
    write_scene(os.path.join(folder, "scene.blend"), frames)


main(os.path.abspath(sys.argv[-2]), int(sys.argv[-1]))
