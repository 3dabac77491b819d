# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Blender properties for the settings of each job type, made at run time and kept with each scene."""

import zlib

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import jobtypes

_CHOICE = "="  # stands before each choice, since Blender draws an item with an empty name as a heading

_made = {}  # class by the identifier of its job type


def register(types):
    """Make the properties of these job types and forget those of others. What scenes hold of them stays."""
    unregister()
    for job_type in types:
        group = make(job_type)
        bpy.utils.register_class(group)
        setattr(bpy.types.Scene, job_type.identifier, PointerProperty(type=group))
        _made[job_type.identifier] = group


def unregister():
    for identifier, group in _made.items():
        delattr(bpy.types.Scene, identifier)
        bpy.utils.unregister_class(group)
    _made.clear()


def make(job_type):
    """Return a property group with a property for each setting, and one for whether it follows its expression."""
    properties = {}
    for setting in job_type.settings:
        properties[setting.identifier] = _property(setting)
        if setting.link:
            properties[setting.link_identifier] = BoolProperty(name=setting.link, description=setting.link, default=True)
    name = "HAYLOFT_PG_" + job_type.identifier[-16:]
    return type(name, (bpy.types.PropertyGroup,), {"__annotations__": properties})


def stored(group, setting):
    """Return what the artist set."""
    value = getattr(group, setting.identifier)
    if not setting.choices:
        return value
    chosen = value[len(_CHOICE) :]
    # A scene may hold what the job type offers no longer.
    return chosen if chosen in setting.choices else _default_choice(setting)


def linked(group, setting):
    return bool(setting.link) and getattr(group, setting.link_identifier)


def store(group, setting, value):
    """Set a setting for the artist. ValueError: it cannot hold this value."""
    value = jobtypes.convert(setting.kind, value)
    if setting.choices:
        if value not in setting.choices:
            raise ValueError(f"setting {setting.key} must be one of {', '.join(setting.choices)}, not {value}")
        value = _CHOICE + value
    setattr(group, setting.identifier, value)
    if setting.link:
        setattr(group, setting.link_identifier, False)


def _property(setting):
    about = {"name": setting.label, "description": setting.description}
    value = jobtypes.empty(setting)
    if setting.choices:
        return EnumProperty(items=_items(setting.choices), default=_CHOICE + _default_choice(setting), **about)
    if setting.kind == "string":
        return StringProperty(default=value, subtype=setting.subtype, **about)
    if setting.kind == "bool":
        return BoolProperty(default=value, **about)
    options = dict(setting.options)
    least, most = options.get("min"), options.get("max")
    if least is not None:
        value = max(value, least)
    if most is not None:
        value = min(value, most)
    if setting.subtype != "NONE":
        options["subtype"] = setting.subtype
    kind = IntProperty if setting.kind == "int32" else FloatProperty
    return kind(default=value, **about, **options)


def _default_choice(setting):
    value = jobtypes.empty(setting)
    return value if value in setting.choices else setting.choices[0]


def _items(choices):
    """Return the items of an enumeration. Scenes store the numbers, so each comes from its own choice alone, not from its place."""
    items, taken = [], set()
    for choice in dict.fromkeys(choices):
        number = zlib.crc32(choice.encode()) & 0x7FFFFFFF
        while number in taken:
            number = (number + 1) & 0x7FFFFFFF
        taken.add(number)
        items.append((_CHOICE + choice, choice or "(none)", "", number))
    return items
