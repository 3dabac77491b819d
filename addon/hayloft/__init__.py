# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render on a Hayloft farm from Blender.

The add-on is a thin face over the `hayloft` program: that traces, plans and sends; this asks, shows and steers. Modules
that do not import `bpy` hold the logic and run without Blender; nothing here but `register` touches Blender.
"""

bl_info = {
    "name": "Hayloft",
    "author": "The Hayloft authors",
    "version": (0, 1, 0),
    "blender": (2, 93, 0),
    "location": "Properties > Output > Hayloft",
    "description": "Plan and submit renders to a Hayloft farm",
    "category": "Render",
}


def register():
    from . import registration

    registration.register()


def unregister():
    import sys

    from . import registration

    registration.unregister()
    # An update of the add-on is read from disk only if the old modules are forgotten.
    for name in [name for name in sys.modules if name.startswith(__package__ + ".")]:
        del sys.modules[name]
