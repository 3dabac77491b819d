# What came with Blender 4.2 and later, with real caches: python newer.py -- make DIR
#
# An older Blender, or one that was built without a format, makes the scenes that it can.
#
# DIR gets scenes in the folder scenes, files that they need all around, and expected.json: by scene, the files that it
# needs and those that are missing. … -- show DIR prints what the objects of each scene look like, frame by frame.
import json
import os
import shutil
import sys

import bpy

verb, TOP = sys.argv[sys.argv.index("--") + 1 :]
TOP = os.path.realpath(TOP)
TRIANGLE = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_index\nend_header\n0 0 0\n{0} 0 0\n0 1 0\n3 0 1 2\n"
expected = {}


def at(*parts):
    path = os.path.join(TOP, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def text(content, *parts):
    with open(at(*parts), "w") as file:
        file.write(content)
    return at(*parts)


def picture(*parts):
    image = bpy.data.images.new("made", 4, 4)
    image.filepath_raw = at(*parts)
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return at(*parts)


def fresh():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    return scene


def moving():
    bpy.ops.mesh.primitive_cube_add()
    box = bpy.context.object
    box.name = "box"
    box.shape_key_add(name="rest")
    key = box.shape_key_add(name="grown")
    for point in key.data:
        point.co *= 2
    for frame in 1, 3:
        key.value = frame // 3
        key.keyframe_insert("value", frame=frame)
        box.location.x = frame  # USD keeps the shapes in its own way, and the motion in a cache.
        box.keyframe_insert("location", frame=frame)
    return box


def thing(name, scene):
    object = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    scene.collection.objects.link(object)
    return object


def save(name, needs, misses=()):
    bpy.ops.wm.save_as_mainfile(filepath=at("scenes", name), compress=True, check_existing=False)
    expected["scenes/" + name] = {"files": sorted(needs), "missing": sorted(misses)}


def geometry(name):
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for way in "INPUT", "OUTPUT":
        group.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    return group, group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")


def alembic():
    if not bpy.app.build_options.alembic:
        return
    scene = fresh()
    box = moving()
    write = lambda path, first, last: bpy.ops.wm.alembic_export(filepath=path, start=first, end=last, as_background_job=False)
    needs = [at("abc", name + ".abc") for name in ("one", "base", "layer", "unused", "alone")]
    for path in needs:
        write(path, 1, 3)
    for frame in 1, 2, 3:
        needs.append(at("abc", f"run_{frame:04}.abc"))
        write(needs[-1], frame, frame)
    bpy.data.objects.remove(box)
    read = lambda name, **options: bpy.ops.wm.alembic_import(filepath=at("abc", name), as_background_job=False, **options)
    save("alembic.blend", [])
    read("one.abc")
    read("run_0001.abc", is_sequence=True)
    read("base.abc")
    bpy.data.cache_files["base.abc"].layers.new(at("abc", "layer.abc"))
    bpy.ops.cachefile.open(filepath=at("abc", "alone.abc"))
    bpy.data.cache_files["alone.abc"].use_fake_user = True
    needs.remove(at("abc", "unused.abc"))
    save("alembic.blend", needs)


def usd():
    if not bpy.app.build_options.usd:
        return
    scene = fresh()
    box = moving()
    needs = [at("usd", *name.split("/")) for name in ("top.usda", "sub/middle.usda", "lone.usdc", "sub/deep.usdc")]
    for path in needs[2:]:
        bpy.ops.wm.usd_export(filepath=path, export_animation=True, export_materials=False)
    shutil.copyfile(needs[-1], at("beyond", "payload.usdc"))
    shutil.copyfile(needs[-1], at("usd", "unused.usdc"))
    needs.append(at("beyond", "payload.usdc"))
    text("#usda 1.0\n(\n    subLayers = [@./sub/middle.usda@]\n)\ndef \"far\" (\n    payload = @../beyond/payload.usdc@</root>\n)\n{\n}\n", "usd", "top.usda")
    text("#usda 1.0\n(\n    subLayers = [\n        @deep.usdc@,\n        @./gone.usdc@\n    ]\n)\n", "usd", "sub", "middle.usda")
    bpy.data.objects.remove(box)
    save("usd.blend", [])
    bpy.ops.wm.usd_import(filepath=at("usd", "top.usda"), set_frame_range=False)
    bpy.ops.wm.usd_import(filepath=at("usd", "lone.usdc"), set_frame_range=False)
    save("usd.blend", needs, [at("usd", "sub", "gone.usdc")])


def readers():
    """Nodes that read files start from where their node group is, whoever hands them the path."""
    if not hasattr(bpy.types, "GeometryNodeImportPLY"):
        return
    fresh()
    group, source, sink = geometry("reader")
    joined = group.nodes.new("GeometryNodeJoinGeometry")
    group.links.new(joined.outputs[0], sink.inputs[0])
    needs = [text(TRIANGLE.format(size), "nodes", "files", f"{name}.ply") for size, name in enumerate(("own", "given", "default", "plain", "spoken", "inner"))]

    def reader(tree, path=None, link=None):
        node = tree.nodes.new("GeometryNodeImportPLY")
        if link:
            tree.links.new(link, node.inputs[0])
        else:
            node.inputs[0].default_value = path
        return node.outputs[0]

    for name in "given", "default", "plain":
        item = group.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketString")
        item.subtype = "NONE" if name == "plain" else "FILE_PATH"
        item.default_value = f"//files/{name}.ply" if name == "default" else ""
        group.links.new(reader(group, link=source.outputs[name]), joined.inputs[0])
    group.links.new(reader(group, "//files/own.ply"), joined.inputs[0])
    spoken = group.nodes.new("FunctionNodeInputString")
    spoken.string = "//files/spoken.ply"
    group.links.new(reader(group, link=spoken.outputs[0]), joined.inputs[0])
    nested, inside, outside = geometry("nested")
    nested.interface.new_socket("path", in_out="INPUT", socket_type="NodeSocketString")
    nested.links.new(reader(nested, link=inside.outputs["path"]), outside.inputs[0])
    user = group.nodes.new("GeometryNodeGroup")
    user.node_tree = nested
    user.inputs["path"].default_value = "//files/inner.ply"
    group.links.new(user.outputs[0], joined.inputs[0])
    group.use_fake_user = True
    bpy.ops.wm.save_as_mainfile(filepath=at("nodes", "library.blend"))

    scene = fresh()
    bpy.ops.wm.save_as_mainfile(filepath=at("scenes", "readers.blend"))
    with bpy.data.libraries.load(at("nodes", "library.blend"), link=True, relative=True) as (_, to):
        to.node_groups = ["reader"]
    modifier = thing("reading", scene).modifiers.new("nodes", "NODES")
    modifier.node_group = to.node_groups[0]
    for item in modifier.node_group.interface.items_tree:
        if item.name in ("given", "plain"):
            modifier[item.identifier] = f"//files/{item.name}.ply"
    text(TRIANGLE.format(9), "scenes", "files", "given.ply")  # Beside the scene is not where it is looked for.
    save("readers.blend", [*needs, at("nodes", "library.blend")])


def pictures():
    """A sequence that a material shows for one frame and geometry nodes in a frame of their own."""
    if not hasattr(bpy.types, "NodeTreeInterface"):
        return
    scene = fresh()
    needs = [picture("frames", f"frame_{number}.png") for number in range(1, 8)]
    image = bpy.data.images.load(needs[0])
    image.source = "SEQUENCE"
    group, source, sink = geometry("pictures")
    offset = group.nodes.new("GeometryNodeSetPosition")
    shown = group.nodes.new("GeometryNodeImageTexture")
    shown.inputs["Image"].default_value, shown.inputs["Frame"].default_value = image, 5
    group.links.new(source.outputs[0], offset.inputs[0])
    group.links.new(shown.outputs[0], offset.inputs["Offset"])
    group.links.new(offset.outputs[0], sink.inputs[0])
    thing("shifted", scene).modifiers.new("nodes", "NODES").node_group = group
    material = bpy.data.materials.new("material")
    material.use_nodes = material.use_fake_user = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image, node.image_user.frame_duration = image, 1
    save("pictures.blend", needs)


def scripts():
    scene = fresh()
    needs = [text('#include "part.h"\n#include <stdosl.h>\nshader made(output color c = 0) { c = PART; }\n', "osl", "made.osl")]
    needs += [text('#  include "deep/value.h"\n#define PART VALUE\n', "osl", "part.h"), text("#define VALUE 1\n", "osl", "deep", "value.h")]
    text("", "osl", "unused.h")
    material = bpy.data.materials.new("script")
    material.use_nodes = material.use_fake_user = True
    node = material.node_tree.nodes.new("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", at("osl", "made.osl")
    misses = []
    if hasattr(bpy.types.Camera, "custom_filepath"):
        for kind in "PERSP", "CUSTOM":
            camera = bpy.data.cameras.new(kind)
            camera.type, camera.custom_mode, camera.use_fake_user = kind, "EXTERNAL", True
            camera.custom_filepath = at("osl", kind + ".osl")
        misses = [at("osl", "CUSTOM.osl")]
    save("scripts.blend", needs, misses)


def exports():
    """Where a collection is exported to is no dependency."""
    scene = fresh()
    if not hasattr(bpy.types, "CollectionExport"):
        return
    collection = bpy.data.collections.new("exported")
    scene.collection.children.link(collection)
    bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection.children[0]
    bpy.ops.collection.exporter_add(name="IO_FH_usd")
    text("", "scenes", "exported.usdc")
    collection.exporters[0].export_properties.filepath = "//exported.usdc"
    save("exports.blend", [])


def tiles():
    """Tiles that do not begin with the first one."""
    fresh()
    moving()
    needs = [picture("tiles", f"tile.{number}.png") for number in (1002, 1003)]
    image = bpy.data.images.load(needs[0])
    image.source, image.use_fake_user = "TILED", True
    image.filepath = at("tiles", "tile.<UDIM>.png")
    for number in 1002, 1003:
        image.tiles.get(number) or image.tiles.new(number)
    for tile in list(image.tiles):
        if tile.number == 1001:
            image.tiles.remove(tile)
    have = {tile.number for tile in image.tiles}
    save("tiles.blend", [at("tiles", f"tile.{number}.png") for number in have])


def make():
    for scene in alembic, usd, readers, pictures, scripts, exports, tiles:
        scene()
    with open(at("expected.json"), "w") as file:
        json.dump(expected, file)


def show():
    for name in sorted(os.listdir(os.path.join(TOP, "scenes"))):
        if not name.endswith(".blend"):
            continue
        bpy.ops.wm.open_mainfile(filepath=os.path.join(TOP, "scenes", name))
        for frame in 1, 2, 3:
            bpy.context.scene.frame_set(frame)
            graph = bpy.context.evaluated_depsgraph_get()
            for object in sorted(bpy.data.objects, key=lambda object: object.name):
                if object.type == "MESH":
                    seen = object.evaluated_get(graph)
                    points = [seen.matrix_world @ point.co for point in seen.data.vertices]
                    print("shows", name, frame, object.name, len(points), round(sum(sum(abs(v) for v in co) for co in points), 3))


{"make": make, "show": show}[verb]()
