# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names that expressions of job types use, and the values of one scene's settings."""

import os
from pathlib import Path

import bpy

from . import typegroups
from .values import Values, last_n_dir_parts


def job_name(scene):
    """The name of the job: what the artist typed, else the file's."""
    stem = os.path.splitext(os.path.basename(bpy.data.filepath))[0]
    return scene.hayloft.job_name.strip() or stem or "untitled"


def of(context, job_type, name="", given=None):
    """Return the Values of the active scene. `given` overrides settings by key."""
    group = getattr(context.scene, job_type.identifier)
    return Values(
        job_type,
        lambda setting: typegroups.stored(group, setting),
        lambda setting: typegroups.linked(group, setting),
        names(context, name or job_name(context.scene)),
        given,
    )


def names(context, name):
    """Return the names that the contract gives to expressions, save `settings`."""
    return {
        "bpy": bpy,
        "C": context,
        "jobname": name,
        "Path": Path,
        "abspath": _abspath,
        "last_n_dir_parts": _last_n_dir_parts,
    }


def _abspath(path):
    return Path(os.path.normpath(bpy.path.abspath(str(path))))


def _last_n_dir_parts(n, file=None):
    return last_n_dir_parts(n, str(file) if file else bpy.data.filepath)
