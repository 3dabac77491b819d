# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules that know no Blender."""

import ast
import hashlib
import http.server
import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from hayloft import address, discovery, farm, folders, jobs, jobtypes, plan, process, program, progress, request, runs
from hayloft import values, wording

PACKAGE = Path(address.__file__).parent
WITH_BLENDER = {
    "copying", "images", "joblist", "mainloop", "operators", "panel", "preferences", "properties", "registration",
    "scenevalues", "selecting", "session", "submission", "typegroups",
}  # fmt: skip


class Sources(unittest.TestCase):
    def test_oldest_python_can_read_them(self):
        for path in PACKAGE.glob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))

    def test_logic_knows_no_blender(self):
        for path in PACKAGE.glob("*.py"):
            imported = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {name.name.split(".")[0] for name in node.names}
            self.assertEqual("bpy" in imported, path.stem in WITH_BLENDER, path.name)


class Addresses(unittest.TestCase):
    def test_what_people_type(self):
        for typed, want in {
            "farm": "http://farm",
            " farm:8080/ ": "http://farm:8080",
            "https://farm.example/app/": "https://farm.example",
            "http://[::1]:80": "http://[::1]:80",
            "http://farm/behind/proxy/": "http://farm/behind/proxy",
        }.items():
            self.assertEqual(address.normalise(typed), want)
        for wrong in ("", "ftp://farm", "http://", "http://me:secret@farm", "http://farm:port", "http://farm?x=1"):
            with self.assertRaises(ValueError, msg=wrong):
                address.normalise(wrong)

    def test_nearby(self):
        for base, want in {
            "http://127.0.0.1": True, "http://farm:80": True, "http://10.1.2.3": True, "http://farm.local": True,
            "http://8.8.8.8": False, "http://farm.example.com": False, "http://[fe80::1]": True,
        }.items():  # fmt: skip
            self.assertEqual(address.is_nearby(base), want, base)

    def test_answers_of_a_search(self):
        answer = (
            b"HTTP/1.1 200 OK\r\nST: urn:flamenco:manager:0\r\nlocation: http://10.0.0.7:8080/upnp/description.xml\r\n"
            b"USN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0\r\n\r\n"
        )
        self.assertEqual(discovery.location(answer), "http://10.0.0.7:8080")
        self.assertEqual(discovery.location(answer.replace(b"aa80", b"bb80")), "")
        self.assertEqual(discovery.location(answer.replace(b"http:", b"file:")), "")
        self.assertEqual(discovery.location(b"\xff\xfe"), "")


class Words(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual([wording.bytes_text(n) for n in (0, 999, 1000, 999_949, 10**9, 5 * 10**15)],
                         ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 GB", "5000.0 TB"])  # fmt: skip
        self.assertEqual([wording.duration_text(n) for n in (0.25, 59.4, 61, 7260)], ["0.2 s", "59 s", "1 min 01 s", "2 h 01 min"])
        self.assertEqual([wording.count_text(n, "frame") for n in (0, 1, 2000)], ["0 frames", "1 frame", "2,000 frames"])

    def test_folders(self):
        self.assertEqual(folders.cache({"XDG_CACHE_HOME": "/c"}, "linux"), os.path.join("/c", "hayloft"))
        self.assertTrue(folders.submissions({"LOCALAPPDATA": "L"}, "win32").startswith("L"))


FRAMES = {"key": "frames", "type": "string", "required": True, "eval": "f'{C.first}-{C.last}'",
          "evalInfo": {"showLinkButton": True, "description": "Follow the scene"}}  # fmt: skip


def job_type(*settings):
    return jobtypes.parse_type({"name": "t", "label": "T", "etag": "e", "settings": list(settings)})


class Scene:
    first, last = 1, 48


class JobTypes(unittest.TestCase):
    def test_shapes(self):
        one = jobtypes.parse_setting(FRAMES)
        self.assertEqual((one.label, one.kind, one.link, one.shown, one.editable), ("Frames", "string", "Follow the scene", True, True))
        number = jobtypes.parse_setting({"key": "n", "type": "int32", "default": 2.0, "propargs": {"min": 1.0, "max": 1e12, "odd": 1}})
        self.assertEqual((number.default, number.options), (2, (("min", 1), ("max", 2**31 - 1))))
        file = jobtypes.parse_setting({"key": "f", "type": "string", "subtype": "hashed_file_path", "visible": "web"})
        self.assertEqual((file.subtype, file.shown), ("FILE_PATH", False))

    def test_odd_ones_hide_no_others(self):
        types = jobtypes.parse([None, {}, {"name": "b", "settings": [{"key": "x"}, 7, {"key": "y", "type": "bool"}]},
                                {"name": "c", "settings": [{"key": "blendfile", "type": "string", "required": True}]},
                                {"name": "a", "settings": [{"key": "blendfile", "type": "string"}]}])  # fmt: skip
        self.assertEqual([t.name for t in types], ["c", "a", "b"], "those that need a file come first")
        self.assertEqual([s.key for s in types[2].settings], ["y"])
        odd = [None, 7, "x", [], {}, [7], {"a": 1}, 1e999, -1, True]
        for member in ("type", "subtype", "choices", "propargs", "description", "label", "default", "eval", "evalInfo", "visible"):
            for value in odd:
                setting = dict({"key": "k", "type": "int32", "eval": "1"}, **{member: value})
                (found,) = jobtypes.parse([{"name": "t", "settings": [setting, {"key": "y", "type": "bool"}]}])
                self.assertEqual(found.settings[-1].key, "y", setting)
        for value in odd:
            self.assertLessEqual(len(jobtypes.parse([{"name": value}, {"name": "t", "settings": value}])), 2)

    def test_limits_that_make_no_sense(self):
        limits = {"min": 5, "max": 1, "soft_min": 1e999, "step": 0, "precision": 99}
        number = jobtypes.parse_setting({"key": "n", "type": "float", "propargs": limits})
        self.assertEqual(dict(number.options), {"min": 5.0, "step": 1, "precision": 6})

    def test_identifiers_differ_and_fit(self):
        keys = ["frames", "a-b", "a_b", "a b", "x" * 200, "x" * 201, "größe", "bl_rna"]
        names = [jobtypes.parse_setting({"key": k, "type": "bool"}).identifier for k in keys]
        self.assertEqual(len(set(names)), len(keys))
        self.assertTrue(all(n.isidentifier() and len(n.encode()) <= 63 for n in names), names)

    def test_arguments(self):
        kinds = {"string": ("a=b\nc", "k=a=b\nc"), "int32": (3, "k=3"), "float": (0.5, "k=0.5"), "bool": (False, "k=false")}
        for kind, (value, want) in kinds.items():
            self.assertEqual(jobtypes.argument(jobtypes.parse_setting({"key": "k", "type": kind}), value), want)


class Values(unittest.TestCase):
    def of(self, settings, stored=None, linked=True, **names):
        stored = stored or {}
        return values.Values(
            job_type(*settings),
            lambda s: stored.get(s.key, jobtypes.empty(s)),
            lambda s: linked and bool(s.link),
            dict({"C": Scene(), "jobname": "j", "Path": Path}, **names),
        )

    def test_expressions_follow_the_scene_while_linked(self):
        self.assertEqual(self.of([FRAMES], {"frames": "7"})["frames"], "1-48")
        self.assertEqual(self.of([FRAMES], {"frames": "7"}, linked=False)["frames"], "7")
        self.assertEqual(self.of([FRAMES], {"frames": ""}, linked=False)["frames"], "1-48", "an empty one is worked out")

    def test_what_was_typed_into_a_broken_link_holds(self):
        number = {"key": "n", "type": "int32", "eval": "7", "evalInfo": {"showLinkButton": True, "description": "Seven"}}
        self.assertEqual([self.of([number], {"n": 0}, linked=by)["n"] for by in (True, False)], [7, 0])
        del number["evalInfo"]
        self.assertEqual([self.of([number], {"n": n})["n"] for n in (0, 3)], [7, 3], "one that has no link is worked out while it is 0")

    def test_hidden_ones_are_worked_out_from_the_others(self):
        root = {"key": "root", "type": "string", "default": "/out"}
        path = {"key": "path", "type": "string", "visible": "hidden", "eval": "str(Path(settings.root) / jobname)"}
        self.assertEqual(self.of([path, root], {"root": "/frames", "path": "stale"})["path"], str(Path("/frames/j")))
        fixed = {"key": "fixed", "type": "int32", "editable": False, "default": 4}
        self.assertEqual(self.of([fixed], {"fixed": 9})["fixed"], 4)

    def test_what_goes_to_the_program(self):
        got = self.of([
            FRAMES, {"key": "blendfile", "type": "string", "required": True}, {"key": "none", "type": "string", "visible": "web"},
            {"key": "fast", "type": "bool"},
        ]).for_submission()  # fmt: skip
        self.assertEqual([(s.key, v) for s, v in got], [("frames", "1-48"), ("fast", False)])
        with self.assertRaisesRegex(values.SettingError, "Message must be given"):
            self.of([{"key": "message", "type": "string", "required": True}]).for_submission()

    def test_mistakes_name_the_setting(self):
        for expression in ("nothing", "1/0", "settings.no", "settings.k", "int('x')", "a = 1", "import os", "[",
                           "open('/etc/passwd')", "__import__('os')", "exec('1')", "eval('1')"):  # fmt: skip
            setting = {"key": "k", "type": "string", "visible": "hidden", "eval": expression}
            with self.assertRaisesRegex(values.SettingError, "setting k", msg=expression):
                self.of([setting])["k"]

    def test_last_folders(self):
        parts = values.last_n_dir_parts
        self.assertEqual(parts(2, "/film/shots/010/a.blend"), Path("shots/010"))
        self.assertEqual(parts(9, "/film/a.blend"), Path("film"))
        self.assertEqual([parts(0, "/film/a.blend"), parts(-1, "/film/a.blend"), parts(2, "")], [Path()] * 3)


class ProgressLines(unittest.TestCase):
    LINE = b'{"stage":"sending","done":250,"total":1000,"bytes_per_second":2000000,"seconds_left":90}\n'

    def test_pieces_of_any_size(self):
        for size in (1, 7, 1000):
            reader = progress.Reader()
            text = b"hayloft: hello\n" + self.LINE + b"\xff\n" + b"[1]\n" + b"last words"
            for at in range(0, len(text), size):
                reader.feed(text[at : at + size])
            reader.end()
            self.assertEqual(reader.latest, progress.Progress("sending", 250, 1000, 2e6, 90.0))
            self.assertEqual(reader.said().splitlines(), ["hayloft: hello", "\ufffd", "[1]", "last words"])

    def test_text_for_people(self):
        reader = progress.Reader()
        self.assertTrue(reader.feed(self.LINE))
        self.assertEqual(reader.latest.text(), "Sending · 250 B of 1.0 kB · 2.0 MB/s · 1 min 30 s left")
        self.assertEqual(reader.latest.fraction, 0.25)
        begin = progress.Progress("sending", 12_300, 17_300_000, 170.0, 101_000.0)
        self.assertEqual(begin.text(), "Sending · 12.3 kB of 17.3 MB", "nobody knows yet how long it takes")

    def test_nothing_odd_gets_through(self):
        for line in ('{"stage":"x","done":-5,"total":NaN}', '{"stage":"x","done":"a","total":true}', '{"stage":"x","done":1e300}'):
            got = progress.parse(line.encode())
            self.assertEqual((got.done, got.total, got.fraction), (0, 0, 0.0), line)
        reader = progress.Reader()
        reader.feed(b"x" * (progress.MOST_LINE + 1))
        reader.feed(b"\n" + self.LINE)
        self.assertEqual((reader.said(), reader.latest.stage), ("", "sending"))


class Plans(unittest.TestCase):
    TEXT = json.dumps({
        "blend": "/p/a.blend", "root": "/p", "files": 3, "bytes": 2_000_000, "files_to_send": 1, "bytes_to_send": 1000, "frames": "1-4",
        "frame_count": 4, "outside": [{"path": "/x", "as": "_outside/1/x"}], "warnings": ["w"], "features": ["CYCLES"],
        "missing": [{"datablock": "SOhum", "path": "h", "required": False}, {"datablock": "IMwood", "path": "w", "blend": "/p/lib.blend"}],
        "workers": [{"id": "1", "name": "a", "can": True}, {"id": "2", "name": "b", "can": False, "why": "no OSL"}],
        "seconds_estimated": None,
    })  # fmt: skip

    def test_reading(self):
        got = plan.parse("some other line\n" + self.TEXT)
        self.assertEqual([m.datablock for m in got.missing], ["IMwood", "SOhum"], "required ones come first")
        self.assertEqual(got.summary(), [
            "3 files, 2.0 MB in all", "1 file, 1.0 kB to send", "4 frames (1-4)", "1 of 2 workers can render it",
            "1 file from outside the project's folder",
        ])  # fmt: skip
        self.assertEqual(plan.library_of(got.missing[0], "/p/a.blend"), "/p/lib.blend")
        for wrong in ("", "[]", "{", "7", '{"missing": 7}'):
            with self.assertRaises(plan.PlanError, msg=wrong):
                plan.parse(wrong)

    def test_command_lines(self):
        setting = jobtypes.parse_setting({"key": "frames", "type": "string"})
        asked = request.Request("hayloft", "http://m", "secret", "-odd.blend", "n", "t", ((setting, "1-4"),), paused=True, allow_missing=True)
        self.assertEqual(asked.plan(), ["hayloft", "plan", "--manager", "http://m", "--type", "t", "--setting", "frames=1-4",
                                        "--json", "--", "-odd.blend"])  # fmt: skip
        line = asked.submit()
        self.assertTrue({"--paused", "--allow-missing", "--progress"} <= set(line))
        self.assertEqual(line[-2:], ["--", "-odd.blend"])
        self.assertNotIn("secret", " ".join(line))
        asked = asked._replace(maps=(("P:/film", "/mnt/film"),), source="shots/010/a.blend")
        self.assertIn("--map P:/film=/mnt/film", " ".join(asked.plan()))
        self.assertIn("--metadata blend-file=shots/010/a.blend", " ".join(asked.submit()))
        self.assertNotIn("--metadata", asked.plan(), "a plan keeps no notes")
        self.assertEqual(asked.environ({"A": "1"}), {"A": "1", "HAYLOFT_TOKEN": "secret"})


class Runs(unittest.TestCase):
    """Processes here are this Python with a few lines; that the program keeps to the same form is for the farm's tests."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.copy = os.path.join(self.root, "copy.blend")
        Path(self.copy).write_bytes(b"BLENDER")

    def run_(self, code, **about):
        script = os.path.join(self.root, "script.py")
        Path(script).write_text(code, encoding="utf-8")

        class Direct(request.Request):
            def submit(self):
                return [sys.executable, script]

        asked = Direct(sys.executable, "http://m", "", self.copy, "n", "t")
        about = dict({"blend": "/p/a.blend", "copy": self.copy, "made_copy": True}, **about)
        return runs.start(os.path.join(self.root, "runs"), asked, about, os.environ, detached=True)

    def finish(self, run):
        run.watch(lambda: None, threading.Event(), pause=0.01)
        self.assertTrue(run.ended)

    def test_success(self):
        run = self.run_("import sys; print('{\"stage\":\"sending\",\"done\":1,\"total\":2}', file=sys.stderr); print('{\"job_id\":\"abc\",\"files\":3}')")
        self.finish(run)
        self.assertEqual((run.job, run.error, run.progress.stage, os.path.exists(self.copy)), ("abc", "", "sending", False))

    def test_refusal(self):
        run = self.run_("import sys; print('going on', file=sys.stderr); sys.exit('hayloft: the farm is full:\\n  really')")
        self.finish(run)
        self.assertEqual((run.job, run.error), ("", "the farm is full:\nreally"))

    def test_a_manager_that_went_away(self):
        run = self.run_("import sys; sys.exit('hayloft: send a.blend: ask: given up: the manager cannot be reached: Get \"http://m\": refused')")
        self.finish(run)
        self.assertEqual(run.error.split(";")[0], "the manager at http://m cannot be reached any more")

    def test_refusal_for_what_is_missing(self):
        run = self.run_("import sys; print('{\"missing\":[{\"datablock\":\"IMwood\",\"kind\":\"image\",\"path\":\"//w\"}]}'); sys.exit('hayloft: say --allow-missing')")
        self.finish(run)
        self.assertEqual((run.job, run.missing()[0].datablock), ("", "IMwood"))
        self.assertEqual(run.error, "1 file without which frames would be wrong is missing: image wood: //w; put it back, or allow missing files")

    def test_the_original_is_never_removed(self):
        self.finish(self.run_("pass", made_copy=False))
        self.assertTrue(os.path.exists(self.copy))

    def test_cancel(self):
        run = self.run_("import sys; print('{\"stage\":\"sending\"}', file=sys.stderr, flush=True); import time; time.sleep(60)")
        run.watch(lambda: None, _When(lambda: run.progress.stage), pause=0.01)
        run.cancel()
        self.finish(run)
        self.assertTrue(run.state["cancelled"] and not run.error and not os.path.exists(self.copy))

    def test_one_that_broke_off_with_the_computer(self):
        run = self.run_("print('{\"stage\":1}')")
        self.finish(run)
        self.assertEqual((run.job, run.state.get("cancelled"), run.error.split(",")[0]), ("", None, "the submission broke off"))

    def test_another_blender_takes_over(self):
        gate = os.path.join(self.root, "gate")
        run = self.run_(f"import os, time\nwhile not os.path.exists({gate!r}): time.sleep(0.01)\nprint('{{\"job_id\":\"later\"}}')")
        (found,) = runs.load(os.path.join(self.root, "runs"))
        self.assertTrue(found.poll(), "it still works")
        Path(gate).touch()
        run._child.wait()
        self.finish(found)
        self.assertEqual(found.job, "later")
        self.assertEqual([r.job for r in runs.load(os.path.join(self.root, "runs"))], ["later"])

    def test_a_number_given_to_another_process_is_not_ours(self):
        run = self.run_("print('{\"job_id\":\"x\"}')")
        run._child.wait()
        run.state.update(pid=os.getpid())
        (stranger,) = [runs.Run(run.folder, run.state)]
        stranger.cancel()
        self.assertFalse(stranger.poll())
        self.assertEqual(stranger.job, "x")

    def test_states_that_are_no_states(self):
        for number, text in enumerate(("", "{", "[]", '{"version":1}', '{"version":99,"started":1,"pid":1}')):
            folder = Path(self.root, "runs", str(number))
            folder.mkdir(parents=True)
            (folder / "state.json").write_text(text, encoding="utf-8")
        self.assertEqual(runs.load(os.path.join(self.root, "runs")), [])

    def test_only_so_many_are_kept(self):
        for number in range(runs.KEPT + 5):
            folder = Path(self.root, "runs", str(number))
            folder.mkdir(parents=True)
            runs.write_state(str(folder), {"version": 1, "started": number, "ended": number, "pid": 1})
        found = runs.load(os.path.join(self.root, "runs"))
        self.assertEqual((len(found), found[0].state["started"]), (runs.KEPT, 5))

    def test_identity_of_processes(self):
        self.assertIsNotNone(process.identity(os.getpid()))
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        self.assertIsNone(process.identity(child.pid))
        self.assertIsNone(process.identity(0))


class _When:
    """Has the form of an event and is set once a condition holds."""

    def __init__(self, condition):
        self._condition = condition

    def wait(self, pause):
        time.sleep(pause)
        return self._condition()


class _Nonsense(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)
        self.request.sendall(b"220 mail ready\r\n")


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers as a broken or hostile manager would; a sound one is in the farm's tests."""

    def do_GET(self):
        status, headers, body = self.server.answers.get(self.path, (404, {}, b'{"message":"no such thing"}'))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Managers(unittest.TestCase):
    def setUp(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answers)
        self.server.answers, self.server.asked = {}, []
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.farm = farm.Farm(f"http://127.0.0.1:{self.server.server_address[1]}", "tok")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = folder.name

    def answer(self, path, value, status=200, **headers):
        self.server.answers[path] = (status, headers, value if isinstance(value, bytes) else json.dumps(value).encode())

    def test_refusals_say_why(self):
        self.answer("/api/v3/jobs/types", {"message": "sign in"}, status=401)
        with self.assertRaisesRegex(farm.FarmError, "token"):
            self.farm.job_types()
        with self.assertRaisesRegex(farm.NotFound, "no such thing"):
            self.farm.job("x/../y")
        self.assertEqual(self.server.asked[-1], ("/api/v3/jobs/x%2F..%2Fy", "Bearer tok"))
        for nonsense in (b"<html>", [], {"job_types": 7}):
            self.answer("/api/v3/jobs/types", nonsense)
            with self.assertRaises(farm.FarmError):
                self.farm.job_types()
        with self.assertRaises(farm.Unreachable):
            farm.Farm("http://127.0.0.1:1").version()

    def test_the_token_goes_nowhere_else(self):
        self.answer("/api/v3/version", b"", status=302, Location="http://127.0.0.1:1/stolen")
        with self.assertRaisesRegex(farm.FarmError, "302"):
            self.farm.version()
        with self.assertRaisesRegex(farm.FarmError, "another host"):
            self.farm.open("http://elsewhere/hayloft")

    def test_images_replace_each_other(self):
        self.answer("/api/v3/jobs/j", {"id": "j", "name": "n", "status": "active", "steps_completed": 1, "steps_total": 2})
        self.answer("/api/v3/jobs/j/last-rendered", {"base": "/job-files/j", "suffixes": ["a.jpg", "a-small.jpg"]})
        self.answer("/job-files/j/a-small.jpg", b"first")
        one = jobs.fetch(self.farm, "j", None, self.cache)
        self.assertEqual((Path(one.image).read_bytes(), one.fraction), (b"first", 0.5))
        self.answer("/job-files/j/a-small.jpg", b"second")
        self.assertEqual(jobs.fetch(self.farm, "j", one, self.cache).image, one.image, "nothing rendered since")
        self.answer("/api/v3/jobs/j", {"id": "j", "name": "n", "status": "completed", "steps_completed": 2, "steps_total": 2})
        two = jobs.fetch(self.farm, "j", one, self.cache)
        self.assertEqual((Path(two.image).read_bytes(), two.finished, os.path.exists(one.image)), (b"second", True, False))
        del self.server.answers["/api/v3/jobs/j"]
        self.assertEqual(jobs.fetch(self.farm, "j", two, self.cache).status, jobs.GONE)

    def test_jobs_of_a_file_are_found_whoever_submitted_them(self):
        def job(number, source, **more):
            return dict({"id": f"j{number}", "name": "n", "status": "active", "created": "2026-01-02T03:04:05.678901234Z",
                         "metadata": {"blend-file": source}}, **more)  # fmt: skip

        self.answer(f"/api/v3/jobs?limit={farm.MOST_JOBS}", {"jobs": [
            job(1, "shots/010/gro\u0308\u00dfe.blend"), job(2, "shots/020/gr\u00f6\u00dfe.blend"), job(3, "Shots/010/Gr\u00f6\u00dfe.blend"),
            job(4, "shots/010/gr\u00f6\u00dfe.blend", delete_requested_at="2026-01-02T03:04:05Z"), {"id": "j5"}, 7, {"metadata": 7},
        ]})  # fmt: skip
        found = jobs.of_file(self.farm, "/mnt/film/shots/010/gr\u00f6\u00dfe.blend")
        self.assertEqual([(one.id, one.created) for one in found], [("j1", 1767323045.0), ("j3", 1767323045.0)])
        self.assertEqual([jobs.source(path) for path in ("/a.blend", "/x/a.blend", "/w/x/y/z/a.blend")], ["a.blend", "x/a.blend", "y/z/a.blend"])

    def serve_program(self, body, **changes):
        system, arch = program.this_platform()
        file = {"name": f"hayloft-{system}-{arch}", "os": system, "arch": arch, "url": "/downloads/h", "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest()}  # fmt: skip
        self.answer("/api/v3/downloads", {"files": [{"os": "plan9", "arch": "mips"}, dict(file, **changes)]})
        self.answer("/downloads/h", body)

    def test_program_is_fetched_once_and_checked(self):
        self.serve_program(b"#!/bin/sh\n" * 1000)
        path = program.find("", self.farm, self.cache)
        self.assertEqual((Path(path).stat().st_size, os.access(path, os.X_OK)), (10_000, True))
        self.assertEqual(program.find("", self.farm, self.cache), path)
        self.assertEqual([p for p, _ in self.server.asked].count("/downloads/h"), 1)
        Path(path).write_bytes(b"changed")
        program.find("", self.farm, self.cache)
        self.assertEqual(Path(path).stat().st_size, 10_000, "a damaged one is fetched again")

    def kept(self):
        return [os.path.join(folder, name) for folder, folders_, names in os.walk(self.cache) for name in (*folders_, *names)]

    def test_programs_that_are_not_what_was_announced(self):
        for changes, why in (
            ({"size": 3}, "not the one it announced"), ({"sha256": "0" * 64}, "not the one it announced"),
            ({"size": 20_000}, r"in part \(10000 of 20000 bytes\)"), ({"size": 10**9 + 1}, "makes no sense"),
            ({"sha256": "../x"}, "makes no sense"), ({"url": ""}, "makes no sense"), ({"arch": "mips"}, "serves no hayloft program"),
            ({"url": "/gone"}, "refused /gone: 404"), ({"url": "http://127.0.0.1:1/h"}, "points to another host"),
        ):  # fmt: skip
            self.serve_program(b"#!/bin/sh\n" * 1000, **changes)
            with self.assertRaisesRegex((program.ProgramError, farm.FarmError), why, msg=changes):
                program.find("", self.farm, self.cache)
            self.assertIn(self.kept(), ([], [os.path.join(self.cache, "programs")]), changes)

    def test_programs_that_break_off(self):
        self.serve_program(b"#!/bin/sh\n" * 1000)
        self.answer("/downloads/h", b"#!/bin/sh\n", **{"Content-Length": "10000"})
        with self.assertRaisesRegex(farm.Unreachable, "in part|broke off"):
            program.find("", self.farm, self.cache)
        self.answer("/downloads/h", b"zz\r\n", **{"Transfer-Encoding": "chunked"})
        with self.assertRaisesRegex(farm.Unreachable, "broke off|in part"):
            program.find("", self.farm, self.cache)
        self.assertEqual(self.kept(), [os.path.join(self.cache, "programs")])

    def test_a_cache_that_cannot_be_written(self):
        self.serve_program(b"#!/bin/sh\n")
        Path(self.cache, "programs").write_text("a file where a folder must be", encoding="utf-8")
        with self.assertRaisesRegex(program.ProgramError, f"cannot be kept in {self.cache}.*make room or see to its rights"):
            program.find("", self.farm, self.cache)

    def test_a_new_version_of_the_manager_brings_its_own_program(self):
        found = []
        for version in range(program.KEPT + 2):
            self.serve_program(b"#!/bin/sh\n" * (version + 1))
            found.append(program.find("", self.farm, self.cache))
            os.utime(os.path.dirname(found[-1]), (version, version))
        self.assertEqual([os.path.exists(path) for path in found], [False] * 2 + [True] * program.KEPT)

    def test_answers_that_are_no_http(self):
        with socketserver.TCPServer(("127.0.0.1", 0), _Nonsense) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            with self.assertRaisesRegex(farm.Unreachable, "cannot be reached"):
                farm.Farm(f"http://127.0.0.1:{server.server_address[1]}").version()
            thread.join()

    def test_a_proxy_is_named(self):
        self.addCleanup(os.environ.pop, "http_proxy")
        os.environ["http_proxy"] = "http://me:secret@127.0.0.1:1"
        with self.assertRaisesRegex(farm.Unreachable, r"farm\.example cannot be reached through the proxy 127\.0\.0\.1:1 "):
            farm.Farm("http://farm.example").version()
        self.answer("http://farm.example/api/v3/version", b"<html>", status=502)
        os.environ["http_proxy"] = self.farm.base
        with self.assertRaisesRegex(farm.FarmError, "through the proxy .*: 502"):
            farm.Farm("http://farm.example").version()
        self.answer("/api/v3/version", {"version": "1"})
        self.assertEqual(self.farm.version(), {"version": "1"}, "this machine is asked without a proxy")

    def test_platforms(self):
        self.assertEqual(program.this_platform("darwin", "arm64"), ("darwin", "arm64"))
        self.assertEqual(program.this_platform("win32", "AMD64"), ("windows", "amd64"))
        with self.assertRaises(program.ProgramError):
            program.this_platform("sunos5", "sparc")
        with self.assertRaisesRegex(program.ProgramError, "no program"):
            program.find(os.path.join(self.cache, "nothing"), self.farm, self.cache)
