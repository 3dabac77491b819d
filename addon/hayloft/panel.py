# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The panels in the Output properties."""

import bpy

from . import images, joblist, preferences, scenevalues, session, submission
from .session import draw_text
from .values import SettingError

_IMAGE_SCALE = 7


class _Output:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"


class HAYLOFT_PT_farm(_Output, bpy.types.Panel):
    bl_label = "Hayloft"
    bl_idname = "HAYLOFT_PT_farm"

    def draw(self, context):
        layout, now = self.layout, session.now
        self._draw_address(layout)
        if now.types:
            draw_settings(layout, context)
        now.draw_message(layout, context)
        run = now.active(session.blend())
        if run:
            draw_run(layout, context, run)
            return
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("hayloft.plan", icon="VIEWZOOM")
        row.operator("hayloft.submit", icon="RENDER_ANIMATION")
        if now.busy:
            row.operator("hayloft.cancel", text="", icon="X")

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
            draw_setting(column, group, setting, values)
    column.separator()
    column.prop(own, "project")
    flags = column.column(heading="Options")
    flags.prop(own, "paused")
    flags.prop(own, "allow_missing")


def draw_setting(layout, group, setting, values):
    """Draw one setting: its widget, or the value that its expression gives."""
    row = layout.row(align=True)
    linked = bool(setting.link) and getattr(group, setting.link_identifier)
    if setting.editable and not linked:
        row.prop(group, setting.identifier)
        if setting.eval and not setting.link:
            row.operator("hayloft.compute", text="", icon="DRIVER").key = setting.key
    else:
        split = row.split(factor=0.4)
        name = split.row()
        name.alignment = "RIGHT"
        name.label(text=setting.label)
        try:
            split.label(text=str(values[setting.key]))
        except SettingError as error:
            split.label(text=str(error), icon="ERROR")
    if setting.link:
        row.prop(group, setting.link_identifier, text="", icon="LINKED" if linked else "UNLINKED")


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
        chosen.datablock, chosen.library = item.datablock, item.library


class HAYLOFT_PT_plan(_Output, bpy.types.Panel):
    bl_label = "Plan"
    bl_idname = "HAYLOFT_PT_plan"
    bl_parent_id = "HAYLOFT_PT_farm"

    @classmethod
    def poll(cls, context):
        return session.now.plan is not None

    def draw(self, context):
        layout, found = self.layout, session.now.plan
        column = layout.column(align=True)
        for line in found.summary():
            column.label(text=line)
        for worker in found.workers:
            if not worker.can:
                draw_text(layout, context, f"{worker.name} cannot: {worker.why}", "CANCEL")
        for warning in found.warnings:
            draw_text(layout, context, warning, "ERROR")
        if not found.missing:
            layout.label(text="Nothing is missing", icon="CHECKMARK")
            return
        window = context.window_manager.hayloft
        layout.label(text=f"{len(found.missing)} missing:", icon="ERROR")
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
        return any(run.ended for run in session.now.runs_of(session.blend()))

    def draw(self, context):
        shown = [run for run in session.now.runs_of(session.blend()) if run.ended][: joblist.MOST]
        for number, run in enumerate(shown):
            draw_job(self.layout.box(), context, run, with_image=number == 0)


def draw_job(layout, context, run, with_image):
    """Draw one submission and what became of it; the newest with its image."""
    job = session.now.jobs.get(run.job)
    row = layout.row(align=True)
    row.label(text=job.name if job else run.state["name"])
    if not run.job:
        text = "cancelled" if run.state.get("cancelled") else run.error
        draw_text(layout, context, text, "CANCEL")
        return
    row.label(text=job.status if job else "submitted")
    page = row.operator("hayloft.open_page", text="", icon="URL")
    page.job, page.manager = run.job, run.state["manager"]
    if not job:
        return
    if not job.finished:
        draw_bar(layout, job.fraction, f"{job.done} of {job.total}")
    if job.status in ("failed", "queued") and job.activity:
        draw_text(layout, context, job.activity, "ERROR" if job.status == "failed" else "SORTTIME")
    if with_image and job.image:
        layout.template_icon(icon_value=images.icon(job.image), scale=_IMAGE_SCALE)


classes = (HAYLOFT_PT_farm, HAYLOFT_PT_plan, HAYLOFT_PT_jobs, HAYLOFT_UL_missing)
