# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps an eye on the submissions and jobs of the open file, without ever making Blender wait."""

import threading

import bpy

from . import folders, jobs, mainloop, preferences, runs, session
from .farm import Farm, FarmError

MOST = 10  # jobs of a file that are shown
_SOON = 3  # seconds between two questions while something renders
_LATER = 15  # seconds after a question that failed

_asking = False


def reconnect():
    """Find the submissions of this person, and watch those that still work."""
    mainloop.start(lambda: runs.load(folders.submissions()), _reconnected)


def watch(run):
    """Follow a submission in a thread until its process ends."""
    stop = session.now.stop
    mainloop.start(lambda: run.watch(mainloop.changed, stop), lambda result, error: _ended(run, error))


def refresh():
    """Ask the farm for the jobs of the open file, and again while one of them is unfinished."""
    global _asking
    wanted = session.now.runs_of(session.blend())[:MOST]
    wanted = [run for run in wanted if run.job]
    if _asking or not wanted or session.now.stop.is_set():
        return
    try:
        choice = preferences.current()
    except ValueError:
        return  # The panel says what is wrong with the address.
    _asking = True
    known, cache = dict(session.now.jobs), folders.cache()
    mainloop.start(lambda: _fetch(wanted, choice, known, cache), _fetched)


def _fetch(wanted, choice, known, cache):
    found = {}
    for run in wanted:
        before = known.get(run.job)
        if before and before.finished:
            continue
        # The token is for the manager that it was typed for, and for no other.
        token = choice.token if run.state["manager"] == choice.manager else ""
        found[run.job] = jobs.fetch(Farm(run.state["manager"], token), run.job, before, cache)
    return found


def _fetched(found, error):
    global _asking
    _asking = False
    if error is not None:
        if not isinstance(error, (FarmError, OSError)):
            raise error
        session.now.problem = str(error)
        mainloop.after(_LATER, refresh)
        return
    session.now.jobs.update(found)
    if any(not job.finished for job in found.values()):
        mainloop.after(_SOON, refresh)


def _reconnected(found, error):
    if error is not None:
        session.now.fail(error)
        return
    known = {run.folder for run in session.now.runs}
    fresh = [run for run in found if run.folder not in known]
    session.now.runs = sorted(session.now.runs + fresh, key=lambda run: run.state["started"])
    for run in fresh:
        if not run.ended:
            watch(run)
    refresh()


def _ended(run, error):
    if error is not None:
        session.now.fail(error)
    elif run.error:
        session.now.fail(run.error)
    if run.job:
        bpy.context.window_manager.hayloft.job_id = run.job
    refresh()


@bpy.app.handlers.persistent
def _file_opened(*_):
    session.now.plan, session.now.problem = None, ""
    refresh()


def register():
    session.now.stop = threading.Event()
    if bpy.app.background:
        return  # Nobody looks, and each pipeline submits by itself.
    bpy.app.handlers.load_post.append(_file_opened)
    reconnect()


def unregister():
    session.now.stop.set()
    if _file_opened in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_file_opened)
