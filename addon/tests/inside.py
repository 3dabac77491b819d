# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the add-on does with Blender's data. Needs no farm; HAYLOFT_TEST_ZIP names the add-on's archive."""

import ast
import os
import sys
import tempfile
import types
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
    {"key": "share", "type": "float", "default": 25, "propargs": {"subtype": "PERCENTAGE", "max": 100, "description": "Of all"}},
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
        share = self.group.bl_rna.properties["s_share"]
        self.assertEqual((share.subtype, share.description), ("PERCENTAGE", "Of all"))

    def test_values(self):
        self.save()
        bpy.context.scene.frame_end = 48
        bpy.context.scene.render.resolution_x = 640
        self.group.s_chunk = 99
        want = {"frames": "1-48", "quality": "final", "chunk": 10, "scale": 0.5, "share": 25.0, "stereo": True, "name": "", "sound": "", "fixed": 640, "odd": 9.0, "odd_int": 9,
                "where": os.path.join(self.folder, "out", "film", "night", "final")}  # fmt: skip
        self.assertEqual(self.values(), want)
        given = {"frames": "7", "quality": "draft", "fixed": 9, "where": "/elsewhere", "odd": 0.0}
        got = self.values(given)
        self.assertEqual({key: got[key] for key in given}, given, "what a script gives goes before every expression")
        self.group.l_frames = False
        self.group.s_frames = "5"
        self.assertEqual(self.values()["frames"], "5")

    def test_they_are_kept_with_the_file(self):
        self.group.s_quality = "=draft"
        self.group.s_chunk = 7
        bpy.context.scene.hayloft.job_type = "film"
        path = self.save()
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        submission.take_types(())
        bpy.ops.wm.open_mainfile(filepath=path)
        submission.take_types(jobtypes.parse([{"name": "aaa", "etag": "", "settings": []}, KINDS]))
        self.assertEqual(submission.chosen_type(bpy.context.scene).name, "film")
        self.assertEqual((self.values()["quality"], self.values()["chunk"]), ("draft", 7))
        for choices, want in ((["preview", "final", "draft"], "draft"), (["preview", "final"], "final"), (["preview"], "preview")):
            settings = [dict(s, choices=choices) if s["key"] == "quality" else s for s in KINDS["settings"]]
            submission.take_types(jobtypes.parse([dict(KINDS, settings=settings)]))
            self.assertEqual(self.values()["quality"], want, choices)

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

    def test_a_file_that_was_not_changed_is_copied_byte_for_byte_elsewhere(self):
        path = self.save()
        about = {"blend": path, "copy": path + ".copy", "made_copy": True, "made_folder": False, "copy_from": path}
        filled = copying.fill(about)
        self.assertEqual((Path(filled["copy"]).read_bytes(), "copy_from" in filled), (Path(path).read_bytes(), False))
        os.remove(path)
        with self.assertRaisesRegex(copying.CopyError, "could not be written to .*copy"):
            copying.fill(about)

    def test_images_whose_changes_are_in_no_file(self):
        self.assertEqual(copying.unsaved_images(), "")
        image = bpy.data.images.new("wood", 1, 1)
        image.pixels[:] = [1, 0, 0, 1]
        self.assertIn("save or pack wood: ", copying.unsaved_images())
        image.pack()
        self.assertEqual(copying.unsaved_images(), "")

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

    def test_strips_that_show_a_file(self):
        self.save()
        scene = bpy.data.scenes.new("edit")  # not the one that is open
        editor = scene.sequence_editor_create()
        strips = getattr(editor, "strips", None)
        strips = strips if strips is not None else editor.sequences
        hit = strips.new_image("rain", "//plates/rain.png", 1, 1)
        other = strips.new_image("sun", "//plates/sun.png", 2, 1)
        hit.select, other.select = False, True
        at = os.path.join(self.folder, "film", "plates", "rain.png")
        self.assertEqual(selecting.select(bpy.context, selecting.find("SCedit"), at), "selected 1 strip in the sequencer of edit")
        self.assertEqual((hit.select, other.select), (True, False))
        self.assertIn("scene edit itself", selecting.select(bpy.context, selecting.find("SCedit"), at + "x"))

    def test_what_no_object_uses(self):
        image = bpy.data.images.new("dome", 1, 1)
        self.assertEqual(selecting.select(bpy.context, image), "dome is used by nothing in this file")
        world = bpy.data.worlds.new("sky")
        world.use_nodes = True
        world.node_tree.nodes.new("ShaderNodeTexEnvironment").image = image
        self.assertRegex(selecting.select(bpy.context, image), "no object of this view layer, but by .*sky|but by shader node ?tree")

    def test_objects_that_are_hidden(self):
        wood = bpy.data.images.new("wood", 1, 1)
        thing = self.cube("table", wood)
        thing.hide_set(True)
        self.assertEqual(selecting.select(bpy.context, wood), "it is used by table (hidden)")

    def test_what_a_linked_collection_holds_is_shown_by_its_empty(self):
        wood = bpy.data.images.new("wood", 1, 1)
        thing = self.cube("table", wood)
        props = bpy.data.collections.new("props")
        props.use_fake_user = True
        props.objects.link(thing)
        bpy.context.scene.collection.objects.unlink(thing)
        path = self.save("props.blend")
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        self.save()
        with bpy.data.libraries.load(path, link=True) as (inside, linked):
            linked.collections = ["props"]
        empty = bpy.data.objects.new("stage", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", linked.collections[0]
        bpy.context.scene.collection.objects.link(empty)
        for datablock, library in (("IMwood", path), ("LIprops.blend", ""), ("MEnothing", path)):
            self.assertEqual(selecting.select(bpy.context, selecting.find(datablock, library)), "selected stage", datablock)

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


    def test_settings_of_scripts_are_taken_as_they_are_or_not_at_all(self):
        film = session.now.types[0]
        self.assertEqual(submission._given(film, '{"chunk": 2, "scale": 1, "frames": 5}'), {"chunk": 2, "scale": 1.0, "frames": "5"})
        for text, why in {
            "[": "must be a JSON object", "[]": "must be a JSON object", '{"no": 1}': "has no setting no",
            '{"blendfile": "x"}': "has no setting blendfile", '{"stereo": "false"}': "no true or false", '{"chunk": 2.5}': "whole number",
            '{"chunk": true}': "whole number", '{"scale": "1"}': "no number", '{"quality": "best"}': "none of '', 'draft', 'final'",
            '{"frames": null}': "null is no text", '{"chunk": 4294967296}': "32 bits",
        }.items():  # fmt: skip
            with self.assertRaisesRegex(module("values").SettingError, why, msg=text):
                submission._given(film, text)


class Icons(unittest.TestCase):
    def test_every_icon_is_known_to_this_blender(self):
        known = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys()
        used = set()
        for path in Path(copying.__file__).parent.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                given = [k.value for k in getattr(node, "keywords", ()) if k.arg == "icon"]
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "draw_text":
                    given += node.args[3:]
                constants = [one for value in given for one in ast.walk(value) if isinstance(one, ast.Constant)]
                used |= {one.value for one in constants if isinstance(one.value, str) and one.value.isupper()}
        self.assertGreater(len(used), 8)
        self.assertEqual(used - set(known), set())


class Preferences(InBlender):
    def test_paths_of_other_machines(self):
        preferences = module("preferences")
        stored = preferences.stored_preferences()
        self.addCleanup(stored.maps.clear)
        bpy.ops.hayloft.add_map()
        stored.maps[0].foreign, stored.maps[0].local = " P:/film ", "/mnt/film"
        bpy.ops.hayloft.add_map()
        self.assertEqual(preferences.current({}).maps, (("P:/film", "/mnt/film"),), "one that is not complete means nothing")
        self.assertEqual(preferences.current({"HAYLOFT_MAP": "Q:=/q"}).maps, ())
        bpy.ops.hayloft.remove_map(index=0)
        self.assertEqual(len(stored.maps), 1)


class Layout:
    """Stands where Blender without a window has no layout: it takes what the layout of this very Blender takes, and no more."""

    RNA = bpy.types.UILayout.bl_rna

    def __init__(self, said):
        self.__dict__["said"] = said

    def __setattr__(self, name, value):
        if name not in self.RNA.properties:
            raise AttributeError(f"a layout has no {name}")

    def __getattr__(self, name):
        function = self.RNA.functions.get(name)
        if function is None:
            raise AttributeError(name)
        return lambda *args, **named: self.call(function, *args, **named)

    def call(self, function, *args, **named):
        takes = {one.identifier: one for one in function.parameters if not one.is_output}
        given = dict(zip(takes, args), **named)
        if not set(given) <= set(takes):
            raise TypeError(f"{function.identifier} takes no {set(given) - set(takes)}")
        if "icon" in given and given["icon"] not in takes["icon"].enum_items.keys():
            raise TypeError(f"no icon {given['icon']}")
        if function.identifier == "prop" and given["property"] not in given["data"].bl_rna.properties:
            raise TypeError(f"no property {given['property']}")
        if "text" in given:
            self.said.append(given["text"])
        if function.identifier == "operator":
            self.said.append(given["operator"])
            group, name = given["operator"].split(".")
            return OperatorProperties(getattr(getattr(bpy.ops, group), name).get_rna_type().properties)
        return Layout(self.said)


class OperatorProperties:
    def __init__(self, known):
        self.__dict__["known"] = known

    def __setattr__(self, name, value):
        if name not in self.known:
            raise AttributeError(f"the operator has no {name}")


class Drawing(InBlender):
    def draw(self, one, *args):
        """Draw a panel or another thing that draws; return all its texts and operators."""
        said = []
        drawn = type(one.__name__, (), {name: value for name, value in vars(one).items() if not name.startswith("__")})()
        drawn.layout = Layout(said)
        drawn.draw(bpy.context, *args)
        return said

    def setUp(self):
        super().setUp()
        self.panel = module("panel")
        self.addCleanup(session.now.__init__)

    def test_before_a_farm_is_known(self):
        submission.take_types(())
        self.assertIn("hayloft.find_manager", self.draw(self.panel.HAYLOFT_PT_farm))

    def test_settings_of_every_kind(self):
        bpy.context.scene.hayloft.job_type = "film"
        said = self.draw(self.panel.HAYLOFT_PT_farm)
        self.assertTrue({"1-250", "1920", "hayloft.plan", "hayloft.submit"} <= set(said), said)
        self.assertFalse({"Odd", "Where", "hayloft.cancel"} & set(said), "hidden ones are not drawn")
        getattr(bpy.context.scene, session.now.types[0].identifier).l_frames = False
        self.assertNotIn("1-250", self.draw(self.panel.HAYLOFT_PT_farm))
        bad = dict(KINDS, settings=[{"key": "bad", "type": "string", "editable": False, "eval": "1/0"}])
        submission.take_types(jobtypes.parse([bad]))
        self.assertIn("ZeroDivisionError", "".join(self.draw(self.panel.HAYLOFT_PT_farm)))

    def test_what_is_waited_for_can_be_cancelled(self):
        session.now.wait_for("Copying the scene")
        said = self.draw(self.panel.HAYLOFT_PT_farm)
        self.assertTrue({"Copying the scene", "hayloft.cancel"} <= set(said) and "hayloft.submit" not in said, said)
        self.assertEqual((bpy.ops.hayloft.cancel(), session.now.busy), ({"FINISHED"}, ""))

    def run_of(self, **more):
        state = {"blend": self.save(), "name": "night", "manager": "http://m", "started": 1.0}
        return module("runs").Run("", dict(state, **more))

    def test_a_submission_under_way(self):
        run = self.run_of()
        run.progress = module("progress").Progress("sending", 250, 1000, 10.0, 75.0)
        session.now.runs.append(run)
        said = self.draw(self.panel.HAYLOFT_PT_farm)
        self.assertTrue({"Submitting night", "Sending · 250 B of 1.0 kB · 10 B/s · 1 min 15 s left", "hayloft.cancel"} <= set(said), said)

    def test_a_plan_with_something_missing(self):
        plan, properties = module("plan"), module("properties")
        session.now.plan = plan.parse('{"files": 2, "workers": [{"name": "old", "why": "Blender 2.93"}], "missing": [{"datablock": "IMwood", "path": "//w"}]}')
        properties.show_missing(session.now.plan.missing, "")
        self.addCleanup(properties.show_missing, (), "")
        self.assertIn("1 file missing", self.draw(self.panel.HAYLOFT_PT_plan))
        item = bpy.context.window_manager.hayloft.missing[0]
        said = []
        self.panel.HAYLOFT_UL_missing.draw_item(None, bpy.context, Layout(said), None, item, 0, None, "")
        self.assertEqual(said, ["wood: //w", "", "hayloft.select_missing"])

    def test_jobs_of_this_computer_and_of_others(self):
        jobs, entries = module("jobs"), module("joblist").entries
        session.now.runs += [self.run_of(ended=2.0, job="a"), self.run_of(ended=2.0, error="no", started=2.0), self.run_of(ended=2.0, cancelled=True)]
        session.now.jobs = {
            "a": jobs.Job("a", "mine", "active", "", 1, 4), "b": jobs.Job("b", "theirs", "failed", "why", 1, 4, created=9.0),
        }  # fmt: skip
        session.now.listed = ("http://m", ("b", "a"))
        self.assertEqual([(one.id, one.when) for one in entries(bpy.data.filepath)], [("b", 9.0), ("", 2.0), ("", 1.0), ("a", 1.0)])
        said = self.draw(self.panel.HAYLOFT_PT_jobs)
        self.assertTrue({"theirs", "failed", "Why", "mine", "active", "cancelled", "not submitted", "No"} <= set(said), said)

    def test_preferences(self):
        stored = module("preferences").stored_preferences()
        stored.maps.add()
        self.addCleanup(stored.maps.clear)
        said = []
        drawn = types.SimpleNamespace(layout=Layout(said), bl_rna=stored.bl_rna, maps=stored.maps)
        drawn._draw_maps = lambda layout: type(stored)._draw_maps(drawn, layout)
        type(stored).draw(drawn, bpy.context)
        self.assertTrue({"hayloft.find_manager", "hayloft.add_map", "hayloft.remove_map", "Try It"} <= set(said), said)


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
