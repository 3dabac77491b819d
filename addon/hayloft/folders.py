# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the add-on keeps files of its own, as each system wants it. Knows no Blender."""

import os
import sys


def cache(environ=os.environ, platform=sys.platform):
    """Return the folder of what can be fetched again: programs and preview images."""
    if platform == "win32":
        return os.path.join(_local_app_data(environ), "Hayloft", "cache")
    if platform == "darwin":
        return os.path.join(os.path.expanduser("~"), "Library", "Caches", "Hayloft")
    return os.path.join(environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hayloft")


def submissions(environ=os.environ, platform=sys.platform):
    """Return the folder that holds one folder for each submission."""
    if platform == "win32":
        return os.path.join(_local_app_data(environ), "Hayloft", "submissions")
    if platform == "darwin":
        return os.path.join(os.path.expanduser("~"), "Library", "Application Support", "Hayloft", "submissions")
    base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "hayloft", "submissions")


def _local_app_data(environ):
    return environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Local")
