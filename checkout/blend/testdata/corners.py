# Makes scenes of their own with the words of corpus.py: blender -b --factory-startup --python-exit-code 1 -P corners.py -- DIR
#
# Beside the scenes, DIR gets corners.json, which is like the corpus's expected.json.
import os
import sys

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from corpus import at, fresh, keep, link_in, picture, plain, save, shown, strips, thing, write_expected  # noqa: E402


def linked_folders():
    """A library by its folder and by a link to that folder: ".." is what stands before it in the path, not on disk."""
    for folder in "real/deep", "other":
        picture("corners", folder, "..", "up.png")
    fresh()
    material = bpy.data.materials.new("up")
    material.use_nodes = material.use_fake_user = True
    material.node_tree.nodes.new("ShaderNodeTexImage").image = keep("up", "//../up.png")
    library = at("corners", "real", "deep", "up.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library, relative_remap=False)
    os.symlink(os.path.dirname(library), at("corners", "linked"))
    alias = at("corners", "linked", "up.blend")
    scene = fresh()
    for path in library, alias:
        thing("up", scene).data.materials.append(link_in(path, "materials", "up"))
    save(at("corners", "folders.blend"), [library, alias, at("corners", "up.png"), at("corners", "real", "up.png")])


def counters():
    """Names without a counter, and with one that is not where Blender looks for it."""
    scene = fresh()
    scene.frame_end = 2
    needs = []
    for number in "", "1", "2", "3":
        picture("spans", f"plain{number}.png")
    shown("plain", frame_duration=5)
    for image in bpy.data.images:
        if image.name == "plain":
            image.filepath_raw = "//../spans/plain.png"
    needs += [at("spans", "plain.png"), at("spans", "plain1.png"), at("spans", "plain2.png")]
    for name in "smoke1.low.vdb", "smoke2.low.vdb", "fire1.vdb", "fire2.vdb":
        plain("corners", name)
    for name in "smoke1.low.vdb", "fire1.vdb":
        volume = bpy.data.volumes.new(name)
        volume.filepath, volume.is_sequence, volume.use_fake_user = "//" + name, True, True
        volume.frame_duration, volume.frame_start = 5, 1
    needs += [at("corners", name) for name in ("smoke1.low.vdb", "fire1.vdb", "fire2.vdb")]
    save(at("corners", "counters.blend"), needs)


def partly_packed():
    """One of the tiles of an image was not there when it was packed: Blender shows none of the packed ones."""
    fresh()
    for tile in 1001, 1002:
        picture("corners", f"part.{tile}.png")
    tiled = bpy.data.images.load(at("corners", "part.1001.png"))
    tiled.source, tiled.filepath, tiled.use_fake_user = "TILED", "//part.<UDIM>.png", True
    bpy.ops.wm.save_as_mainfile(filepath=at("corners", "packed.blend"))
    tiled.filepath = "//part.<UDIM>.png"
    tiled.tiles.new(1002)
    os.remove(at("corners", "part.1001.png"))
    try:
        tiled.pack()
    except RuntimeError:
        pass
    if len(tiled.packed_files) != 1:
        raise RuntimeError(f"{len(tiled.packed_files)} tiles were packed")
    picture("corners", "part.1001.png")
    save(at("corners", "packed.blend"), [at("corners", f"part.{tile}.png") for tile in (1001, 1002)])


def views():
    """Images of strips that are not said to have several views: Blender looks for the other view all the same."""
    scene = fresh()
    scene.render.use_multiview = True
    editor = scene.sequence_editor_create()
    needs = [picture("corners", f"one_{view}.png") for view in "LR"] + [picture("corners", "alone_L.png")]
    strips(editor).new_image("both", needs[0], 1, 1)
    strips(editor).new_image("alone", needs[2], 2, 1)
    movie = strips(editor).new_movie("movie", plain("corners", "clip_L.avi"), 3, 1)
    plain("corners", "clip_R.avi")
    movie.use_multiview = False
    save(at("corners", "views.blend"), needs + [at("corners", "clip_L.avi")])


linked_folders()
counters()
views()
partly_packed()
write_expected("corners.json")
