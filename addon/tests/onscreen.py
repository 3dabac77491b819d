# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drives the panels in a Blender with a window, and takes pictures of them.

    blender --factory-startup SHOT.blend --python onscreen.py -- PART PICTURES

PART is `send` (plan; submit and cancel; submit again and leave while it is sending) or `return` (find the submission that
an earlier Blender left, the job that came of it, and that job again when nothing is remembered of it). The variables are those of onfarm.py. The last line is `PART passed`.
"""

import os
import sys
import time
import traceback

import bpy

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import installing  # noqa: E402

PART, PICTURES = sys.argv[sys.argv.index("--") + 1 :]
DEADLINE = 90  # seconds for each step
PAUSE = 0.2

module = installing.install(os.environ["HAYLOFT_TEST_ZIP"])
session = module("session")
stored = module("preferences").stored_preferences()
stored.manager = os.environ["HAYLOFT_TEST_MANAGER"]


def show_panels():
    """Make the largest area an editor of output properties with our panels alone, so that all of them are in view."""
    area = max(bpy.context.screen.areas, key=lambda a: a.width * a.height)
    area.type = "PROPERTIES"
    others = {p for p in bpy.types.Panel.__subclasses__() if getattr(p, "bl_context", "") == "output"}
    for other in sorted(others, key=lambda p: p.__name__):
        if not other.__module__.endswith("hayloft.panel") and other.is_registered:
            bpy.utils.unregister_class(other)
    return area


def open_panels():
    area = show_panels()
    yield "the editor is there", drawn()
    area.spaces.active.context = "OUTPUT"
    return area


def picture(name):
    window = bpy.context.window_manager.windows[0]
    path = os.path.join(PICTURES, name + ".png")
    if bpy.app.version >= (3, 2, 0):
        with bpy.context.temp_override(window=window, area=window.screen.areas[0]):
            bpy.ops.screen.screenshot(filepath=path)
    else:
        bpy.ops.screen.screenshot({"window": window, "screen": window.screen, "area": window.screen.areas[0]}, filepath=path)


def drawn():
    """A condition that holds after the panels had time to be drawn anew."""
    end = time.monotonic() + 1
    return lambda: time.monotonic() > end


def last():
    return session.now.runs[-1]


def sending():
    return session.now.runs and last().progress.stage == "sending" and last().progress.fraction > 0.05


def send():
    yield from open_panels()
    yield "job types arrive by themselves", lambda: session.now.types and not session.now.busy
    before = open(bpy.data.filepath, "rb").read()
    bpy.ops.hayloft.plan()
    assert session.now.busy and not bpy.ops.hayloft.submit.poll(), "the call returns at once"
    bpy.ops.hayloft.cancel()
    assert not session.now.busy and bpy.ops.hayloft.plan.poll(), "nothing more is waited for"
    bpy.ops.hayloft.plan()
    yield "a plan arrives", lambda: session.now.plan or session.now.problem
    assert not session.now.problem, session.now.problem
    yield "it is drawn", drawn()
    picture("plan")
    wood = bpy.data.images["wood"]
    wood.filepath = "//tex/oak.png"
    bpy.ops.ed.undo_push(message="another texture")
    assert bpy.data.is_dirty
    bpy.ops.hayloft.submit()
    yield "it is refused", lambda: session.now.problem
    assert "image wood" in session.now.problem, session.now.problem
    assert bpy.data.is_dirty, "writing the copy must not make Blender believe that the file was saved"
    assert (open(bpy.data.filepath, "rb").read(), len(bpy.context.window_manager.hayloft.missing)) == (before, 1)
    yield "it is drawn", drawn()
    picture("missing")
    bpy.ops.wm.revert_mainfile()
    yield "the file is as it was", drawn()
    assert not bpy.data.is_dirty and not session.now.problem
    yield from open_panels()
    begun = time.monotonic()
    bpy.ops.hayloft.submit()
    assert time.monotonic() - begun < 1, "the call returns at once"
    yield "something is sent", sending
    assert last().progress.rate > 0, last().progress
    yield "it is drawn", drawn()
    picture("progress")
    bpy.ops.hayloft.cancel()
    yield "it is cancelled", lambda: last().ended
    assert not bpy.data.is_dirty and last().state["blend"] == bpy.data.filepath
    assert last().state.get("cancelled") and not last().job and not os.path.exists(last().state["copy"]), last().state
    bpy.ops.hayloft.submit()
    yield "it goes on", lambda: len(session.now.runs) == 3 and sending()


def return_():
    area = yield from open_panels()
    yield "the submission is found", lambda: len(session.now.runs) == 3
    yield "it ends", lambda: last().ended
    assert last().job and not os.path.exists(last().state["copy"]), last().state
    yield "the farm renders it", lambda: last().job in session.now.jobs and session.now.jobs[last().job].finished
    assert session.now.jobs[last().job].status == "completed", session.now.jobs
    assert session.now.jobs[last().job].image
    bpy.ops.hayloft.refresh()
    yield "the image is drawn", drawn()
    yield "the image is drawn", drawn()
    picture("jobs")
    job = last().job
    session.now.runs.clear()
    session.now.jobs.clear()
    bpy.ops.hayloft.refresh()
    yield "the farm tells of the job", lambda: job in session.now.jobs and session.now.jobs[job].image
    assert [(one.id, one.run) for one in module("joblist").entries(session.blend())] == [(job, None)]
    stored.maps.add().foreign = "P:/film"
    stored.maps[0].local = "/mnt/film"
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Hayloft"
    bpy.ops.preferences.addon_expand(module=session.__package__)
    yield "the preferences are drawn", drawn()
    picture("preferences")


steps = {"send": send, "return": return_}[PART]()
waiting = ["Blender starts", lambda: True, time.monotonic() + DEADLINE]


def tick():
    """Take the next step once what it waits for has come. Leaves Blender at the end, without asking what to save."""
    try:
        if time.monotonic() > waiting[2]:
            raise AssertionError(f"{waiting[0]}: not within {DEADLINE} s; {session.now.problem} {session.now.busy}")
        if waiting[1]():
            waiting[:] = [*next(steps), time.monotonic() + DEADLINE]
        return PAUSE
    except StopIteration:
        print(f"{PART} passed", flush=True)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


bpy.app.timers.register(tick, first_interval=PAUSE, persistent=True)
