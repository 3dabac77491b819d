# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of jobs, as icons that panels can draw."""

import bpy.utils.previews

_previews = None


def icon(path):
    """Return the icon of an image file, read the first time it is asked for; 0 if there is none."""
    if not path or _previews is None:
        return 0
    if path not in _previews:
        _previews.load(path, path, "IMAGE")
    return _previews[path].icon_id


def register():
    global _previews
    _previews = bpy.utils.previews.new()


def unregister():
    global _previews
    bpy.utils.previews.remove(_previews)
    _previews = None
