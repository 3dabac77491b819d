# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `hayloft plan --json` answers. Knows no Blender."""

import json
import os
from typing import NamedTuple, Optional, Tuple

from .wording import bytes_text, count_text, duration_text

_NAMED = 3  # missing files in one sentence


class PlanError(Exception):
    """There is no plan; the text says why."""


class Missing(NamedTuple):
    """A file that the scene needs and that is not there."""

    datablock: str
    kind: str
    path: str
    resolved: str
    blend: str
    required: bool
    note: str


class Worker(NamedTuple):
    name: str
    can: bool
    why: str


class Plan(NamedTuple):
    files: int
    bytes: int
    files_to_send: int
    bytes_to_send: int
    frames: str
    frame_count: int
    missing: Tuple[Missing, ...]
    outside: int
    warnings: Tuple[str, ...]
    features: Tuple[str, ...]
    workers: Tuple[Worker, ...]
    seconds: Optional[float]

    def summary(self):
        """Return lines for people."""
        able = sum(w.can for w in self.workers)
        lines = [
            f"{count_text(self.files, 'file')}, {bytes_text(self.bytes)} in all",
            f"{count_text(self.files_to_send, 'file')}, {bytes_text(self.bytes_to_send)} to send",
            f"{count_text(self.frame_count, 'frame')}{f' ({self.frames})' if self.frames else ''}",
            f"{able} of {count_text(len(self.workers), 'worker')} can render it",
        ]
        if self.seconds is not None:
            lines.append(f"about {duration_text(self.seconds)}")
        if self.outside:
            lines.append(f"{count_text(self.outside, 'file')} from outside the project's folder")
        return lines


def parse(text):
    """Read the last line of what the program wrote."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        value = json.loads(lines[-1])
        return Plan(
            files=_whole(value.get("files")),
            bytes=_whole(value.get("bytes")),
            files_to_send=_whole(value.get("files_to_send")),
            bytes_to_send=_whole(value.get("bytes_to_send")),
            frames=_frames(value.get("frames")),
            frame_count=_whole(value.get("frame_count")),
            missing=parse_missing(value.get("missing")),
            outside=len(value.get("outside") or ()),
            warnings=_texts(value.get("warnings")),
            features=_texts(value.get("features")),
            workers=tuple(_worker(w) for w in value.get("workers") or () if isinstance(w, dict)),
            seconds=_seconds(value.get("seconds_estimated")),
        )
    except (IndexError, ValueError, AttributeError, TypeError):
        raise PlanError("the hayloft program gave no plan that can be read; is it of this version?") from None


def parse_missing(values):
    """Read the list of missing files that plans and refused submissions carry; required ones come first."""
    found = [
        Missing(
            *(str(m.get(name) or "") for name in ("datablock", "kind", "path", "resolved", "blend")),
            m.get("required") is not False,
            str(m.get("note") or ""),
        )
        for m in values or ()
        if isinstance(m, dict)
    ]
    return tuple(sorted(found, key=lambda m: not m.required))


def refusal(missing):
    """Say that required files are missing and what to do, naming the first of them; empty if none is."""
    required = [one for one in missing if one.required]
    if not required:
        return ""
    names = "; ".join(f"{one.kind.replace('-', ' ')} {one.datablock[2:]}: {one.resolved or one.path}" for one in required[:_NAMED])
    more = f"; and {len(required) - _NAMED} more" if len(required) > _NAMED else ""
    count = count_text(len(required), "file")
    verb, them = ("is", "it") if len(required) == 1 else ("are", "them")
    return f"{count} without which frames would be wrong {verb} missing: {names}{more}; put {them} back, or allow missing files"


def library_of(missing, sent):
    """Return the library that stores the datablock, or an empty text if it is the scene itself, sent as a copy."""
    if not missing.blend or os.path.normpath(missing.blend) == os.path.normpath(sent):
        return ""
    return missing.blend


def _worker(value):
    return Worker(str(value.get("name") or value.get("id") or "?"), value.get("can") is True, str(value.get("why") or ""))


def _frames(value):
    return ",".join(str(part) for part in value) if isinstance(value, list) else str(value or "")


def _texts(values):
    return tuple(str(v) for v in values or ())


def _whole(value):
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _seconds(value):
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
