# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What buttons and pipelines call."""

import atexit
import os
import webbrowser

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from . import (
    address,
    copying,
    folders,
    joblist,
    mainloop,
    plan,
    preferences,
    prepare,
    properties,
    runs,
    scenevalues,
    selecting,
    session,
    submission,
    typegroups,
)
from .farm import FarmError
from .program import ProgramError
from .values import SettingError

EXPECTED = (FarmError, ProgramError, SettingError, copying.CopyError, plan.PlanError, ValueError, OSError)

_planning = None
_planned = {}  # the copy that is being planned, if one was made


@atexit.register
def _leave():
    """Leave nothing behind where Blender ends while it plans."""
    if _planning:
        _planning.stop()
    runs.remove_copy(_planned)


def _waiting(text):
    session.now.busy, session.now.problem = text, ""
    mainloop.redraw()


def _settled(error):
    """Note that what was waited for is there; say what went wrong. What nobody expects is raised, to be seen."""
    session.now.busy = ""
    if error is None:
        return True
    session.now.fail(error)
    if not isinstance(error, EXPECTED):
        raise error
    return False


class HAYLOFT_OT_refresh(bpy.types.Operator):
    """Ask the manager for its job types and for the jobs of this file"""

    bl_idname = "hayloft.refresh"
    bl_label = "Refresh"

    def execute(self, context):
        try:
            choice = preferences.current()
            if bpy.app.background:
                submission.take_types(mainloop.wait(lambda: prepare.job_types(choice)))
                return {"FINISHED"}
        except EXPECTED as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        _waiting(f"Asking {choice.manager}")
        mainloop.start(lambda: prepare.job_types(choice), self._done)
        joblist.refresh()
        return {"FINISHED"}

    @staticmethod
    def _done(types, error):
        if _settled(error):
            submission.take_types(types)


class HAYLOFT_OT_find_manager(bpy.types.Operator):
    """Look for a manager in this network; it must have been started with --discoverable"""

    bl_idname = "hayloft.find_manager"
    bl_label = "Find the Manager"

    def execute(self, context):
        _waiting("Looking for a manager in this network")
        mainloop.start(prepare.find_manager, self._done)
        return {"FINISHED"}

    @staticmethod
    def _done(base, error):
        stored = preferences.stored_preferences()
        if _settled(error) and stored:
            stored.manager = base


class HAYLOFT_OT_plan(bpy.types.Operator):
    """Show what submitting would send, what is missing, and who could render it; nothing is sent"""

    bl_idname = "hayloft.plan"
    bl_label = "Plan"

    @classmethod
    def poll(cls, context):
        return not session.now.busy

    def execute(self, context):
        try:
            choice = preferences.current()
            if bpy.app.background:
                self._in_background(context, choice)
                return {"FINISHED"}
        except EXPECTED as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        _waiting("Planning")
        # Blender forgets the operator once it has returned, so that nothing later may name it.
        prepared = self._prepared
        mainloop.start(lambda: prepare.prepare(choice, folders.cache()), lambda *result: prepared(choice, *result))
        return {"FINISHED"}

    @staticmethod
    def _in_background(context, choice):
        prepared = mainloop.wait(lambda: prepare.prepare(choice, folders.cache()))
        submission.take_types(prepared.types)
        about = copy_to_plan(context)
        try:
            wanted = submission.build(context, choice, prepared.program, submission.Wish(), about)
            show_plan(mainloop.wait(prepare.Planning(wanted, os.environ).run), about["copy"])
        finally:
            runs.remove_copy(about)

    @staticmethod
    def _prepared(choice, prepared, error):
        global _planning, _planned
        if not _settled(error):
            return
        submission.take_types(prepared.types)
        about = {}
        try:
            about = copy_to_plan(bpy.context)
            wanted = submission.build(bpy.context, choice, prepared.program, submission.Wish(), about)
        except EXPECTED as problem:
            runs.remove_copy(about)
            session.now.fail(problem)
            return
        _waiting("Planning: reading the scene and asking what the farm lacks")
        _planning, _planned = prepare.Planning(wanted, os.environ), about

        def done(found, error):
            runs.remove_copy(about)
            if _settled(error):
                show_plan(found, about["copy"])

        mainloop.start(_planning.run, done)


def copy_to_plan(context):
    job_type = submission.chosen_type(context.scene)
    if not job_type.renders_file:
        raise SettingError(f"{job_type.label} sends no files: there is nothing to plan")
    return copying.as_it_is()


def show_plan(found, sent):
    session.now.plan, session.now.planned = found, sent
    properties.show_missing(found.missing, lambda one: plan.library_of(one, sent))


class HAYLOFT_OT_submit(bpy.types.Operator):
    """Send the scene and what it needs to the farm, and render it there"""

    bl_idname = "hayloft.submit"
    bl_label = "Submit"

    job_type: StringProperty(name="Job Type", description="Empty: the scene's", options={"SKIP_SAVE"})
    job_name: StringProperty(name="Job Name", description="Empty: the scene's, or the name of the file", options={"SKIP_SAVE"})
    settings: StringProperty(
        name="Settings", description="JSON object of settings that differ from the scene's", options={"SKIP_SAVE"}
    )
    priority: IntProperty(name="Priority", description="-1: the scene's", default=-1, min=-1, max=100, options={"SKIP_SAVE"})
    paused: BoolProperty(name="Paused", options={"SKIP_SAVE"})
    allow_missing: BoolProperty(name="Allow Missing Files", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return not session.now.busy and not session.now.active(session.blend())

    def execute(self, context):
        wish = submission.Wish(
            self.job_type, self.job_name, self.settings, self.priority, self.paused, self.allow_missing
        )
        try:
            choice = preferences.current()
            if bpy.app.background:
                return self._in_background(context, choice, wish)
        except EXPECTED as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        _waiting("Getting ready")
        prepared = self._prepared
        mainloop.start(
            lambda: prepare.prepare(choice, folders.cache(), _show_fetching), lambda *result: prepared(choice, wish, *result)
        )
        return {"FINISHED"}

    def _in_background(self, context, choice, wish):
        run = submission.submit_and_wait(context, choice, wish)
        if not run.job:
            # Raised as RuntimeError where a script called.
            self.report({"ERROR"}, run.error or "the submission was cancelled")
            return {"CANCELLED"}
        context.window_manager.hayloft.job_id = run.job
        print(f"hayloft: job {run.job}: {address.job_page(choice.manager, run.job)}", flush=True)
        return {"FINISHED"}

    @staticmethod
    def _prepared(choice, wish, prepared, error):
        if not _settled(error):
            return
        before = {t.name: t.etag for t in session.now.types}
        submission.take_types(prepared.types)
        try:
            job_type = submission.chosen_type(bpy.context.scene, wish.job_type)
            if before.get(job_type.name, job_type.etag) != job_type.etag:
                raise SettingError(f"the job type {job_type.label} has changed: look at its settings and submit again")
            joblist.watch(submission.start(bpy.context, choice, prepared, wish))
        except EXPECTED as problem:
            session.now.fail(problem)


def _show_fetching(done, total):
    session.now.busy = f"Fetching the hayloft program: {done * 100 // total} %"
    mainloop.changed()


class HAYLOFT_OT_cancel(bpy.types.Operator):
    """Stop what is under way; what was sent stays at the farm, so that another try goes on from there"""

    bl_idname = "hayloft.cancel"
    bl_label = "Cancel"

    def execute(self, context):
        run = session.now.active(session.blend())
        if run:
            run.cancel()
        elif _planning and session.now.busy:
            _planning.stop()
        else:
            return {"CANCELLED"}
        return {"FINISHED"}


class HAYLOFT_OT_select_missing(bpy.types.Operator):
    """Select what uses the missing file"""

    bl_idname = "hayloft.select_missing"
    bl_label = "Select the Datablock"
    bl_options = {"REGISTER", "UNDO"}

    datablock: StringProperty()
    library: StringProperty()

    def execute(self, context):
        found = selecting.find(self.datablock, self.library)
        if found is None:
            self.report({"WARNING"}, f"{self.datablock[2:]} is not in this file any more")
            return {"CANCELLED"}
        self.report({"INFO"}, selecting.select(context, found))
        return {"FINISHED"}


class HAYLOFT_OT_compute(bpy.types.Operator):
    """Work the value out from the scene"""

    bl_idname = "hayloft.compute"
    bl_label = "Work Out"
    bl_options = {"REGISTER", "UNDO"}

    key: StringProperty()

    def execute(self, context):
        try:
            job_type = submission.chosen_type(context.scene)
            setting = next((s for s in job_type.settings if s.key == self.key and s.eval), None)
            if setting is None:
                raise SettingError(f"job type {job_type.name} works out no setting {self.key}")
            value = scenevalues.of(context, job_type).expression(self.key)
            typegroups.store(getattr(context.scene, job_type.identifier), setting, value)
        except (SettingError, ValueError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class HAYLOFT_OT_open_page(bpy.types.Operator):
    """Open the farm's page in the browser"""

    bl_idname = "hayloft.open_page"
    bl_label = "Open in Browser"

    job: StringProperty()
    manager: StringProperty()

    def execute(self, context):
        try:
            base = address.normalise(self.manager) if self.manager else preferences.current().manager
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        page = address.job_page(base, self.job) if self.job else base + "/app/"
        mainloop.start(lambda: webbrowser.open(page), lambda result, error: None)
        return {"FINISHED"}


classes = (
    HAYLOFT_OT_refresh,
    HAYLOFT_OT_find_manager,
    HAYLOFT_OT_plan,
    HAYLOFT_OT_submit,
    HAYLOFT_OT_cancel,
    HAYLOFT_OT_select_missing,
    HAYLOFT_OT_compute,
    HAYLOFT_OT_open_page,
)
