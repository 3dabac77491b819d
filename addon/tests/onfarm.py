# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans and submits from the background to a farm that runs.

HAYLOFT_TEST_ZIP is the add-on's archive, HAYLOFT_TEST_MANAGER the farm's address. The program is what the manager serves.
"""

import os
import shutil
import tempfile
import time
import unittest

import bpy

import installing
import shot

module = installing.install(os.environ["HAYLOFT_TEST_ZIP"])
farm, folders, jobs, session = map(module, "farm folders jobs session".split())

DEADLINE = 60  # seconds


class OnFarm(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        stored = module("preferences").stored_preferences()
        stored.manager = os.environ["HAYLOFT_TEST_MANAGER"]
        self.farm = farm.Farm(stored.manager)
        self.path, self.texture = shot.save(self.folder)

    def files(self):
        return sorted(name for _, _, names in os.walk(self.folder) for name in names)

    def test_plan_and_submit(self):
        self.assertEqual(bpy.ops.hayloft.plan(), {"FINISHED"})
        planned = session.now.plan
        self.assertEqual((planned.files, planned.files_to_send, planned.frame_count, planned.missing), (2, 2, 2, ()))
        self.assertEqual(bpy.ops.hayloft.submit(job_name="night", settings='{"frames": "2", "fps": 0, "format": "JPEG"}'), {"FINISHED"})
        job = bpy.context.window_manager.hayloft.job_id
        said = self.farm.job(job)
        self.assertEqual((said["name"], said["settings"]["frames"], said["settings"]["format"]), ("night", "2", "JPEG"))
        self.assertEqual(self.files(), ["shot.blend", "wood.png"], "the copy is gone")
        self.assertEqual(session.now.runs_of(self.path)[0].job, job)
        self.assertEqual([one.id for one in jobs.of_file(self.farm, self.path)], [job], "a colleague finds it")
        self.assertEqual(module("runs").load(folders.submissions())[-1].job, job)
        if bpy.app.binary_path:  # The farm's workers have the same Blender; a file of a newer one is none for them.
            self.rendered(job)

    def rendered(self, job):
        found, end = None, time.monotonic() + DEADLINE
        while not (found and found.finished):
            self.assertLess(time.monotonic(), end, found)
            found = jobs.fetch(self.farm, job, found, folders.cache())
        self.assertEqual(found.status, "completed", found.activity)
        found = jobs.fetch(self.farm, job, None, folders.cache())
        with open(found.image, "rb") as file:
            self.assertEqual(file.read(2), b"\xff\xd8", "a JPEG")

    def test_what_is_missing_is_named_and_stops_it(self):
        os.remove(self.texture)
        bpy.ops.hayloft.plan()
        (missing,) = bpy.context.window_manager.hayloft.missing
        self.assertEqual((missing.datablock, missing.path, missing.required), ("IMwood", "//tex/wood.png", True))
        self.assertEqual(bpy.ops.hayloft.select_missing(datablock=missing.datablock, library=missing.library), {"FINISHED"})
        with self.assertRaisesRegex(RuntimeError, "1 file without which frames would be wrong is missing: image wood: .*wood.png; put it back"):
            bpy.ops.hayloft.submit()
        self.assertEqual([one.datablock for one in session.now.runs[-1].missing()], ["IMwood"])
        self.assertEqual(self.files(), ["shot.blend"])
        self.assertEqual(bpy.ops.hayloft.submit(allow_missing=True, paused=True), {"FINISHED"})
        self.assertEqual(self.farm.job(bpy.context.window_manager.hayloft.job_id)["status"], "paused")

    def test_a_job_without_a_file(self):
        self.assertEqual(bpy.ops.hayloft.submit(job_type="echo-sleep-test", settings='{"message": "hello", "sleep_repeats": 0}'), {"FINISHED"})
        self.assertEqual(self.farm.job(bpy.context.window_manager.hayloft.job_id)["settings"]["message"], "hello")
        with self.assertRaisesRegex(RuntimeError, "Message must be given"):
            bpy.ops.hayloft.submit(job_type="echo-sleep-test")
        with self.assertRaisesRegex(RuntimeError, "no job type nonsense"):
            bpy.ops.hayloft.submit(job_type="nonsense")
