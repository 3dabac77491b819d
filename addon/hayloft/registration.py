# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes all parts known to Blender, and takes them back in the opposite order."""

import bpy

from . import images, joblist, mainloop, operators, panel, preferences, properties, session, typegroups

_CLASSES = (*preferences.classes, *properties.classes, *operators.classes, *panel.classes)


def register():
    for one in _CLASSES:
        bpy.utils.register_class(one)
    properties.register()
    images.register()
    joblist.register()


def unregister():
    joblist.unregister()
    mainloop.stop()
    images.unregister()
    typegroups.unregister()
    session.now.set_types(())
    properties.unregister()
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
