# blender -b --factory-startup --python-exit-code 1 -P colour.py -- make DIR: writes DIR/shot.blend, whose material comes
# from DIR/lib/lib.blend and shows DIR/lib/red.png, and DIR/blue.png.
# … -- show FILE: renders FILE, and prints the colour of a pixel.
import os
import sys

import bpy

verb, path = sys.argv[sys.argv.index("--") + 1 :]
path = os.path.abspath(path)


def picture(name, colour):
    image = bpy.data.images.new("made", 4, 4)
    image.pixels = [*colour, 1.0] * 16
    image.filepath_raw = name
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)


def make():
    os.makedirs(os.path.join(path, "lib"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    picture(os.path.join(path, "lib", "red.png"), (1, 0, 0))
    picture(os.path.join(path, "blue.png"), (0, 0, 1))
    material = bpy.data.materials.new("shown")
    material.use_nodes = material.use_fake_user = True
    nodes = material.node_tree.nodes
    nodes.clear()
    texture, light, output = (nodes.new("ShaderNode" + kind) for kind in ("TexImage", "Emission", "OutputMaterial"))
    texture.image = bpy.data.images.load(os.path.join(path, "lib", "red.png"))
    material.node_tree.links.new(texture.outputs[0], light.inputs[0])
    material.node_tree.links.new(light.outputs[0], output.inputs[0])
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(path, "lib", "lib.blend"), compress=True)

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    with bpy.data.libraries.load(os.path.join(path, "lib", "lib.blend"), link=True) as (_, to):
        to.materials = ["shown"]
    bpy.ops.mesh.primitive_plane_add(size=10)
    bpy.context.object.data.materials.append(to.materials[0])
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.location.z = 1
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = 4
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(path, "shot.blend"), relative_remap=False)


def show():
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = path + ".png"
    bpy.ops.render.render(write_still=True)
    pixels = bpy.data.images.load(path + ".png").pixels[:3]
    print("colour", *(round(value) for value in pixels))


{"make": make, "show": show}[verb]()
