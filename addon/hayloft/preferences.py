# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the farm is, who the artist is, and which program does the work."""

import os
from typing import NamedTuple, Tuple

import bpy
from bpy.props import CollectionProperty, StringProperty

from . import address, session


class Choice(NamedTuple):
    """What holds now: the environment if it says something, else the preferences."""

    manager: str
    token: str
    program: str
    maps: Tuple[Tuple[str, str], ...] = ()  # (path of other machines, what it means here)


class HAYLOFT_PG_map(bpy.types.PropertyGroup):
    foreign: StringProperty(name="Elsewhere", description="How paths begin that were made on other machines, such as P:/film")
    local: StringProperty(name="Here", description="The folder that this means on this computer", subtype="DIR_PATH")


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
    maps: CollectionProperty(type=HAYLOFT_PG_map)

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        row = layout.row(align=True)
        row.prop(self, "manager")
        row.operator("hayloft.find_manager", text="", icon="VIEWZOOM")
        layout.prop(self, "token")
        layout.prop(self, "program")
        self._draw_maps(layout.column(align=True))
        layout.operator("hayloft.refresh", text="Try It", icon="FILE_REFRESH")
        session.now.draw_message(layout, context)

    def _draw_maps(self, layout):
        layout.use_property_split = False
        layout.label(text="What paths of other machines mean here:")
        for index, one in enumerate(self.maps):
            row = layout.row(align=True)
            row.prop(one, "foreign", text="")
            row.label(text="", icon="FORWARD")
            row.prop(one, "local", text="")
            row.operator("hayloft.remove_map", text="", icon="X").index = index
        layout.operator("hayloft.add_map", icon="ADD")


def current(environ=os.environ):
    """Return what holds now. ValueError says what is wrong with the address."""
    stored = stored_preferences()
    manager = environ.get("HAYLOFT_MANAGER") or (stored.manager if stored else address.DEFAULT)
    token = environ.get("HAYLOFT_TOKEN") or (stored.token if stored else "")
    program = environ.get("HAYLOFT_PROGRAM") or (bpy.path.abspath(stored.program) if stored else "")
    maps = () if environ.get("HAYLOFT_MAP") or not stored else _complete(stored.maps)
    base = address.normalise(manager)
    if not address.is_nearby(base) and not getattr(bpy.app, "online_access", True):
        raise ValueError(
            f"{base} is not in this network, and Blender may not go online: allow it in Preferences > System > Network"
        )
    return Choice(base, token, program, maps)


def _complete(maps):
    found = ((one.foreign.strip(), bpy.path.abspath(one.local.strip())) for one in maps)
    return tuple((foreign, local) for foreign, local in found if foreign and local)


def stored_preferences():
    """Return the add-on's preferences; None where Blender runs it without having enabled it."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


classes = (HAYLOFT_PG_map, HAYLOFT_AP_preferences)
