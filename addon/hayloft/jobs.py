# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the farm says of submitted jobs. For threads; knows no Blender."""

import hashlib
import os
from typing import NamedTuple

from . import farm

FINISHED = ("completed", "failed", "canceled")
GONE = "deleted"


class Job(NamedTuple):
    """A job as it was when the manager was asked last."""

    id: str
    name: str
    status: str
    activity: str
    done: int
    total: int
    image: str = ""  # path of the newest image; empty if there is none

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
    found = Job(
        job,
        str(said.get("name") or job),
        str(said.get("status") or "unknown"),
        str(said.get("activity") or ""),
        int(said.get("steps_completed") or 0),
        int(said.get("steps_total") or 0),
        known.image if known else "",
    )
    if found.done and (not known or not known.image or (known.done, known.status) != (found.done, found.status)):
        image = manager.last_image(job)
        if image:
            found = found._replace(image=keep_image(image, job, cache))
    return found


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
