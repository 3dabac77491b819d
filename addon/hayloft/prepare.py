# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be known before a scene can be planned or submitted: job types and a program. For threads; knows no Blender."""

import contextlib
import subprocess
import threading
from typing import NamedTuple

from . import discovery, jobtypes, plan, program
from .farm import Farm, FarmError
from .wording import last_words

# Exit codes of the program.
REFUSED_FOR_MISSING = 3
UNREACHABLE = 4


class Prepared(NamedTuple):
    types: tuple
    program: str


def prepare(choice, cache, progress=lambda done, total: None):
    """Ask the manager for its job types, and see to it that there is a program."""
    farm = Farm(choice.manager, choice.token)
    types = jobtypes.parse(farm.job_types())
    if not types:
        raise FarmError(f"the manager at {choice.manager} has no job types that this add-on understands")
    return Prepared(types, program.find(choice.program, farm, cache, progress))


def job_types(choice):
    return jobtypes.parse(Farm(choice.manager, choice.token).job_types())


def find_manager():
    """Return the address of a manager in this network that answers as one."""
    for base in discovery.search():
        with contextlib.suppress(FarmError):
            if "version" in (Farm(base, timeout=3).version() or ()):
                return base
    raise FarmError("no manager in this network made itself known; type its address")


class Planning:
    """One run of `hayloft plan`, which another thread may stop."""

    def __init__(self, request, environ):
        self._request, self._environ = request, environ
        self._child, self._stopped, self._lock = None, False, threading.Lock()

    def run(self):
        """Return the Plan."""
        try:
            with self._lock:
                if self._stopped:
                    raise plan.PlanError("the plan was cancelled")
                self._child = subprocess.Popen(
                    self._request.plan(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=self._request.environ(self._environ),
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            out, said = self._child.communicate()
        except OSError as error:
            raise plan.PlanError(f"the hayloft program cannot be run: {error}") from None
        if self._stopped:
            raise plan.PlanError("the plan was cancelled")
        if self._child.returncode == UNREACHABLE:
            raise plan.PlanError(f"the manager at {self._request.manager} cannot be reached any more; plan again once it is")
        if self._child.returncode not in (0, REFUSED_FOR_MISSING) or not out.strip():
            raise plan.PlanError(last_words(said.decode("utf-8", "replace")) or "the hayloft program gave no plan")
        return plan.parse(out.decode("utf-8", "replace"))

    def stop(self):
        with self._lock:
            self._stopped = True
            if self._child:
                self._child.terminate()
