# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the add-on does with Blender's data. Needs no farm; HAYLOFT_TEST_ZIP names the add-on's archive."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

import bpy

import installing

module = installing.install(os.environ["HAYLOFT_TEST_ZIP"])
copying, jobtypes, scenevalues, selecting, session, submission, typegroups = map(
    module, "copying jobtypes scenevalues selecting session submission typegroups".split()
)

KINDS = {"name": "film", "label": "Film", "etag": "1", "settings": [
    {"key": "frames", "type": "string", "required": True, "eval": "f'{C.scene.frame_start}-{C.scene.frame_end}'",
     "evalInfo": {"showLinkButton": True, "description": "Follow the scene"}},
    {"key": "quality", "type": "string", "choices": ["", "draft", "final"], "default": "final"},
    {"key": "chunk", "type": "int32", "default": 3, "propargs": {"min": 1, "max": 10}},
    {"key": "scale", "type": "float", "default": 0.5, "propargs": {"min": 0.0, "max": 1.0, "precision": 2}},
    {"key": "odd", "type": "float", "visible": "web", "default": 9.0,
     "propargs": {"min": 5, "max": 1, "soft_min": 9, "soft_max": 2, "step": 0, "precision": 99}},
    {"key": "odd_int", "type": "int32", "visible": "web", "default": 9, "propargs": {"soft_min": -1e12, "step": 1000, "precision": 2}},
    {"key": "stereo", "type": "bool", "default": True},
    {"key": "name", "type": "string", "label": "A key that Blender uses itself"},
    {"key": "sound", "type": "string", "subtype": "hashed_file_path"},
    {"key": "fixed", "type": "int32", "editable": False, "eval": "C.scene.render.resolution_x"},
    {"key": "where", "type": "string", "visible": "hidden",
     "eval": "str(Path(abspath('//../out')) / last_n_dir_parts(1) / jobname / settings.quality)"},
    {"key": "blendfile", "type": "string", "required": True, "visible": "web"},
]}  # fmt: skip


class InBlender(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # What the system calls it, since Blender resolves links in paths.
        self.folder = os.path.realpath(folder.name)
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        submission.take_types(jobtypes.parse([KINDS, {"name": "echo", "etag": "1", "settings": []}]))
        self.addCleanup(submission.take_types, ())

    def save(self, name="shot.blend"):
        path = os.path.join(self.folder, "film", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=path)
        return path


class Settings(InBlender):
    @property
    def group(self):
        return getattr(bpy.context.scene, session.now.types[0].identifier)

    def values(self, given=None):
        values = scenevalues.of(bpy.context, session.now.types[0], "night", given)
        return {s.key: v for s, v in values.for_submission()}

    def test_widgets_are_native(self):
        kinds = {p.identifier: (p.type, p.subtype) for p in self.group.bl_rna.properties}
        self.assertEqual(kinds["s_quality"], ("ENUM", "NONE"))
        self.assertEqual(kinds["s_chunk"], ("INT", "NONE"))
        self.assertEqual(kinds["s_scale"][0], "FLOAT")
        self.assertEqual(kinds["s_stereo"][0], "BOOLEAN")
        self.assertEqual(kinds["s_sound"], ("STRING", "FILE_PATH"))
        self.assertEqual(self.group.bl_rna.properties["s_chunk"].hard_max, 10)

    def test_values(self):
        self.save()
        bpy.context.scene.frame_end = 48
        bpy.context.scene.render.resolution_x = 640
        self.group.s_chunk = 99
        want = {"frames": "1-48", "quality": "final", "chunk": 10, "scale": 0.5, "stereo": True, "name": "", "sound": "", "fixed": 640, "odd": 9.0, "odd_int": 9,
                "where": os.path.join(self.folder, "out", "film", "night", "final")}  # fmt: skip
        self.assertEqual(self.values(), want)
        self.assertEqual(self.values({"frames": "7", "quality": "draft"})["frames"], "7")
        self.group.l_frames = False
        self.group.s_frames = "5"
        self.assertEqual(self.values()["frames"], "5")

    def test_they_are_kept_with_the_file(self):
        self.group.s_quality = "1"
        self.group.s_chunk = 7
        bpy.context.scene.hayloft.job_type = "film"
        path = self.save()
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        submission.take_types(())
        bpy.ops.wm.open_mainfile(filepath=path)
        submission.take_types(jobtypes.parse([{"name": "aaa", "etag": "", "settings": []}, KINDS]))
        self.assertEqual(submission.chosen_type(bpy.context.scene).name, "film")
        self.assertEqual((self.values()["quality"], self.values()["chunk"]), ("draft", 7))

    def test_working_out_by_button(self):
        bpy.context.scene.hayloft.job_type = "film"
        bpy.ops.hayloft.compute(key="frames")
        self.assertEqual((self.group.s_frames, self.group.l_frames), ("1-250", False))
        with self.assertRaisesRegex(RuntimeError, "works out no setting"):
            bpy.ops.hayloft.compute(key="chunk")

    def test_a_type_may_change_its_settings(self):
        changed = dict(KINDS, etag="2", settings=[{"key": "chunk", "type": "string", "default": "x"}])
        self.group.s_chunk = 5
        submission.take_types(jobtypes.parse([changed]))
        self.assertIsInstance(self.group.s_chunk, str)


class Copies(InBlender):
    def test_it_lies_beside_the_original_and_means_the_same(self):
        path = self.save()
        image = bpy.data.images.new("wood", 4, 4)
        image.filepath_raw = os.path.join(self.folder, "film", "tex", "wood.png")
        image.file_format = "PNG"
        image.save()
        image.source, image.filepath, image.use_fake_user = "FILE", "//tex/wood.png", True
        before = Path(path).read_bytes()
        about = copying.make()
        self.assertEqual(os.path.dirname(about["copy"]), os.path.dirname(path))
        self.assertTrue(about["made_copy"] and about["copy"] != path)
        self.assertEqual((bpy.data.filepath, Path(path).read_bytes(), image.filepath), (path, before, "//tex/wood.png"))
        with bpy.data.libraries.load(about["copy"]) as (inside, _):
            self.assertIn("wood", inside.images)

    def test_a_file_that_was_never_saved(self):
        about = copying.make()
        self.assertTrue(about["made_folder"] and os.path.isfile(about["copy"]))
        module("runs").remove_copy(about)
        self.assertFalse(os.path.exists(os.path.dirname(about["copy"])))

    def test_caches_that_are_named_after_the_file(self):
        mesh = bpy.data.meshes.new("cloth")
        thing = bpy.data.objects.new("cloth", mesh)
        bpy.context.scene.collection.objects.link(thing)
        path = self.save()
        modifier = thing.modifiers.new("cloth", "CLOTH")
        modifier.point_cache.use_disk_cache = True
        bpy.ops.wm.save_mainfile()
        self.assertEqual(copying.make(), {"blend": path, "copy": path, "made_copy": False, "made_folder": False})


class Selecting(InBlender):
    def cube(self, name, image):
        bpy.ops.mesh.primitive_cube_add()
        thing = bpy.context.object
        thing.name = name
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        thing.data.materials.append(material)
        return thing

    def test_objects_that_use_an_image(self):
        wood, stone = bpy.data.images.new("wood", 1, 1), bpy.data.images.new("stone", 1, 1)
        one, other = self.cube("table", wood), self.cube("wall", stone)
        self.assertEqual(bpy.ops.hayloft.select_missing(datablock="IMwood"), {"FINISHED"})
        self.assertEqual((one.select_get(), other.select_get(), bpy.context.view_layer.objects.active), (True, False, one))
        self.assertEqual(one.active_material.node_tree.nodes.active.image, wood)

    def test_strips_that_use_a_scene(self):
        editor = bpy.context.scene.sequence_editor_create()
        strips = getattr(editor, "strips", None)
        strips = strips if strips is not None else editor.sequences
        hit, other = (strips.new_scene(name, bpy.data.scenes.new(name), number, 1) for number, name in enumerate(("sea", "sky"), 1))
        hit.select, other.select = False, True
        self.assertIn("1 strip", selecting.select(bpy.context, selecting.find("SCsea")))
        self.assertEqual((hit.select, other.select), (True, False))

    def test_what_is_gone(self):
        self.assertIsNone(selecting.find("IMnothing"))
        self.assertIsNone(selecting.find("??nothing"))
        self.assertEqual(bpy.ops.hayloft.select_missing(datablock="IMnothing"), {"CANCELLED"})

    def test_the_library_is_shown_where_the_datablock_is_not_linked(self):
        path = self.save("lib.blend")
        bpy.data.meshes.new("linked").use_fake_user = True
        bpy.ops.wm.save_as_mainfile(filepath=path)
        self.save()
        with bpy.data.libraries.load(path, link=True) as (inside, linked):
            linked.meshes = inside.meshes
        self.assertEqual(selecting.find("MElinked", path).library.name, "lib.blend")
        self.assertEqual(selecting.find("IMdeep", path), bpy.data.libraries["lib.blend"])


class Pipelines(InBlender):
    def test_pipelines_hear_of_mistakes(self):
        os.environ["HAYLOFT_MANAGER"] = "ftp://nowhere"
        self.addCleanup(os.environ.pop, "HAYLOFT_MANAGER")
        for call in (bpy.ops.hayloft.submit, bpy.ops.hayloft.plan, bpy.ops.hayloft.refresh):
            with self.assertRaisesRegex(RuntimeError, "no address of a manager"):
                call()


class ZReload(unittest.TestCase):
    """Comes last, since modules that were imported before it are not the registered ones after it."""

    def test_it_can_be_taken_away_and_come_back(self):
        name = session.__package__
        for _ in range(2):
            bpy.ops.preferences.addon_disable(module=name)
            self.assertFalse(hasattr(bpy.types.Scene, "hayloft") or hasattr(bpy.types.WindowManager, "hayloft"))
            self.assertFalse([m for m in sys.modules if m.startswith(name + ".")])
            bpy.ops.preferences.addon_enable(module=name)
            self.assertTrue(hasattr(bpy.types.Scene, "hayloft"))
