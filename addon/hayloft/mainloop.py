# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work in threads whose results come back to Blender's main thread, the only one that may touch Blender's data."""

import queue
import threading
import traceback

import bpy

_PAUSE = 0.1  # seconds between two looks; also how often a progress is drawn anew at most

_results = queue.SimpleQueue()
_outstanding = 0
_redraw = threading.Event()
_later = {}


def start(work, done):
    """Run work() in a thread; then done(result, error) in the main thread, where one of the two is None.

    To be called from the main thread. `error` is the exception that work raised.
    """
    global _outstanding
    _outstanding += 1
    threading.Thread(target=_run, args=(work, done), daemon=True).start()
    if not bpy.app.background and not bpy.app.timers.is_registered(_pump):
        bpy.app.timers.register(_pump, first_interval=_PAUSE, persistent=True)


def wait(work):
    """Run work() in a thread and wait for it: for Blender in the background, which has no timers."""
    box = []
    thread = threading.Thread(target=_run, args=(work, lambda *outcome: None), kwargs={"into": box.append}, daemon=True)
    thread.start()
    thread.join()
    result, error = box[0]
    if error is not None:
        raise error
    return result


def after(seconds, action):
    """Call action() in the main thread later, once, however often it is asked for meanwhile."""
    if bpy.app.background or action in _later:
        return

    def fire():
        del _later[action]
        action()

    _later[action] = fire
    bpy.app.timers.register(fire, first_interval=seconds, persistent=True)


def changed():
    """Have the panels drawn anew soon. Any thread may call it."""
    _redraw.set()


def stop():
    """Forget all timers. Threads end by themselves; nobody hears of their results."""
    for timer in [_pump, *_later.values()]:
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    _later.clear()


def redraw():
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PROPERTIES", "PREFERENCES"):
                area.tag_redraw()


def _run(work, done, into=None):
    outcome = (None, None)
    try:
        outcome = (work(), None)
    except Exception as error:  # Whoever asked decides what an error means.
        outcome = (None, error)
    if into:
        into(outcome)
    else:
        _results.put((done, *outcome))


def _pump():
    global _outstanding
    while True:
        try:
            done, result, error = _results.get_nowait()
        except queue.Empty:
            break
        _outstanding -= 1
        _redraw.set()
        try:
            done(result, error)
        except Exception:  # Blender would take the timer away, and nothing would ever come back.
            traceback.print_exc()
    if _redraw.is_set():
        _redraw.clear()
        redraw()
    return _PAUSE if _outstanding else None
