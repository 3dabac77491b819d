# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps an eye on the submissions and jobs of the open file, without ever making Blender wait."""

import threading
from typing import NamedTuple, Optional

import bpy

from . import folders, jobs, mainloop, preferences, properties, runs, session
from .farm import Farm, FarmError

MOST = 10  # jobs of a file that are shown
_SOON = 3  # seconds between two questions while something renders
_LATER = 15  # seconds after a question that failed

_asking = False


class Entry(NamedTuple):
    """One line of the list: a submission from this computer, a job of the farm, or both."""

    when: float  # seconds since 1970
    manager: str
    id: str  # of the job; empty if it did not come to one
    run: Optional[runs.Run]
    job: Optional[jobs.Job]


class _Found(NamedTuple):
    """What the managers said. `listed` is None where nobody asked for the list."""

    jobs: dict
    listed: Optional[tuple]
    away: dict  # what is wrong with a manager, by its address
    manager: str
    blend: str


def entries(blend):
    """Return the newest submissions and jobs of a file, newest first: this computer's, and those that the manager knows of."""
    known = session.now.jobs
    found = [
        Entry(run.state["started"], run.state["manager"], run.job, run, known.get(run.job))
        for run in session.now.runs_of(blend)
        if run.ended
    ]
    own = {entry.id for entry in found}
    manager, listed = session.now.listed
    found += [Entry(known[id].created, manager, id, None, known[id]) for id in listed if id not in own and id in known]
    return sorted(found, key=lambda entry: entry.when, reverse=True)[:MOST]


def look():
    """Ask the farm by itself, once for each manager and file. For panels that are being drawn."""
    now = session.now
    try:
        seen = (preferences.current().manager, session.blend())
    except ValueError:
        return  # The panel says what is wrong with the address.
    if now.looked != seen and not now.waiting:
        now.looked = seen
        mainloop.after(0.01, _look)


def _look():
    if session.now.types:
        refresh(listing=True)
    elif bpy.ops.hayloft.refresh.poll():
        bpy.ops.hayloft.refresh()


def reconnect():
    """Find the submissions of this person, and watch those that still work."""
    mainloop.start(lambda: runs.load(folders.submissions()), _reconnected)


def watch(run):
    """Follow a submission in a thread until its process ends."""
    stop = session.now.stop
    mainloop.start(lambda: run.watch(mainloop.changed, stop), lambda result, error: _ended(run, error))


def refresh(listing=False):
    """Ask for the jobs of the open file, and again while one of them is unfinished.

    With `listing` the farm is asked which jobs there are, too, and finished ones are looked at again.
    """
    global _asking
    if _asking or session.now.stop.is_set():
        return
    try:
        choice = preferences.current()
    except ValueError:
        return  # The panel says what is wrong with the address.
    blend = session.blend()
    wanted = [entry for entry in entries(blend) if entry.id and (listing or not (entry.job and entry.job.finished))]
    if not wanted and not (listing and blend):
        return
    _asking = True
    known, cache = dict(session.now.jobs), folders.cache()
    mainloop.start(lambda: _fetch(wanted, listing, choice, blend, known, cache), _fetched)


def _fetch(wanted, listing, choice, blend, known, cache):
    """Ask each manager; one that does not answer keeps nothing from being known of the others' jobs."""
    found, away, listed = {}, {}, None
    asked = [(entry.manager, entry.id) for entry in wanted]
    if listing and blend:
        try:
            fresh = [job.id for job in jobs.of_file(Farm(choice.manager, choice.token), blend)][:MOST]
            listed = tuple(fresh)
            asked += [(choice.manager, id) for id in fresh if id not in {entry.id for entry in wanted}]
        except (FarmError, OSError) as error:
            away[choice.manager] = error
    for manager, job in asked:
        if manager in away:
            continue
        # The token is for the manager that it was typed for, and for no other.
        token = choice.token if manager == choice.manager else ""
        try:
            found[job] = jobs.fetch(Farm(manager, token), job, known.get(job), cache)
        except (FarmError, OSError) as error:
            away[manager] = error
    return _Found(found, listed, away, choice.manager, blend)


def _fetched(found, error):
    global _asking
    _asking = False
    if error is not None:
        raise error
    now = session.now
    now.jobs.update(found.jobs)
    if found.listed is not None and found.blend == session.blend():
        now.listed = (found.manager, found.listed)
    now.away = str(found.away.get(found.manager, ""))
    if found.away:
        mainloop.after(_LATER, refresh)
    elif any(not job.finished for job in found.jobs.values()):
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
    elif run.state.get("blend", "") == session.blend():
        if run.error:
            session.now.fail(run.error)
        if run.missing():
            properties.show_missing(run.missing(), run.state.get("copy", ""))
    if run.job:
        bpy.context.window_manager.hayloft.job_id = run.job
    refresh()


@bpy.app.handlers.persistent
def _file_opened(*_):
    session.now.plan, session.now.problem, session.now.listed = None, "", session.NOTHING_LISTED
    bpy.context.window_manager.hayloft.missing.clear()
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
