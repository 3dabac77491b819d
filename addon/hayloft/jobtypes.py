# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Job types as the manager describes them, turned into what widgets and command lines need. Knows no Blender."""

import hashlib
import json
import math
import re
from typing import Any, NamedTuple, Optional, Tuple

KINDS = ("string", "int32", "float", "bool")
NUMBER_SUBTYPES = ("PIXEL", "UNSIGNED", "PERCENTAGE", "FACTOR", "ANGLE", "TIME", "DISTANCE")
SUBTYPES = {
    "file_path": "FILE_PATH",
    "hashed_file_path": "FILE_PATH",
    "dir_path": "DIR_PATH",
    "file_name": "FILE_NAME",
}
BLENDFILE = "blendfile"  # the program sets it: it knows where the farm puts the file
_LOW, _HIGH = -(2**31), 2**31 - 1
_NUMERIC_OPTIONS = ("min", "max", "soft_min", "soft_max", "step", "precision")
_MOST_IDENTIFIER = 60  # Blender allows 63 bytes
_KIND_NAMES = {"string": "text", "int32": "whole number", "float": "number", "bool": "true or false"}
_EMPTY = {"string": "", "int32": 0, "float": 0.0, "bool": False}


class Setting(NamedTuple):
    """One setting of a job type."""

    key: str
    kind: str
    label: str
    description: str = ""
    subtype: str = "NONE"
    choices: Tuple[str, ...] = ()
    options: Tuple[Tuple[str, Any], ...] = ()  # limits of a number, as Blender's properties name them
    default: Any = None
    eval: str = ""
    link: str = ""  # what following `eval` means, for people; empty: it is not offered
    visible: str = "visible"
    required: bool = False
    editable: bool = True

    @property
    def shown(self):
        """Whether the artist sees it before submission."""
        return self.visible in ("visible", "submission")

    @property
    def identifier(self):
        """The name of its property in Blender, which no member of a property group can hide."""
        return "s_" + identifier(self.key)

    @property
    def link_identifier(self):
        return "l_" + identifier(self.key)


class JobType(NamedTuple):
    name: str
    label: str
    description: str
    etag: str
    settings: Tuple[Setting, ...]

    @property
    def identifier(self):
        """The name of its settings in a scene."""
        return "hayloft_" + hashlib.sha256(self.name.encode()).hexdigest()[:16]

    @property
    def renders_file(self):
        """Whether it needs a .blend file; others are submitted without one."""
        return any(s.key == BLENDFILE and s.required for s in self.settings)


def identifier(key):
    """Turn any key into a name that Python and Blender take; different keys give different names."""
    safe = re.sub(r"[^0-9A-Za-z_]", "_", key)
    if safe == key and len(key) <= _MOST_IDENTIFIER - 2:
        return safe
    return safe[:30] + "_" + hashlib.sha256(key.encode()).hexdigest()[:12]


def parse(types):
    """Read the manager's list; those that need a .blend file come first.

    What cannot be understood is left out, so that one odd type hides no other.
    """
    found = (_parsed(parse_type, t) for t in types)
    return tuple(sorted((t for t in found if t), key=lambda t: (not t.renders_file, t.label.lower())))


def _parsed(parse_one, value):
    """Return what parse_one makes of a value, or None where the value has not the shape that it must have."""
    try:
        return parse_one(value)
    except (AttributeError, TypeError, ValueError):
        return None


def parse_type(value):
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    settings, seen = [], set()
    for one in value.get("settings") or ():
        setting = _parsed(parse_setting, one)
        if setting and setting.key not in seen:
            seen.add(setting.key)
            settings.append(setting)
    return JobType(
        value["name"],
        _text(value.get("label")) or value["name"],
        _text(value.get("description")),
        _text(value.get("etag")),
        tuple(settings),
    )


def parse_setting(value) -> Optional[Setting]:
    if not isinstance(value, dict) or not isinstance(value.get("key"), str) or value.get("type") not in KINDS:
        return None
    key, kind = value["key"], value["type"]
    link = value.get("evalInfo") or {}
    expression = _text(value.get("eval"))
    choices = tuple(c for c in value.get("choices") or () if isinstance(c, str)) if kind == "string" else ()
    default, propargs = value.get("default"), value.get("propargs") or {}
    return Setting(
        key=key,
        kind=kind,
        label=_text(value.get("label")) or key.replace("_", " ").title(),
        description=_text(value.get("description")) or _text(propargs.get("description")),
        subtype=_subtype(kind, value.get("subtype"), propargs.get("subtype")),
        choices=choices,
        options=_options(kind, propargs),
        default=None if default is None else convert(kind, default),
        eval=expression,
        link=(_text(link.get("description")) or "Automatic") if expression and link.get("showLinkButton") else "",
        visible=_text(value.get("visible")) or "visible",
        required=value.get("required") is True,
        editable=value.get("editable") is not False,
    )


def _subtype(kind, named, wished):
    """Return Blender's subtype: of texts the contract's, of numbers the one that the widget is to have."""
    if kind == "string":
        return SUBTYPES.get(named, "NONE")
    return wished if kind in ("int32", "float") and wished in NUMBER_SUBTYPES else "NONE"


def _options(kind, propargs):
    if kind not in ("int32", "float"):
        return ()
    options = []
    for name in _NUMERIC_OPTIONS:
        number = propargs.get(name)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        if not math.isfinite(number) or (name, kind) == ("precision", "int32"):
            continue
        options.append((name, convert("int32", number) if kind == "int32" or name in ("step", "precision") else float(number)))
    return _sound(dict(options))


def _sound(options):
    """Leave out or bound what Blender refuses or draws wrongly."""
    if "step" in options:
        options["step"] = min(max(options["step"], 1), 100)
    if "precision" in options:
        options["precision"] = min(max(options["precision"], 0), 6)
    for low, high in (("min", "max"), ("soft_min", "soft_max")):
        if options.get(low, -math.inf) > options.get(high, math.inf):
            del options[high]
    return tuple(options.items())


def convert(kind, value):
    """Make a value of one kind out of what an expression or a manager gave. ValueError if it is none."""
    if kind == "bool":
        return bool(value)
    if kind == "string":
        return "" if value is None else str(value)
    try:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number if kind == "float" else min(max(int(value), _LOW), _HIGH)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is no {'number' if kind == 'float' else 'whole number'}") from None


def exact(setting, value):
    """Take the value that a script gave for a setting, with nothing guessed or rounded. ValueError says what is wrong."""
    kinds = {"bool": bool, "int32": int, "float": (int, float), "string": (str, int, float)}
    if isinstance(value, bool) != (setting.kind == "bool") or not isinstance(value, kinds[setting.kind]):
        raise ValueError(f"{json.dumps(value)} is no {_KIND_NAMES[setting.kind]}")
    if setting.kind == "int32" and not _LOW <= value <= _HIGH:
        raise ValueError(f"{value} is no whole number of 32 bits")
    value = convert(setting.kind, value)
    if setting.choices and value not in setting.choices:
        raise ValueError(f"{value!r} is none of {', '.join(map(repr, setting.choices))}")
    return value


def empty(setting):
    """The value of a setting that nobody gave a default."""
    return setting.default if setting.default is not None else _EMPTY[setting.kind]


def argument(setting, value):
    """Write a setting as the command line takes it."""
    if setting.kind == "bool":
        text = "true" if value else "false"
    elif setting.kind == "float":
        text = repr(float(value))
    else:
        text = str(value)
    return f"{setting.key}={text}"


def _text(value):
    return value if isinstance(value, str) else ""
