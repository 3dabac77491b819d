# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers as people read them: bytes in powers of 1000, as the `hayloft` program writes them. Knows no Blender."""

_ERROR = "hayloft: "


def bytes_text(count):
    if count < 1000:
        return f"{int(count)} B"
    value, unit = count / 1000, 0
    while value >= 999.95 and unit < 3:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {'kMGT'[unit]}B"


def duration_text(seconds):
    """Write a time span to the second; below ten seconds to the tenth."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count_text(count, one, many=None):
    """Write `3 files`, `1 file`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def last_words(text):
    """Return why the program ended: its last error, which starts with its name, else all that it said."""
    lines = text.strip().splitlines()
    for number in reversed(range(len(lines))):
        if lines[number].startswith(_ERROR):
            return "\n".join([lines[number][len(_ERROR) :], *lines[number + 1 :]])
    return "\n".join(lines)


def wrapped(text, width):
    """Cut a message into lines of at most width characters, at blanks where there are any."""
    import textwrap

    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, max(width, 20)) or [""]
    return lines
