# What every.py makes, for kinds of dependencies that only newer Blenders have, or only some builds: PYTHON newer.py -- DIR
# PYTHON is one with a bpy module of Blender 4.2 or later.
import json
import os
import sys

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import every
from every import at, beyond, kind, plane, show, text


def streams(scene):
    """An archive of a plane that was lifted, read by one that was not."""
    for form in "abc", "usdc":
        path = beyond("streams", "plane." + form)
        lifted = show(scene, plane("lifted", None), False)
        for vertex in lifted.data.vertices:
            vertex.co.z += 0.3
        every.active(scene, lifted)
        if form == "abc":
            bpy.ops.wm.alembic_export(filepath=path, selected=True, start=1, end=3)
        else:
            bpy.ops.wm.usd_export(filepath=path, selected_objects_only=True, root_prim_path="")
        bpy.data.meshes.remove(lifted.data)  # and the object with it
        bpy.ops.cachefile.open(filepath=path)
        cache = bpy.data.cache_files[os.path.basename(path)]
        reader = show(scene, plane(form, bpy.data.materials["shape"]))
        modifier = reader.modifiers.new("stream", "MESH_SEQUENCE_CACHE")
        modifier.cache_file, modifier.object_path = cache, "/lifted/lifted"
        kind("stream " + form, "CF" + cache.name, path)


def script(scene):
    import cycles.osl

    painted = bpy.data.materials.new("painted")
    painted.use_nodes = True
    nodes, links = painted.node_tree.nodes, painted.node_tree.links
    nodes.clear()
    node, emission, output = (nodes.new("ShaderNode" + name) for name in ("Script", "Emission", "OutputMaterial"))
    node.mode = "EXTERNAL"
    node.filepath = text(beyond("osl", "paint.osl"), "shader paint(output color shown = color(0.2, 0.8, 0.3)) {}\n")
    try:
        cycles.osl.update_script_node(node, lambda kind, message: print(kind, message))
    except ImportError as error:  # A bpy module can come without the means to ask a script for its sockets.
        print("no OSL:", error)
        scene.cycles.shading_system = False
        return
    assert len(node.outputs), "the script was not compiled"
    links.new(node.outputs[0], emission.inputs["Color"])
    links.new(emission.outputs[0], output.inputs["Surface"])
    show(scene, plane("painted", painted))
    made = [path for path in (beyond("osl", "paint.osl"), beyond("osl", "paint.oso")) if os.path.exists(path)]
    kind("OSL script", "MApainted", *made, path=made[0])


def group(name):
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    for way in "INPUT", "OUTPUT":
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    return tree, tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


def bakes(scene):
    """A bake of a plane that was lifted after that."""
    tree, source, sink = group("bake")
    node = tree.nodes.new("GeometryNodeBake")
    if not node.bake_items:
        node.bake_items.new("GEOMETRY", "Geometry")
    tree.links.new(source.outputs[0], node.inputs[0])
    tree.links.new(node.outputs[0], sink.inputs[0])
    for name, own in ("baked", False), ("baked apart", True):
        made = show(scene, plane(name, bpy.data.materials["shape"]))
        modifier = made.modifiers.new("nodes", "NODES")
        modifier.node_group = tree
        if hasattr(modifier, "bake_target"):
            modifier.bake_target = "DISK"
        bake, folder = modifier.bakes[0], beyond("bakes", name.replace(" ", "_"))
        bake.bake_mode = "STILL"
        if own:
            bake.use_custom_path, bake.directory = True, folder
        else:
            modifier.bake_directory = folder
        bpy.ops.object.geometry_node_bake_single(session_uid=made.session_uid, modifier_name="nodes", bake_id=bake.bake_id)
        for vertex in made.data.vertices:
            vertex.co.z += 0.3
        files = [os.path.join(top, name) for top, _, names in os.walk(folder) for name in names]
        kind("bake " + name, "OB" + name, *files, path=folder)


def readers(scene):
    """A node that reads a file by the path in its input."""
    if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
        return
    tree, _, sink = group("reader")
    node, paint = tree.nodes.new("GeometryNodeImportOBJ"), tree.nodes.new("GeometryNodeSetMaterial")
    node.inputs[0].default_value = text(beyond("meshes", "read.obj"), "v 0 0 0\nv 0.9 0 0\nv 0.9 0.9 0\nf 1 2 3\n")
    paint.inputs["Material"].default_value = bpy.data.materials["shape"]
    real = tree.nodes.new("GeometryNodeRealizeInstances")
    for one, other in (node, real), (real, paint), (paint, sink):
        tree.links.new(one.outputs[0], other.inputs[0])
    show(scene, plane("read", bpy.data.materials["shape"])).modifiers.new("nodes", "NODES").node_group = tree
    kind("node input", "NTreader", beyond("meshes", "read.obj"))


def main():
    scene = every.fresh()
    scene.name = "picture"
    every.settings(scene)
    scene.cycles.shading_system = True
    every.camera(scene)
    every.save(at(every.SHOT))
    every.shape("shape")
    streams(scene)
    script(scene)
    bakes(scene)
    readers(scene)
    every.save(every.SHOT, compress=True)
    text(at("kinds.json"), json.dumps(every.kinds))


main()
