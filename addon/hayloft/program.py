# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `hayloft` program: the one that preferences name, or the manager's own for this platform.

The manager's is fetched once and kept in the cache under its digest; it is run only after its bytes were checked.
Knows no Blender.
"""

import contextlib
import hashlib
import http.client
import os
import platform
import re
import shutil
import sys
import tempfile

from . import farm as farm_api

MOST = 512 << 20  # bytes of a program
KEPT = 3  # programs: those of the managers and versions that were used last
_STEP = 1 << 20
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class ProgramError(Exception):
    """There is no program to run; the text says why and what to do."""


def this_platform(system=sys.platform, machine=None):
    """Return (os, arch) in the words of the manager's downloads."""
    machine = (machine or platform.machine()).lower()
    try:
        return _SYSTEMS[system], _MACHINES[machine]
    except KeyError:
        raise ProgramError(
            f"no hayloft program is made for {system} on {machine}; name your own in the add-on's preferences"
        ) from None


def find(named, farm, cache, progress=lambda done, total: None):
    """Return the path of the program, fetching it from the manager where it must."""
    if named:
        path = shutil.which(os.path.expanduser(named))
        if not path:
            raise ProgramError(f"{named} is no program that can be run; correct it in the add-on's preferences")
        return path
    chosen = choose(farm.downloads(), *this_platform())
    name = "hayloft.exe" if chosen["os"] == "windows" else "hayloft"
    root = os.path.join(cache, "programs")
    path = os.path.join(root, chosen["sha256"], name)
    try:
        if not (os.path.isfile(path) and digest(path) == chosen["sha256"]):
            fetch(farm, chosen, path, progress)
        os.utime(os.path.dirname(path))
    except OSError as error:
        raise ProgramError(f"the hayloft program cannot be kept in {root}: {error.strerror or error}; make room or see to its rights") from None
    forget_old(root)
    return path


def forget_old(root):
    """Remove all programs but those that were used last. One that still runs is kept where the system wants it so."""
    with contextlib.suppress(OSError):
        folders = [entry.path for entry in os.scandir(root) if _SHA256.match(entry.name)]
        folders.sort(key=os.path.getmtime, reverse=True)
        for folder in folders[KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)


def choose(files, system, arch):
    """Return the download for a platform, with `url`, `size` and `sha256` checked for their shape."""
    for file in files:
        if not isinstance(file, dict) or (file.get("os"), file.get("arch")) != (system, arch):
            continue
        if not str(file.get("name", "")).startswith("hayloft"):
            continue
        size, sha256 = file.get("size"), file.get("sha256")
        if not isinstance(size, int) or not 0 < size <= MOST or not _SHA256.match(str(sha256)) or not file.get("url"):
            raise ProgramError(f"the manager describes its program for {system} {arch} in a way that makes no sense")
        return file
    raise ProgramError(
        f"the manager serves no hayloft program for {system} {arch}; name your own in the add-on's preferences"
    )


def fetch(farm, chosen, path, progress):
    """Fetch a program to path. It appears there whole and checked, or not at all. OSError: it cannot be written."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=folder, prefix=".fetching-")
    try:
        with os.fdopen(handle, "wb") as file:
            with farm.open(chosen["url"]) as response:
                _copy(response, file, chosen["size"], chosen["sha256"], progress)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o755)
        os.replace(beside, path)
    finally:
        if os.path.exists(beside):
            os.remove(beside)
        with contextlib.suppress(OSError):  # It holds the program.
            os.rmdir(folder)


def _copy(response, file, size, sha256, progress):
    sum_, done = hashlib.sha256(), 0
    while done <= size:
        piece = _read(response)
        if not piece:
            break
        done += len(piece)
        sum_.update(piece)
        file.write(piece)
        progress(min(done, size), size)
    if done < size:
        raise farm_api.Unreachable(f"the hayloft program came only in part ({done} of {size} bytes), and nothing was kept; try again")
    if done != size or sum_.hexdigest() != sha256:
        raise ProgramError("the program that came from the manager is not the one it announced, and nothing was kept; try again")


def _read(response):
    """Read a piece. What breaks here is the network, and no disk."""
    try:
        return response.read(_STEP)
    except (OSError, http.client.HTTPException) as error:
        raise farm_api.Unreachable(f"fetching the hayloft program broke off: {error or type(error).__name__}; try again") from None


def digest(path):
    """Return the SHA-256 of a file in hexadecimal."""
    sum_ = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(_STEP), b""):
            sum_.update(piece)
    return sum_.hexdigest()
