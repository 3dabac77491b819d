# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scene remembers of its submissions, and what the panels show of this moment."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import plan, session


def _get_type(self):
    at = [item[0] for item in session.now.type_items]
    return at.index(self.job_type_name) if self.job_type_name in at else 0


def _set_type(self, index):
    self.job_type_name = session.now.type_items[index][0]
    session.now.plan = None


def _active_fraction():
    run = session.now.active(session.blend())
    return run.progress.fraction if run else 0.0


class HAYLOFT_PG_scene(bpy.types.PropertyGroup):
    job_type_name: StringProperty()
    # Stored by name: the number of a type changes when the manager gets others.
    job_type: EnumProperty(
        name="Job Type",
        description="What the farm is to do with the scene",
        items=lambda self, context: session.now.type_items,
        get=_get_type,
        set=_set_type,
        options={"SKIP_SAVE"},
    )
    job_name: StringProperty(name="Job Name", description="Empty: the name of the file")
    project: StringProperty(
        name="Project",
        description="Folder that the shot's files lie in; empty: the folder of the file",
        subtype="DIR_PATH",
    )
    priority: IntProperty(name="Priority", description="Larger runs earlier", default=50, min=0, max=100)
    paused: BoolProperty(name="Submit Paused", description="Store the job without starting it")
    allow_missing: BoolProperty(name="Allow Missing Files", description="Submit although files are missing; frames may be wrong")


class HAYLOFT_PG_missing(bpy.types.PropertyGroup):
    datablock: StringProperty()
    library: StringProperty()
    path: StringProperty()
    note: StringProperty()
    required: BoolProperty()


class HAYLOFT_PG_window(bpy.types.PropertyGroup):
    missing: CollectionProperty(type=HAYLOFT_PG_missing)
    missing_index: IntProperty(options={"SKIP_SAVE"})
    fraction: FloatProperty(
        name="Done",
        description="How much of the stage is done",
        subtype="PERCENTAGE",
        min=0,
        max=100,
        precision=0,
        get=lambda self: _active_fraction() * 100,
    )
    job_id: StringProperty(description="The job that was submitted last")


classes = (HAYLOFT_PG_scene, HAYLOFT_PG_missing, HAYLOFT_PG_window)


def register():
    bpy.types.Scene.hayloft = PointerProperty(type=HAYLOFT_PG_scene)
    bpy.types.WindowManager.hayloft = PointerProperty(type=HAYLOFT_PG_window)


def unregister():
    del bpy.types.WindowManager.hayloft
    del bpy.types.Scene.hayloft


def show_missing(missing, sent):
    """Put the missing files of a plan or a refused submission where the list is drawn from; `sent` is the copy they are of."""
    window = bpy.context.window_manager.hayloft
    window.missing.clear()
    for one in missing:
        item = window.missing.add()
        item.name = one.resolved or one.path
        item.datablock, item.path, item.note, item.required = one.datablock, one.path, one.note, one.required
        item.library = plan.library_of(one, sent)
    window.missing_index = 0
