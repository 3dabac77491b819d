# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The panels in the Output properties."""

import time

import bpy

from . import images, joblist, preferences, scenevalues, session, submission
from .session import draw_text
from .values import SettingError
from .wording import count_text

_IMAGE_SCALE = 7
_LABELS = 0.4  # share of the width that Blender gives to names
_STATUS_ICONS = {
    "active": "PLAY",
    "canceled": "CANCEL",
    "completed": "CHECKMARK",
    "failed": "ERROR",
    "paused": "PAUSE",
    "queued": "SORTTIME",
}


class _Output:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"


class HAYLOFT_PT_farm(_Output, bpy.types.Panel):
    bl_label = "Hayloft"
    bl_idname = "HAYLOFT_PT_farm"

    def draw(self, context):
        layout, now = self.layout, session.now
        joblist.look()
        self._draw_address(layout)
        if now.types:
            draw_settings(layout, context)
        elif not now.busy:
            column = layout.column(align=True)
            column.operator("hayloft.find_manager", icon="VIEWZOOM")
            column.operator("preferences.addon_show", text="Preferences", icon="PREFERENCES").module = __package__
        now.draw_message(layout, context)
        run = now.active(session.blend())
        if run:
            draw_run(layout, context, run)
            return
        row = layout.row(align=True)
        row.scale_y = 1.4
        if now.busy:
            row.operator("hayloft.cancel", icon="X")
            return
        row.operator("hayloft.plan", icon="VIEWZOOM")
        row.operator("hayloft.submit", icon="RENDER_ANIMATION")

    @staticmethod
    def _draw_address(layout):
        row = layout.row(align=True)
        try:
            row.label(text=preferences.current().manager, icon="NETWORK_DRIVE")
        except ValueError as error:
            row.label(text=str(error), icon="ERROR")
        row.operator("hayloft.refresh", text="", icon="FILE_REFRESH")
        page = row.operator("hayloft.open_page", text="", icon="URL")
        page.job, page.manager = "", ""


def draw_settings(layout, context):
    """Draw what the artist decides about the job."""
    scene = context.scene
    own = scene.hayloft
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(own, "job_type")
    job_type = submission.chosen_type(scene)
    column.prop(own, "job_name")
    column.prop(own, "priority")
    values = scenevalues.of(context, job_type)
    group = getattr(scene, job_type.identifier)
    column.separator()
    for setting in job_type.settings:
        if setting.shown and setting.key != "blendfile":
            draw_setting(column, context, group, setting, values)
    column.separator()
    column.prop(own, "project")
    flags = column.column(heading="Options")
    flags.prop(own, "paused")
    flags.prop(own, "allow_missing")


def draw_setting(layout, context, group, setting, values):
    """Draw one setting: its widget, or the value that its expression gives; beside it the button that decides between them."""
    linked = bool(setting.link) and getattr(group, setting.link_identifier)
    typed = setting.editable and not linked
    missing = setting.required and not setting.eval and getattr(group, setting.identifier) == ""
    if typed and not setting.eval:
        row = layout.row()
        row.alert = missing
        row.prop(group, setting.identifier)
        return
    split = layout.split(factor=_LABELS)
    name = split.row()
    name.alignment = "RIGHT"
    name.label(text=setting.label)
    row = split.row(align=True)
    row.use_property_split = False
    problem = ""
    if typed:
        row.prop(group, setting.identifier, text="")
    else:
        try:
            row.label(text=value_text(values[setting.key]))
        except SettingError as error:
            problem = str(error)
            row.label(text="", icon="ERROR")
    if setting.link:
        row.prop(group, setting.link_identifier, text="", icon="LINKED" if linked else "UNLINKED")
    elif typed:
        row.operator("hayloft.compute", text="", icon="DRIVER").key = setting.key
    if problem:
        draw_text(layout, context, problem)


def value_text(value):
    """Write a value that is worked out as its widget would."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw_run(layout, context, run):
    """Draw a submission that is under way."""
    box = layout.box()
    row = box.row(align=True)
    row.label(text=f"Submitting {run.state['name']}", icon="EXPORT")
    row.operator("hayloft.cancel", text="Cancel", icon="X")
    if hasattr(box, "progress"):  # Blender 4.0
        box.progress(factor=run.progress.fraction, text=f"{run.progress.fraction:.0%}")
    else:
        box.prop(context.window_manager.hayloft, "fraction", slider=True)
    box.label(text=run.progress.text())


def draw_bar(layout, fraction, text):
    """Draw how far something is; before Blender 4.0, which has no bars of its own, in words."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=text)
    else:
        layout.label(text=f"{text} ({fraction:.0%})", icon="SORTTIME")


class HAYLOFT_UL_missing(bpy.types.UIList):
    bl_idname = "HAYLOFT_UL_missing"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        row = layout.row(align=True)
        name = item.datablock[2:] or "the scene"
        row.label(text=f"{name}: {item.path}", icon="ERROR" if item.required else "INFO")
        chosen = row.operator("hayloft.select_missing", text="", icon="RESTRICT_SELECT_OFF")
        chosen.datablock, chosen.library, chosen.path = item.datablock, item.library, item.name


class HAYLOFT_PT_plan(_Output, bpy.types.Panel):
    bl_label = "Plan"
    bl_idname = "HAYLOFT_PT_plan"
    bl_parent_id = "HAYLOFT_PT_farm"

    @classmethod
    def poll(cls, context):
        return session.now.plan is not None or len(context.window_manager.hayloft.missing) > 0

    def draw(self, context):
        if session.now.plan:
            self._draw_plan(self.layout, context, session.now.plan)
        if context.window_manager.hayloft.missing:
            self._draw_missing(self.layout, context)
        else:
            self.layout.label(text="Nothing is missing", icon="CHECKMARK")

    @staticmethod
    def _draw_plan(layout, context, found):
        column = layout.column(align=True)
        for line in found.summary():
            column.label(text=line)
        for worker in found.workers:
            if not worker.can:
                draw_text(layout, context, f"{worker.name} cannot: {worker.why}", "CANCEL")
        for warning in found.warnings:
            draw_text(layout, context, warning, "ERROR")

    @staticmethod
    def _draw_missing(layout, context):
        window = context.window_manager.hayloft
        layout.label(text=f"{count_text(len(window.missing), 'file')} missing", icon="ERROR")
        layout.template_list("HAYLOFT_UL_missing", "", window, "missing", window, "missing_index", rows=3)
        if window.missing_index < len(window.missing):
            chosen = window.missing[window.missing_index]
            draw_text(layout, context, f"{chosen.name}{': ' + chosen.note if chosen.note else ''}")


class HAYLOFT_PT_jobs(_Output, bpy.types.Panel):
    bl_label = "Jobs of This File"
    bl_idname = "HAYLOFT_PT_jobs"
    bl_parent_id = "HAYLOFT_PT_farm"

    @classmethod
    def poll(cls, context):
        return bool(joblist.entries(session.blend()))

    def draw(self, context):
        for number, entry in enumerate(joblist.entries(session.blend())):
            draw_job(self.layout.box(), context, entry, with_image=number == 0)


def draw_job(layout, context, entry, with_image):
    """Draw one submission and what became of it; the newest with its image."""
    run, job = entry.run, entry.job
    split = layout.split(factor=_LABELS)
    split.label(text=job.name if job else run.state["name"])
    row = split.row(align=True)
    status = job.status if job else "submitted" if entry.id else "cancelled" if run.state.get("cancelled") else "not submitted"
    row.label(text=status, icon=_STATUS_ICONS.get(status, "NONE"))
    right = row.row(align=True)
    right.alignment = "RIGHT"
    right.label(text=time.strftime("%d %b %H:%M", time.localtime(entry.when)))
    if not entry.id:
        if run.error:
            draw_text(layout, context, run.error, "CANCEL")
        return
    page = row.operator("hayloft.open_page", text="", icon="URL")
    page.job, page.manager = entry.id, entry.manager
    if not job:
        return
    if not job.finished:
        draw_bar(layout, job.fraction, f"{job.done} of {job.total}")
    if job.status in ("failed", "queued") and job.activity:
        draw_text(layout, context, job.activity, "ERROR" if job.status == "failed" else "SORTTIME")
    if with_image and job.image:
        layout.template_icon(icon_value=images.icon(job.image), scale=_IMAGE_SCALE)


classes = (HAYLOFT_PT_farm, HAYLOFT_PT_plan, HAYLOFT_PT_jobs, HAYLOFT_UL_missing)
