# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from an open scene to a plan or a job. For the main thread; it waits for nothing but Blender's own saving."""

import json
import os
import time
from typing import NamedTuple

import bpy

from . import copying, folders, jobs, jobtypes, mainloop, prepare, request, runs, scenevalues, session, typegroups
from .values import SettingError

_QUIET = 5  # seconds between two lines in the background


class Wish(NamedTuple):
    """What is wanted; what is left out comes from the scene."""

    job_type: str = ""
    name: str = ""
    settings: str = ""  # a JSON object
    priority: int = -1
    paused: bool = False
    allow_missing: bool = False
    project: str = ""


def take_types(types):
    """Show these job types from now on."""
    now = session.now
    if types != now.types:
        typegroups.register(types)
        now.set_types(types)


def build(context, choice, program, wish, about):
    """Return the request for what is open now. SettingError: something must be set first."""
    scene, own = context.scene, context.scene.hayloft
    job_type = chosen_type(scene, wish.job_type)
    given = _given(job_type, wish.settings)
    name = wish.name or scenevalues.job_name(scene)
    project = wish.project or own.project
    return request.Request(
        program=program,
        manager=choice.manager,
        token=choice.token,
        file=about["copy"],
        name=name,
        job_type=job_type.name,
        settings=tuple(scenevalues.of(context, job_type, name, given).for_submission()),
        project=os.path.normpath(bpy.path.abspath(project)) if project and not about["made_folder"] else "",
        maps=choice.maps,
        source=jobs.source(about["blend"]) if about["blend"] and about["made_folder"] else "",
        priority=own.priority if wish.priority < 0 else wish.priority,
        paused=wish.paused or own.paused,
        allow_missing=wish.allow_missing or own.allow_missing,
    )


def chosen_type(scene, wanted=""):
    """Return the job type that is wanted, else the scene's, else the first."""
    types = session.now.types
    if not types:
        raise SettingError("the farm's job types are not known yet: refresh first")
    found = session.now.type_named(wanted or scene.hayloft.job_type_name)
    if wanted and not found:
        raise SettingError(f"the farm has no job type {wanted}; it has {', '.join(t.name for t in types)}")
    return found or types[0]


def begin(context, choice, prepared, wish, stopped=lambda: False):
    """Get a submission ready; return a function for a thread that starts it and returns the Run, or None if it was stopped."""
    # Settings are worked out before anything is written, since most mistakes are found there.
    build(context, choice, prepared.program, wish, {"blend": "", "copy": bpy.data.filepath, "made_folder": False})
    about = copying.make() if chosen_type(context.scene, wish.job_type).renders_file else copying.none()
    try:
        wanted = build(context, choice, prepared.program, wish, about)
    except Exception:
        runs.remove_copy(about)
        raise
    root, environ, detached = folders.submissions(), dict(os.environ), not bpy.app.background

    def go():
        try:
            filled = copying.fill(about)
            if not stopped():
                return runs.start(root, wanted, filled, environ, detached)
        except Exception:
            runs.remove_copy(about)
            raise
        runs.remove_copy(about)
        return None

    return go


def submit_and_wait(context, choice, wish):
    """Submit from the background; return the ended Run. Says on standard output how far it is."""
    prepared = mainloop.wait(lambda: prepare.prepare(choice, folders.cache()))
    take_types(prepared.types)
    run = mainloop.wait(begin(context, choice, prepared, wish))
    session.now.runs.append(run)
    said, stage = time.monotonic(), ""
    if copying.unsaved_images():
        print(f"hayloft: warning: {copying.unsaved_images()}", flush=True)

    def report():
        nonlocal said, stage
        if run.progress.stage != stage or time.monotonic() - said > _QUIET:
            said, stage = time.monotonic(), run.progress.stage
            print(f"hayloft: {run.progress.text()}", flush=True)

    mainloop.wait(lambda: run.watch(report, session.now.stop))
    return run


def _given(job_type, text):
    """Read the settings of a pipeline."""
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SettingError(f"settings must be a JSON object: {error}") from None
    if not isinstance(given, dict):
        raise SettingError("settings must be a JSON object")
    known = {s.key: s for s in job_type.settings if s.key != jobtypes.BLENDFILE}
    for key, value in given.items():
        if key not in known:
            raise SettingError(f"job type {job_type.name} has no setting {key} that can be given; it has {', '.join(known)}")
        try:
            given[key] = jobtypes.exact(known[key], value)
        except ValueError as error:
            raise SettingError(f"setting {key}: {error}") from None
    return given
