# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this Blender knows at the moment of the farm and of its submissions. Nothing of it is saved in a file."""

import threading

import bpy

from .wording import wrapped

NOTHING_LISTED = ("", ())  # a manager, and ids of jobs
_PIXELS_A_CHARACTER = 7


class Session:
    """Belongs to the main thread, save `stop`, which ends the threads that watch."""

    def __init__(self):
        self.types = ()
        self.type_items = [("", "No job types yet", "Refresh asks the manager for them")]
        self.waiting = None  # what is being waited for
        self.problem = ""  # what went wrong last
        self.away = ""  # why the farm did not tell of its jobs
        self.plan = None
        self.runs = []
        self.jobs = {}  # by id
        self.listed = NOTHING_LISTED  # the farm's jobs of the open file
        self.looked = None  # at which manager and for which file the panel has looked by itself
        self.stop = threading.Event()

    def forget_farm(self):
        """Another manager has other job types; a plan says nothing about it."""
        self.set_types(())
        self.plan, self.problem, self.away, self.listed, self.looked = None, "", "", NOTHING_LISTED, None

    @property
    def busy(self):
        """What is being waited for, in words; empty if nothing is."""
        return self.waiting.text if self.waiting else ""

    def wait_for(self, text):
        """Say what is being waited for from now on; return the Waiting."""
        self.waiting, self.problem = Waiting(text), ""
        return self.waiting

    def set_types(self, types):
        self.types = types
        # Blender keeps no copy of these texts, so they live here.
        self.type_items = [(t.name, t.label, t.description) for t in types] or [
            ("", "No job types yet", "Refresh asks the manager for them")
        ]

    def type_named(self, name):
        return next((t for t in self.types if t.name == name), None)

    def runs_of(self, blend):
        """Return the submissions of a file, newest first."""
        return [run for run in reversed(self.runs) if blend and run.state.get("blend") == blend]

    def active(self, blend):
        """Return the newest submission that still works: of this file, or of one that was never saved."""
        return next((r for r in reversed(self.runs) if not r.ended and r.state.get("blend", "") == blend), None)

    def fail(self, error):
        self.waiting, self.problem = None, str(error) or type(error).__name__

    def draw_message(self, layout, context):
        """Say what is going on, or what went wrong."""
        if self.busy:
            draw_text(layout, context, self.busy, "SORTTIME")
        elif self.problem or self.away:
            draw_text(layout, context, self.problem or self.away, "ERROR")


class Waiting:
    """What is being waited for. Any thread may read it and change its text; whoever stops it wants no result any more."""

    def __init__(self, text):
        self.text = text
        self._stopped = threading.Event()
        self._on_stop = lambda: None

    @property
    def stopped(self):
        return self._stopped.is_set()

    def on_stop(self, action):
        """Have action() called when it is stopped; at once if it was."""
        self._on_stop = action
        if self.stopped:
            action()

    def stop(self):
        self._stopped.set()
        self._on_stop()


def draw_text(layout, context, text, icon="NONE"):
    """Write a text over as many lines as the region's width asks for."""
    scale = context.preferences.view.ui_scale
    width = int(context.region.width / (_PIXELS_A_CHARACTER * scale)) - 4 if context.region else 60
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(wrapped(text[:1].upper() + text[1:], width)):
        column.label(text=line, icon=icon if number == 0 else ("NONE" if icon == "NONE" else "BLANK1"))


def blend():
    """The path of the open file; empty if it was never saved."""
    return bpy.data.filepath


now = Session()
