# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs the zip as an artist does, and gives the module that Blender made of it."""

import importlib

import bpy


def install(archive):
    """Install and enable the add-on; return a function that imports its modules by name."""
    if bpy.app.version >= (4, 2, 0):
        bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
        name = "bl_ext.user_default.hayloft"
    else:
        bpy.ops.preferences.addon_install(filepath=archive, overwrite=True)
        bpy.ops.preferences.addon_enable(module="hayloft")
        name = "hayloft"
    if name not in bpy.context.preferences.addons:
        raise AssertionError(f"{name} was not enabled; {bpy.context.preferences.addons.keys()} are")
    return lambda module: importlib.import_module(f"{name}.{module}")
