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

_plannings = {}  # the copy that was made for each plan that is being made


@atexit.register
def _leave():
    """Leave nothing behind where Blender ends while it plans."""
    for planning, about in list(_plannings.items()):
        planning.stop()
        runs.remove_copy(about)


def _wait_for(text):
    waiting = session.now.wait_for(text)
    mainloop.redraw()
    return waiting


def _settled(waiting, error):
    """Note that what was waited for is there; say what went wrong. What nobody expects is raised, to be seen."""
    if waiting.stopped:
        return False
    session.now.waiting = None
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

    @classmethod
    def poll(cls, context):
        return not session.now.busy

    def execute(self, context):
        try:
            choice = preferences.current()
            if bpy.app.background:
                submission.take_types(mainloop.wait(lambda: prepare.job_types(choice)))
                return {"FINISHED"}
        except EXPECTED as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        waiting, done = _wait_for(f"Asking {choice.manager}"), self._done
        session.now.looked = (choice.manager, session.blend())
        mainloop.start(lambda: prepare.job_types(choice), lambda *result: done(waiting, *result))
        joblist.refresh(listing=True)
        return {"FINISHED"}

    @staticmethod
    def _done(waiting, types, error):
        if _settled(waiting, error):
            submission.take_types(types)


class HAYLOFT_OT_find_manager(bpy.types.Operator):
    """Look for a manager in this network; it must have been started with --discoverable"""

    bl_idname = "hayloft.find_manager"
    bl_label = "Find the Manager"

    @classmethod
    def poll(cls, context):
        return not session.now.busy

    def execute(self, context):
        waiting, done = _wait_for("Looking for a manager in this network"), self._done
        mainloop.start(prepare.find_manager, lambda *result: done(waiting, *result))
        return {"FINISHED"}

    @staticmethod
    def _done(waiting, base, error):
        stored = preferences.stored_preferences()
        if _settled(waiting, error) and stored:
            stored.manager = base
            # Blender notes by itself only what is changed by hand.
            bpy.context.preferences.is_dirty = True
            joblist.look()


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
        waiting = _wait_for("Getting ready to plan")
        # Blender forgets the operator once it has returned, so that nothing later may name it.
        prepared = self._prepared
        mainloop.start(
            lambda: prepare.prepare(choice, folders.cache(), _fetching(waiting)), lambda *result: prepared(waiting, choice, *result)
        )
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
    def _prepared(waiting, choice, prepared, error):
        if not _settled(waiting, error):
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
        waiting = _wait_for("Planning: reading the scene and asking what the farm lacks")
        planning = prepare.Planning(wanted, os.environ)
        _plannings[planning] = about
        waiting.on_stop(planning.stop)

        def done(found, error):
            del _plannings[planning]
            runs.remove_copy(about)
            if _settled(waiting, error):
                show_plan(found, about["copy"])

        mainloop.start(planning.run, done)


def copy_to_plan(context):
    job_type = submission.chosen_type(context.scene)
    if not job_type.renders_file:
        raise SettingError(f"{job_type.label} sends no files: there is nothing to plan")
    return copying.as_it_is()


def show_plan(found, sent):
    unsaved = copying.unsaved_images()
    session.now.plan = found._replace(warnings=(unsaved, *found.warnings)) if unsaved else found
    properties.show_missing(found.missing, sent)


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
    project: StringProperty(name="Project", description="Empty: the scene's, or the folder of the file", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return not session.now.busy and not session.now.active(session.blend())

    def execute(self, context):
        wish = submission.Wish(
            self.job_type, self.job_name, self.settings, self.priority, self.paused, self.allow_missing, self.project
        )
        try:
            choice = preferences.current()
            if bpy.app.background:
                return self._in_background(context, choice, wish)
        except EXPECTED as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        waiting, prepared = _wait_for("Getting ready to submit"), self._prepared
        mainloop.start(
            lambda: prepare.prepare(choice, folders.cache(), _fetching(waiting)), lambda *result: prepared(waiting, choice, wish, *result)
        )
        return {"FINISHED"}

    def _in_background(self, context, choice, wish):
        context.window_manager.hayloft.job_id = ""
        run = submission.submit_and_wait(context, choice, wish)
        if not run.job:
            # Raised as RuntimeError where a script called.
            self.report({"ERROR"}, run.error or "the submission was cancelled")
            return {"CANCELLED"}
        context.window_manager.hayloft.job_id = run.job
        print(f"hayloft: job {run.job}: {address.job_page(choice.manager, run.job)}", flush=True)
        return {"FINISHED"}

    @staticmethod
    def _prepared(waiting, choice, wish, prepared, error):
        if not _settled(waiting, error):
            return
        before = {t.name: t.etag for t in session.now.types}
        submission.take_types(prepared.types)
        waiting = _wait_for("Copying the scene")
        try:
            job_type = submission.chosen_type(bpy.context.scene, wish.job_type)
            if before.get(job_type.name, job_type.etag) != job_type.etag:
                raise SettingError(f"the job type {job_type.label} has changed: look at its settings and submit again")
            begin = submission.begin(bpy.context, choice, prepared, wish, lambda: waiting.stopped)
        except EXPECTED as problem:
            session.now.fail(problem)
            return

        def begun(run, error):
            if run:
                session.now.runs.append(run)
                joblist.watch(run)
                if waiting.stopped:
                    run.cancel()
                session.now.problem = copying.unsaved_images()
            _settled(waiting, error)

        mainloop.start(begin, begun)


def _fetching(waiting):
    """Return what shows how far the program is fetched, and ends that where it was stopped."""

    def report(done, total):
        if waiting.stopped:
            raise ProgramError("fetching the hayloft program was cancelled")
        waiting.text = f"Fetching the hayloft program from the manager, once: {done * 100 // total} %"
        mainloop.changed()

    return report


class HAYLOFT_OT_cancel(bpy.types.Operator):
    """Stop what is under way; what was sent stays at the farm, so that another try goes on from there"""

    bl_idname = "hayloft.cancel"
    bl_label = "Cancel"

    def execute(self, context):
        now = session.now
        run = now.active(session.blend())
        if run:
            run.cancel()
        elif now.waiting:
            now.waiting.stop()
            now.waiting = None
        else:
            return {"CANCELLED"}
        mainloop.redraw()
        return {"FINISHED"}


class HAYLOFT_OT_select_missing(bpy.types.Operator):
    """Select what uses the missing file"""

    bl_idname = "hayloft.select_missing"
    bl_label = "Select the Datablock"
    bl_options = {"REGISTER", "UNDO"}

    datablock: StringProperty()
    library: StringProperty()
    path: StringProperty()

    def execute(self, context):
        found = selecting.find(self.datablock, self.library)
        if found is None:
            self.report({"WARNING"}, f"{self.datablock[2:] or 'what names the file'} is not in this file any more")
            return {"CANCELLED"}
        self.report({"INFO"}, selecting.select(context, found, self.path))
        return {"FINISHED"}


class HAYLOFT_OT_add_map(bpy.types.Operator):
    """Add a path of other machines, and say what it means on this one"""

    bl_idname = "hayloft.add_map"
    bl_label = "Add a Path"

    def execute(self, context):
        preferences.stored_preferences().maps.add()
        context.preferences.is_dirty = True
        return {"FINISHED"}


class HAYLOFT_OT_remove_map(bpy.types.Operator):
    """Forget this path"""

    bl_idname = "hayloft.remove_map"
    bl_label = "Remove the Path"

    index: IntProperty()

    def execute(self, context):
        preferences.stored_preferences().maps.remove(self.index)
        context.preferences.is_dirty = True
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
    HAYLOFT_OT_add_map,
    HAYLOFT_OT_remove_map,
    HAYLOFT_OT_compute,
    HAYLOFT_OT_open_page,
)
