# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Showing the artist the datablock that lacks a file."""

import os

import bpy

from .wording import count_text

# Blender's two letters for the kinds of datablocks, and where each is found.
_COLLECTIONS = {
    "AC": "actions", "AR": "armatures", "BR": "brushes", "CA": "cameras", "CF": "cache_files", "CU": "curves",
    "CV": "hair_curves", "GD": "grease_pencils", "GP": "grease_pencils_v3", "GR": "collections", "IM": "images",
    "KE": "shape_keys", "LA": "lights", "LI": "libraries", "LS": "linestyles", "LT": "lattices", "MA": "materials",
    "MB": "metaballs", "MC": "movieclips", "ME": "meshes", "MS": "masks", "NT": "node_groups", "OB": "objects",
    "PA": "particles", "PC": "paint_curves", "PT": "pointclouds", "SC": "scenes", "SK": "speakers", "SO": "sounds",
    "TE": "textures", "TX": "texts", "VF": "fonts", "VO": "volumes", "WO": "worlds",
}  # fmt: skip


def find(datablock, library=""):
    """Return the datablock with Blender's full name, such as IMwood, from a library if one is given; None if it is gone."""
    found = getattr(bpy.data, _COLLECTIONS.get(datablock[:2], ""), ())
    named = [one for one in found if one.name == datablock[2:]]
    if library:
        inside = [one for one in named if one.library and _same(bpy.path.abspath(one.library.filepath), library)]
        return inside[0] if inside else _library(library)
    return next((one for one in named if not one.library), named[0] if named else None)


def select(context, datablock, path=""):
    """Select what uses a datablock, or the file at an absolute path through it; return what to tell the artist."""
    strips, scene = _select_strips(context.scene, datablock, path)
    _show_image(context, datablock)
    if strips:
        return f"selected {count_text(strips, 'strip')} in the sequencer of {scene.name}"
    objects = users(datablock, context.view_layer.objects)
    if not objects:
        return _no_objects(datablock)
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for one in context.view_layer.objects:
        one.select_set(False)
    for one in objects:
        one.select_set(True)
    context.view_layer.objects.active = objects[0]
    _show_material(objects[0], datablock)
    names = ", ".join(one.name if one.select_get() else f"{one.name} (hidden)" for one in objects[:3])
    chosen = "selected" if any(one.select_get() for one in objects) else "it is used by"
    return f"{chosen} {names}{' and others' if len(objects) > 3 else ''}"


def users(datablock, shown):
    """Return those of the shown objects that use a datablock, through any number of others. What only a collection in a
    library holds is used by the object that shows the collection."""
    used_by = bpy.data.user_map()
    waiting = [datablock]
    if isinstance(datablock, bpy.types.Library):
        waiting += [one for one in used_by if one.library == datablock]
    seen, objects = set(waiting), []
    while waiting:
        one = waiting.pop()
        if isinstance(one, bpy.types.Object) and shown.get(one.name) == one:
            objects.append(one)
            continue
        for user in used_by.get(one, ()):
            if user not in seen and not isinstance(user, bpy.types.Scene):
                seen.add(user)
                waiting.append(user)
    return sorted(objects, key=lambda o: o.name)


def _no_objects(datablock):
    by = [f"{one.bl_rna.name.lower()} {one.name}" for one in bpy.data.user_map(subset=[datablock])[datablock] if one != datablock]
    if isinstance(datablock, bpy.types.Scene):
        return f"the scene {datablock.name} itself names the file: in its output, compositor or sequencer"
    if not by:
        return f"{datablock.name} is used by nothing in this file"
    return f"{datablock.name} is used by no object of this view layer, but by {', '.join(sorted(by)[:3])}"


def _library(path):
    return next((one for one in bpy.data.libraries if _same(bpy.path.abspath(one.filepath), path)), None)


def _same(one, other):
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _select_strips(scene, datablock, path):
    """Select the strips that use a datablock or show a file; return how many there are, and the scene that they are in."""
    for one in dict.fromkeys((datablock if isinstance(datablock, bpy.types.Scene) else scene, scene)):
        editor = one.sequence_editor
        everything = getattr(editor, "strips_all", None)  # Blender 4.4
        strips = list(everything if everything is not None else getattr(editor, "sequences_all", ()))
        hits = [s for s in strips if _uses(s, datablock) or (path and one == datablock and _shows(s, path))]
        if hits:
            for strip in strips:
                strip.select = strip in hits
            return len(hits), one
    return 0, None


def _uses(strip, datablock):
    return datablock in (getattr(strip, "sound", None), getattr(strip, "clip", None), getattr(strip, "scene", None))


def _shows(strip, path):
    files = [strip.filepath] if hasattr(strip, "filepath") else []
    if hasattr(strip, "elements") and hasattr(strip, "directory"):
        files += [os.path.join(strip.directory, element.filename) for element in strip.elements]
    return any(_same(bpy.path.abspath(file), path) for file in files if file)


def _show_image(context, datablock):
    if isinstance(datablock, bpy.types.Image) and context.screen:
        for area in context.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.spaces.active.image = datablock


def _show_material(thing, datablock):
    for index, slot in enumerate(thing.material_slots):
        tree = slot.material.node_tree if slot.material else None
        for node in tree.nodes if tree else ():
            if getattr(node, "image", None) == datablock:
                thing.active_material_index = index
                tree.nodes.active = node
                return
