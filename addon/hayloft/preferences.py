# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the farm is, who the artist is, and which program does the work."""

import os
from typing import NamedTuple

import bpy
from bpy.props import StringProperty

from . import address, session


class Choice(NamedTuple):
    """What holds now: the environment if it says something, else the preferences."""

    manager: str
    token: str
    program: str


class HAYLOFT_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    manager: StringProperty(
        name="Manager",
        description="Address of the farm's manager, such as http://farm:8080",
        default=address.DEFAULT,
        update=lambda self, context: session.now.forget_farm(),
    )
    token: StringProperty(
        name="Sign-in Token", description="Who you are to the manager; leave empty if it asks for none", subtype="PASSWORD"
    )
    program: StringProperty(
        name="Program",
        description="The hayloft program to use; leave empty to take the manager's own for this computer",
        subtype="FILE_PATH",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        row = layout.row(align=True)
        row.prop(self, "manager")
        row.operator("hayloft.find_manager", text="", icon="VIEWZOOM")
        layout.prop(self, "token")
        layout.prop(self, "program")
        layout.operator("hayloft.refresh", text="Try It", icon="FILE_REFRESH")
        session.now.draw_message(layout, context)


def current(environ=os.environ):
    """Return what holds now. ValueError says what is wrong with the address."""
    stored = stored_preferences()
    manager = environ.get("HAYLOFT_MANAGER") or (stored.manager if stored else address.DEFAULT)
    token = environ.get("HAYLOFT_TOKEN") or (stored.token if stored else "")
    program = environ.get("HAYLOFT_PROGRAM") or (bpy.path.abspath(stored.program) if stored else "")
    base = address.normalise(manager)
    if not address.is_nearby(base) and not getattr(bpy.app, "online_access", True):
        raise ValueError(f"{base} is not in this network, and Blender's preferences do not allow online access")
    return Choice(base, token, program)


def stored_preferences():
    """Return the add-on's preferences; None where Blender runs it without having enabled it."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


classes = (HAYLOFT_AP_preferences,)
