"""Makes and changes scenes for the benchmark. Blender runs it: blender -b --python scene.py -- COMMAND ARGUMENT...

make meshes|structure|set COUNT PLAIN COMPRESSED    a new scene, saved twice
move SCENE FIRST SECOND yes|no                      moves one object and saves, twice in the same Blender; compressed or not
"""
import array
import random
import sys

import bpy


def save(path, compress):
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=compress, copy=False)


def grid(name, side):
    corners = [(column, row, 0.0) for row in range(side) for column in range(side)]
    faces = [(r * side + c, r * side + c + 1, (r + 1) * side + c + 1, (r + 1) * side + c)
             for r in range(side - 1) for c in range(side - 1)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    mesh.uv_layers.new()
    return mesh


def floats(count, source):
    """Gives numbers between 0.5 and 1: random bits below a sign and an exponent that are always the same."""
    bits = int.from_bytes(source.randbytes(4 * count), "little")
    bits = bits & int.from_bytes(b"\xff\xff\x7f\x00" * count, "little") | int.from_bytes(b"\x00\x00\x00\x3f" * count, "little")
    numbers = array.array("f")
    numbers.frombytes(bits.to_bytes(4 * count, "little"))
    return numbers


def shake(mesh, source):
    """Gives each vertex and each texture coordinate a place of its own."""
    mesh.vertices.foreach_set("co", floats(3 * len(mesh.vertices), source))
    mesh.uv_layers[0].data.foreach_set("uv", floats(2 * len(mesh.loops), source))


def link(thing):
    bpy.context.scene.collection.objects.link(thing)


def note(thing, number, source):
    """Custom properties: two small blocks or so each."""
    thing["note"] = f"number {number} of this scene"
    thing["tag"] = f"tag {number % 97}"
    thing["weight"] = source.random()


def make_meshes(count, source):
    """Meshes of 1.3 MB or so, and for each ten objects that share a small one and carry notes."""
    large, small = grid("large", 100), grid("small", 6)
    for number in range(count):
        mesh = large.copy()
        shake(mesh, source)
        link(bpy.data.objects.new(f"statue {number}", mesh))
        for twin in range(10):
            pebble = bpy.data.objects.new(f"pebble {number} {twin}", small)
            pebble.location = (number, twin, 0)
            note(pebble, number, source)
            link(pebble)


def make_structure(count, source):
    """Meshes whose arrays are just too long to be small, each among some fifty small blocks."""
    patch = grid("patch", 20)
    for number in range(count):
        mesh = patch.copy()
        shake(mesh, source)
        link(bpy.data.objects.new(f"patch {number}", mesh))
        for child in range(5):
            marker = bpy.data.objects.new(f"marker {number} {child}", None)
            marker.location = (source.random(), source.random(), source.random())
            note(marker, number, source)
            link(marker)


def painted(number):
    """A material that shows an image, which is a file beside the scene."""
    image = bpy.data.images.new(f"picture {number}", 8, 8)
    image.filepath_raw, image.source = f"//textures/picture {number}.png", "FILE"
    material = bpy.data.materials.new(f"paint {number}")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    material.node_tree.links.new(node.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return material


def make_set(count, source):
    """A film set: large meshes of 12 MB or so, and for each 200 objects with notes that share 20 small ones and 8 images."""
    large = grid("large", 300)
    for number in range(count):
        mesh = large.copy()
        shake(mesh, source)
        link(bpy.data.objects.new(f"statue {number}", mesh))
        paints = [painted(8 * number + each) for each in range(8)]
        props = [grid(f"prop {number} {each}", 12) for each in range(20)]
        for each, prop in enumerate(props):
            shake(prop, source)
            prop.materials.append(paints[each % len(paints)])
        mesh.materials.append(paints[0])
        for twin in range(200):
            prop = bpy.data.objects.new(f"prop {number} {twin}", props[twin % len(props)])
            prop.location = (number, twin, 0)
            note(prop, number, source)
            link(prop)


def make(kind, count, plain, compressed):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    {"meshes": make_meshes, "structure": make_structure, "set": make_set}[kind](int(count), random.Random(1))
    save(plain, False)
    save(compressed, True)


def move(scene, first, second, compress):
    bpy.ops.wm.open_mainfile(filepath=scene)
    thing = bpy.data.objects[len(bpy.data.objects) // 2]
    for path in (first, second):
        thing.location.x += 1.5
        save(path, compress == "yes")


arguments = sys.argv[sys.argv.index("--") + 1:]
{"make": make, "move": move}[arguments[0]](*arguments[1:])
