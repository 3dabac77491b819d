# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of `hayloft plan` and `hayloft submit`. Knows no Blender."""

from typing import NamedTuple, Tuple

from . import jobs, jobtypes


class Request(NamedTuple):
    """What is to be planned or submitted. `file` is the copy that is read, if any; `settings` are (Setting, value)."""

    program: str
    manager: str
    token: str
    file: str
    name: str
    job_type: str
    settings: Tuple[Tuple[jobtypes.Setting, object], ...] = ()
    project: str = ""
    priority: int = 50
    paused: bool = False
    allow_missing: bool = False
    maps: Tuple[Tuple[str, str], ...] = ()  # (path of other machines, what it means here)
    source: str = ""  # logical name of the artist's file, where that of the copy says something else

    def plan(self):
        return [self.program, "plan", *self._shared(), "--json", "--", self.file]

    def submit(self):
        line = [self.program, "submit", *self._shared(), "--json", "--progress", "json"]
        line += ["--name", self.name, "--priority", str(self.priority)]
        if self.source:
            line += ["--metadata", f"{jobs.SOURCE}={self.source}"]
        if self.paused:
            line.append("--paused")
        if self.allow_missing:
            line.append("--allow-missing")
        return line + (["--", self.file] if self.file else [])

    def environ(self, base):
        """Return the environment of the program. The token goes there, since command lines are for all to see."""
        environ = dict(base)
        if self.token:
            environ["HAYLOFT_TOKEN"] = self.token
        return environ

    def _shared(self):
        line = ["--manager", self.manager, "--type", self.job_type]
        if self.project:
            line += ["--project", self.project]
        for foreign, local in self.maps:
            line += ["--map", f"{foreign}={local}"]
        for setting, value in self.settings:
            line += ["--setting", jobtypes.argument(setting, value)]
        return line
