"""Makes the scenes whose tracing is measured: a shot of three files, and one that needs many."""

import os
import shutil
import sys

import bpy


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def save(path, compress=False):
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=compress)


def link(path, name):
    with bpy.data.libraries.load(path, link=True, relative=True) as (there, here):
        here.objects = [name]
    for thing in here.objects:
        bpy.context.scene.collection.objects.link(thing)


def picture(path):
    image = bpy.data.images.new("picture", 8, 8)
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)


def small(folder, compress):
    picture(os.path.join(folder, "wood.png"))
    empty()
    image = bpy.data.images.load(os.path.join(folder, "wood.png"))
    material = bpy.data.materials.new("wood")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    mesh = bpy.data.meshes.new("prop")
    mesh.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("prop", mesh))
    save(os.path.join(folder, "prop.blend"))
    bpy.ops.file.make_paths_relative()
    save(os.path.join(folder, "prop.blend"), compress)
    empty()
    link(os.path.join(folder, "prop.blend"), "prop")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("set", None))
    save(os.path.join(folder, "set.blend"), compress)
    empty()
    link(os.path.join(folder, "set.blend"), "set")
    link(os.path.join(folder, "prop.blend"), "prop")
    save(os.path.join(folder, "shot.blend"), compress)


def many(folder, count):
    first = os.path.join(folder, "0.png")
    picture(first)
    empty()
    for number in range(count):
        path = os.path.join(folder, f"{number}.png")
        if path != first:
            shutil.copyfile(first, path)
            with open(path, "ab") as file:
                file.write(str(number).encode())
        bpy.data.images.load(path).use_fake_user = True
    save(os.path.join(folder, "shot.blend"))


what, folder, count = sys.argv[sys.argv.index("--") + 1 :]
os.makedirs(folder)
if what == "many":
    many(folder, int(count))
else:
    small(folder, what == "small-zstd")
