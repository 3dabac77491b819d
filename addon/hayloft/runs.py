# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Submissions under way, each a folder with a small state file, so that a Blender that starts again finds them.

    state.json      what is submitted, by which process, and what came of it
    progress.jsonl  the process's standard error
    result.jsonl    its standard output

A run belongs to the Blender that polls it; the file is replaced whole, so that readers never see half of it.
Knows no Blender.
"""

import json
import os
import shutil
import threading
import time
import uuid

from . import plan, process
from .progress import Progress, Reader
from .wording import last_words

VERSION = 1
KEPT = 200  # runs; the oldest ended ones go first
_PIECE = 1 << 20
_MOST_RESULT = 64 << 20
INTERRUPTED = 130
_UNREACHABLE = "the manager cannot be reached"  # the program's words at the end of a longer sentence
_UNSAID = "the submission broke off, perhaps with this computer; submit again: what was sent is at the farm already"


class Run:
    """One submission. `poll` is for one thread at a time; the rest may be read from any."""

    def __init__(self, folder, state, child=None):
        self.folder = folder
        self.state = state
        self.progress = Progress()
        self._reader = Reader()
        self._offset = 0
        self._child = child
        self._polling = threading.Lock()
        self._saving = threading.Lock()

    @property
    def job(self):
        return self.state.get("job") or ""

    @property
    def ended(self):
        return "ended" in self.state

    @property
    def error(self):
        return self.state.get("error") or ""

    def missing(self):
        return plan.parse_missing(self.state.get("missing"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def poll(self):
        """Take in what the process said since the last time; return whether it still works."""
        with self._polling:
            if self.ended:
                return False
            alive = self._alive()  # Asked before reading, so that nothing said before the end is lost.
            self._read()
            if not alive:
                self._finish()
            return alive

    def watch(self, changed, stop, pause=0.2):
        """Poll until the process ends or `stop` is set, `pause` seconds apart; call `changed` for each new report."""
        shown = None
        while self.poll():
            if self.progress != shown:
                shown = self.progress
                changed()
            if stop.wait(pause):
                return
        changed()

    def cancel(self):
        """Ask the process to end. What was sent stays at the farm, so that another try goes on from there."""
        self._save(cancelled=True)
        process.interrupt(self.state.get("pid", 0), self.state.get("identity"))

    def _alive(self):
        if self._child is not None:
            return self._child.poll() is None
        known = self.state.get("identity")
        return known is not None and process.identity(self.state.get("pid", 0)) == known

    def _read(self):
        try:
            with open(self.path("progress.jsonl"), "rb") as file:
                file.seek(self._offset)
                for piece in iter(lambda: file.read(_PIECE), b""):
                    self._offset += len(piece)
                    self._reader.feed(piece)
        except OSError:
            return
        self.progress = self._reader.latest

    def _finish(self):
        self._reader.end()
        result = self._result()
        outcome = {"ended": time.time()}
        if result.get("job_id"):
            outcome["job"] = result["job_id"]
            outcome["result"] = {key: value for key, value in result.items() if key != "missing"}
        elif self.state.get("cancelled") or (self._child and self._child.returncode == INTERRUPTED):
            outcome["cancelled"] = True
        else:
            outcome["error"] = self._why(result)
        if result.get("missing"):
            outcome["missing"] = result["missing"]
        remove_copy(self.state)
        self._save(**outcome)

    def _why(self, result):
        said = last_words(self._reader.said())
        if _UNREACHABLE in said:
            said = f"the manager at {self.state['manager']} cannot be reached any more; submit again once it is: what was sent is kept there"
        return plan.refusal(plan.parse_missing(result.get("missing"))) or said or _UNSAID

    def _result(self):
        try:
            with open(self.path("result.jsonl"), "rb") as file:
                lines = file.read(_MOST_RESULT).strip().splitlines()
            value = json.loads(lines[-1])
        except (OSError, ValueError, IndexError):
            return {}
        return value if isinstance(value, dict) else {}

    def _save(self, **changes):
        with self._saving:
            self.state = {**self.state, **changes}
            write_state(self.folder, self.state)


def start(root, request, about, environ, detached):
    """Start to submit a request. `about` is kept with it: blend, copy, and so on."""
    folder = os.path.join(root, uuid.uuid4().hex)
    os.makedirs(folder)
    state = dict(
        about, version=VERSION, manager=request.manager, name=request.name, job_type=request.job_type, started=time.time()
    )
    try:
        child = process.start(
            request.submit(),
            os.path.dirname(request.file) or None,
            os.path.join(folder, "result.jsonl"),
            os.path.join(folder, "progress.jsonl"),
            request.environ(environ),
            detached,
        )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    state.update(pid=child.pid, identity=process.identity(child.pid))
    run = Run(folder, state, child)
    write_state(folder, state)
    return run


def load(root):
    """Return the runs of all Blenders of this person, oldest first, and forget the oldest of too many."""
    runs = []
    try:
        names = os.listdir(root)
    except OSError:
        return runs
    for name in names:
        run = read(os.path.join(root, name))
        if run:
            runs.append(run)
    runs.sort(key=lambda run: run.state["started"])
    for old in [run for run in runs if run.ended][: max(len(runs) - KEPT, 0)]:
        shutil.rmtree(old.folder, ignore_errors=True)
        runs.remove(old)
    return runs


def read(folder):
    """Return the run in a folder, or None if there is none that this version understands."""
    try:
        with open(os.path.join(folder, "state.json"), encoding="utf-8") as file:
            state = json.load(file)
    except (OSError, ValueError):
        return None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        return None
    if not isinstance(state.get("started"), (int, float)) or not isinstance(state.get("pid"), int):
        return None
    return Run(folder, state)


def write_state(folder, state):
    beside = os.path.join(folder, f".state-{uuid.uuid4().hex}")
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    os.replace(beside, os.path.join(folder, "state.json"))


def remove_copy(state):
    """Remove the copy that was made for a run, the folder that was made for the copy, and nothing else."""
    if not state.get("made_copy"):
        return
    try:
        os.remove(state["copy"])
        if state.get("made_folder"):
            os.rmdir(os.path.dirname(state["copy"]))
    except OSError:
        pass  # It is gone, or its disk is; neither harms.
