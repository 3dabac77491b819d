# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this Blender knows at the moment of the farm and of its submissions. Nothing of it is saved in a file."""

import threading

import bpy

from .wording import wrapped

_PIXELS_A_CHARACTER = 7


class Session:
    """Belongs to the main thread, save `stop`, which ends the threads that watch."""

    def __init__(self):
        self.types = ()
        self.type_items = [("", "No job types yet", "Refresh asks the manager for them")]
        self.busy = ""  # what is being waited for
        self.problem = ""  # what went wrong last
        self.plan = None
        self.planned = ""  # the file that the plan is of
        self.runs = []
        self.jobs = {}  # by id
        self.stop = threading.Event()

    def forget_farm(self):
        """Another manager has other job types; a plan says nothing about it."""
        self.set_types(())
        self.plan, self.problem = None, ""

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
        self.busy, self.problem = "", str(error) or type(error).__name__

    def draw_message(self, layout, context):
        """Say what is going on, or what went wrong."""
        text, icon = (self.busy, "SORTTIME") if self.busy else (self.problem, "ERROR")
        if text:
            draw_text(layout, context, text, icon)


def draw_text(layout, context, text, icon="NONE"):
    """Write a text over as many lines as the region's width asks for."""
    scale = context.preferences.view.ui_scale
    width = int(context.region.width / (_PIXELS_A_CHARACTER * scale)) - 4 if context.region else 60
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(wrapped(text, width)):
        column.label(text=line, icon=icon if number == 0 else ("NONE" if icon == "NONE" else "BLANK1"))


def blend():
    """The path of the open file; empty if it was never saved."""
    return bpy.data.filepath


now = Session()
