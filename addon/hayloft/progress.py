# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `hayloft submit --progress json` says while it works. Knows no Blender."""

import collections
import json
from typing import NamedTuple, Optional

from .wording import bytes_text, duration_text

MOST_LINE = 64 << 10  # bytes; longer ones are dropped

STAGES = {
    "tracing": "Looking for what the scene needs",
    "reading": "Reading files",
    "asking": "Asking what the farm lacks",
    "sending": "Sending",
    "submitting": "Handing in the job",
    "rendering": "Rendering",
}
_TELLING = 0.01  # share from which on speed and time left say something
_IN_BYTES = ("reading", "sending")


class Progress(NamedTuple):
    """One report. Rate is bytes a second; left is seconds, or None where nobody knows."""

    stage: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    left: Optional[float] = None

    @property
    def fraction(self):
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    def text(self):
        parts = [STAGES.get(self.stage, self.stage or "Starting")]
        if self.total > 0:
            write = bytes_text if self.stage in _IN_BYTES else str
            parts.append(f"{write(self.done)} of {write(self.total)}")
        begun = self.fraction >= _TELLING or self.total <= 0
        if self.rate > 0 and begun:
            parts.append(f"{bytes_text(self.rate)}/s")
        if self.left is not None and begun:
            parts.append(f"{duration_text(self.left)} left")
        return " · ".join(parts)


class Reader:
    """Takes in standard error as it comes, in pieces of any size."""

    def __init__(self):
        self.latest = Progress()
        self._said = collections.deque(maxlen=20)
        self._rest = b""

    def feed(self, piece):
        """Take in bytes; return whether they held a new report."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MOST_LINE:
            self._rest = b""
        new = False
        for line in lines:
            new = self._take(line) or new
        return new

    def end(self):
        """Take in a last line that has no end."""
        line, self._rest = self._rest, b""
        self._take(line)

    def said(self):
        """Return the lines that were no reports, for people to read."""
        return "\n".join(self._said)

    def _take(self, line):
        line = line.strip()
        if not line or len(line) > MOST_LINE:
            return False
        try:
            report = parse(line)
        except ValueError:
            self._said.append(line.decode("utf-8", "replace"))
            return False
        if report:
            self.latest = report
        return report is not None


def parse(line):
    """Read one line: a Progress, or None for JSON that is none. ValueError: it is text for people."""
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no object")
    stage = value.get("stage")
    if not isinstance(stage, str):
        return None
    left = value.get("seconds_left")
    return Progress(
        stage,
        max(int(_number(value.get("done"))), 0),
        max(int(_number(value.get("total"))), 0),
        max(_number(value.get("bytes_per_second")), 0.0),
        max(_number(left), 0.0) if left is not None else None,
    )


def _number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > 1e18:
        return 0.0
    return float(value)
