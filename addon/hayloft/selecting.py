# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Showing the artist the datablock that lacks a file."""

import os

import bpy

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


def select(context, datablock):
    """Make a datablock, or the objects that use it, the selection; return what to tell the artist."""
    objects = [one for one in users(datablock) if one.name in context.view_layer.objects]
    strips = _select_strips(context.scene, datablock)
    _show_image(context, datablock)
    if strips:
        return f"selected {len(strips)} strip(s) of the sequencer that use {datablock.name}"
    if not objects:
        return f"{datablock.name} is used by no object of this view layer"
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    for one in context.view_layer.objects:
        one.select_set(False)
    for one in objects:
        one.select_set(True)
    context.view_layer.objects.active = objects[0]
    _show_material(objects[0], datablock)
    return f"selected {', '.join(o.name for o in objects[:3])}{' and others' if len(objects) > 3 else ''}"


def users(datablock):
    """Return the objects that use a datablock, through any number of others."""
    used_by = bpy.data.user_map()
    seen, waiting, objects = {datablock}, [datablock], []
    while waiting:
        one = waiting.pop()
        if isinstance(one, bpy.types.Object):
            objects.append(one)
            continue
        for user in used_by.get(one, ()):
            if user not in seen and not isinstance(user, (bpy.types.Scene, bpy.types.Collection)):
                seen.add(user)
                waiting.append(user)
    return sorted(objects, key=lambda o: o.name)


def _library(path):
    return next((one for one in bpy.data.libraries if _same(bpy.path.abspath(one.filepath), path)), None)


def _same(one, other):
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _select_strips(scene, datablock):
    editor = scene.sequence_editor
    if not editor:
        return []
    everything = getattr(editor, "strips_all", None)
    strips = list(everything if everything is not None else editor.sequences_all)
    hits = [s for s in strips if datablock in (getattr(s, "sound", None), getattr(s, "clip", None), getattr(s, "scene", None))]
    if hits:
        for strip in strips:
            strip.select = strip in hits
    return hits


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
