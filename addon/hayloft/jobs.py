# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the farm says of submitted jobs. For threads; knows no Blender."""

import calendar
import hashlib
import os
import time
import unicodedata
from typing import NamedTuple

from . import farm

FINISHED = ("completed", "failed", "canceled")
GONE = "deleted"
SOURCE = "blend-file"  # the member of a job's metadata that tells its source
_SOURCE_PARTS = 3


class Job(NamedTuple):
    """A job as it was when the manager was asked last."""

    id: str
    name: str
    status: str
    activity: str
    done: int
    total: int
    image: str = ""  # path of the newest image; empty if there is none
    created: float = 0.0  # seconds since 1970

    @property
    def finished(self):
        return self.status in FINISHED or self.status == GONE

    @property
    def fraction(self):
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


def fetch(manager, job, known, cache):
    """Return a Job; its image is fetched only if something has rendered since `known`, and kept in the cache folder."""
    try:
        said = manager.job(job)
    except farm.NotFound:
        return Job(job, known.name if known else job, GONE, "", 0, 0)
    if not isinstance(said, dict):
        raise farm.FarmError("the manager's answer is no job")
    found = parse(said, job)._replace(image=known.image if known else "")
    if found.done and (not known or not known.image or (known.done, known.status) != (found.done, found.status)):
        image = manager.last_image(job)
        if image:
            found = found._replace(image=keep_image(image, job, cache))
    return found


def parse(said, job):
    """Return the Job that the API describes; what it does not tell is empty."""
    return Job(
        job,
        str(said.get("name") or job),
        str(said.get("status") or "unknown"),
        str(said.get("activity") or ""),
        _count(said.get("steps_completed")),
        _count(said.get("steps_total")),
        created=_moment(said.get("created")),
    )


def of_file(manager, path):
    """Return those of the manager's newest jobs that were made of a file, newest first, whoever submitted them."""
    wanted = _alike(source(path))
    return [parse(said, said["id"]) for said in manager.newest_jobs() if _is_of(said, wanted)]


def source(path):
    """Name a file by its last two folders and its own name: what is alike on all machines that see the same project."""
    inside = os.path.splitdrive(path)[1].replace(os.sep, "/")
    return "/".join(inside.lstrip("/").split("/")[-_SOURCE_PARTS:])


def _is_of(said, wanted):
    metadata = said.get("metadata") if isinstance(said, dict) else None
    if not isinstance(metadata, dict) or not isinstance(said.get("id"), str) or said.get("delete_requested_at"):
        return False
    return _alike(str(metadata.get(SOURCE) or "")) == wanted


def _alike(name):
    """Platforms write letters in composed or decomposed form, and some take capitals for small ones."""
    return unicodedata.normalize("NFC", name).casefold()


def _count(value):
    return value if isinstance(value, int) and value > 0 else 0


def _moment(value):
    try:
        return float(calendar.timegm(time.strptime(str(value)[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0


def keep_image(image, job, cache):
    """Write an image under a name that says what is in it, and remove the job's earlier ones; return its path."""
    folder = os.path.join(cache, "images")
    os.makedirs(folder, exist_ok=True)
    own = hashlib.sha256(job.encode()).hexdigest()[:16]
    path = os.path.join(folder, f"{own}-{hashlib.sha256(image).hexdigest()[:16]}.jpg")
    if not os.path.exists(path):
        with open(path + ".new", "wb") as file:
            file.write(image)
        os.replace(path + ".new", path)
    for name in os.listdir(folder):
        other = os.path.join(folder, name)
        if name.startswith(own) and other != path:
            os.remove(other)
    return path
