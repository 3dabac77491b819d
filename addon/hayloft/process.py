# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that may outlive the Blender that started them. Knows no Blender.

A process is known again by its number and the moment it started, since the system gives numbers to others in time.
"""

import os
import signal
import subprocess
import sys

_TOOL_TIMEOUT = 5  # seconds for the system's own tools
_STILL_ACTIVE = 259  # GetExitCodeProcess of a process that runs
_QUERY_LIMITED = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION


def start(arguments, folder, stdout, stderr, environ, detached):
    """Start a program that writes to two files. Detached: it goes on when Blender ends."""
    options = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW
        if detached:
            options["creationflags"] |= subprocess.CREATE_NEW_PROCESS_GROUP
    elif detached:
        options["start_new_session"] = True
    with open(stdout, "wb") as out, open(stderr, "wb") as err:
        return subprocess.Popen(
            arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environ, close_fds=True, **options
        )


def identity(pid):
    """Return when a process started, as this system tells it, or None if no such process runs."""
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _identity_windows(pid)
    if sys.platform.startswith("linux"):
        return _identity_linux(pid)
    return _identity_ps(pid)


def _identity_linux(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    # The name of the program stands in brackets and may hold anything; state and start are fields 3 and 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _identity_ps(pid):
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=_TOOL_TIMEOUT, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else " ".join(started.split())


def _identity_windows(pid):
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    kernel.GetExitCodeProcess.argtypes = [wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD)]
    kernel.GetProcessTimes.argtypes = [wintypes.HANDLE] + [ctypes.POINTER(wintypes.FILETIME)] * 4
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    handle = kernel.OpenProcess(_QUERY_LIMITED, False, pid)
    if not handle:
        return None
    try:
        code, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != _STILL_ACTIVE:
            return None
        if not kernel.GetProcessTimes(handle, *[ctypes.byref(t) for t in times]):
            return None
        return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)
    finally:
        kernel.CloseHandle(handle)


def interrupt(pid, known):
    """Ask a process to end, if it still is the known one. What it had sent stays sent."""
    if known is None or identity(pid) != known:
        return
    # Windows delivers no Ctrl-C to a process without a console; there this ends it at once.
    gentle = signal.SIGTERM if sys.platform == "win32" else signal.SIGINT
    try:
        os.kill(pid, gentle)
    except OSError:
        pass  # It ended by itself meanwhile.
