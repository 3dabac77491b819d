# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small scene for tests. As a script it saves one: blender --background --python shot.py -- FOLDER NOISE"""

import os
import sys

import bpy


def save(folder, noise=0):
    """Save a small scene with one texture, and with so many bytes that cannot be packed; return its path and the texture's."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    texture = os.path.join(folder, "tex", "wood.png")
    image = bpy.data.images.new("wood", 64, 64)
    image.pixels[:] = [byte / 255 for byte in os.urandom(64 * 64 * 4)]  # no farm has it yet
    image.filepath_raw, image.file_format = texture, "PNG"
    image.save()
    path = os.path.join(folder, "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    image.source, image.filepath = "FILE", "//tex/wood.png"
    bpy.ops.mesh.primitive_plane_add()
    material = bpy.data.materials.new("wood")
    material.use_nodes = True
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    surface = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
    tree.links.new(node.outputs["Color"], surface.inputs["Base Color"])
    bpy.context.object.data.materials.append(material)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location.z = 3
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy = 3
    scene.collection.objects.link(bpy.data.objects.new("sun", sun))
    scene.frame_end = 2
    render = scene.render
    render.engine, render.resolution_x, render.resolution_y = "CYCLES", 16, 16
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    if noise:
        bpy.context.scene["noise"] = os.urandom(noise)
    bpy.ops.wm.save_mainfile()
    return path, texture


if __name__ == "__main__":
    at = sys.argv.index("--")
    save(os.path.realpath(sys.argv[at + 1]), int(sys.argv[at + 2]))
