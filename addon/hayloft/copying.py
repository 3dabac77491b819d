# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The copy of the scene that is submitted, so that the artist may go on working in the file meanwhile."""

import os
import shutil
import tempfile
import uuid

import bpy

from . import mainloop

_AFTER_NOTICES = 0.1  # seconds in which Blender has surely told itself that a file was saved


class CopyError(Exception):
    """There is no copy; the text says why and what to do."""


def none():
    """Like make, of a job that renders no file."""
    return _about(bpy.data.filepath, "", False, False)


def make():
    """Return {copy, made_copy, made_folder, blend}: a file that holds what is open now, with the same relative paths.

    Where nothing was changed the copy is still to be made of the file on disk, by `fill`, and there is copy_from.

    It lies beside the original, so that paths keep their meaning; where that folder cannot be written to, or there is no
    original, it lies in a folder of its own and Blender writes the paths anew. A file that was not changed is copied
    byte for byte: the farm knows those bytes already if it ever had them.
    """
    original = bpy.data.filepath
    if original and _has_caches_named_after_file():
        if not os.path.isfile(original) or (bpy.data.is_dirty and not bpy.app.background):
            raise CopyError("save the file first: its simulation caches on disk are named after it, so it is sent itself")
        print(f"hayloft: {original} is sent as it is on disk, since its simulation caches are named after it", flush=True)
        return _about(original, original, False, False)
    folder = os.path.dirname(original)
    own_folder = not original or not os.access(folder, os.W_OK)
    if own_folder:
        folder = tempfile.mkdtemp(prefix="hayloft-")
    stem = os.path.splitext(os.path.basename(original))[0] or "untitled"
    copy = os.path.join(folder, f"{stem}.hayloft-{uuid.uuid4().hex[:8]}.blend")
    try:
        if is_on_disk() and not own_folder:
            return dict(_about(original, copy, True, False), copy_from=original)
        else:
            _save_copy(copy)
    except (OSError, RuntimeError) as error:
        raise CopyError(f"the copy of the scene could not be written to {copy}: {error}") from None
    return _about(original, copy, True, own_folder)


def _save_copy(copy):
    """Have Blender write a copy. Once that is done it takes the open file for saved, although only the copy is, and would
    let the artist leave without a warning: so what was modified is marked so again."""
    modified, was_saved = bpy.data.is_dirty, _when_saved()
    bpy.ops.wm.save_as_mainfile(filepath=copy, copy=True, check_existing=False, relative_remap=True)

    def mark():
        if not bpy.data.is_dirty and _when_saved() == was_saved:
            bpy.ops.ed.undo_push(message="Copy for the Farm")

    if modified:
        mainloop.after(_AFTER_NOTICES, mark)


def _when_saved():
    try:
        return bpy.data.filepath, os.stat(bpy.data.filepath).st_mtime_ns
    except OSError:
        return bpy.data.filepath, 0


def fill(about):
    """Make the copy that is still to be made; return about without that note. For threads, since files may be large."""
    about = dict(about)
    original = about.pop("copy_from", "")
    if original:
        try:
            # Blender saves beside the file and renames, so that what is being read stays whole whatever the artist does.
            shutil.copyfile(original, about["copy"])
        except OSError as error:
            raise CopyError(f"the copy of the scene could not be written to {about['copy']}: {error}") from None
    return about


def as_it_is():
    """Like make, for reading it at once: a file that was not changed needs no copy."""
    if is_on_disk():
        return _about(bpy.data.filepath, bpy.data.filepath, False, False)
    return make()


def is_on_disk():
    """Whether the file on disk holds what is open. Scripts change data without Blender's noticing, so in the
    background the answer is always no."""
    return bool(bpy.data.filepath) and not (bpy.app.background or bpy.data.is_dirty) and os.path.isfile(bpy.data.filepath)


def unsaved_images():
    """Say which images hold changes that are in no file, so that no copy has them; empty if none does."""
    names = sorted(one.name for one in bpy.data.images if one.is_dirty and one.source != "VIEWER" and not one.packed_file)
    if not names:
        return ""
    return f"save or pack {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}: changes of images that are not saved are not sent"


def _about(original, copy, made_copy, made_folder):
    return {"blend": original, "copy": copy, "made_copy": made_copy, "made_folder": made_folder}


def _has_caches_named_after_file():
    return any(cache.use_disk_cache for cache in _point_caches())


def _point_caches():
    for scene in bpy.data.scenes:
        if scene.rigidbody_world:
            yield scene.rigidbody_world.point_cache
    for thing in bpy.data.objects:
        for system in thing.particle_systems:
            yield system.point_cache
        for modifier in thing.modifiers:
            cache = getattr(modifier, "point_cache", None)
            if cache:
                yield cache
