# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values that a job is submitted with: what the artist set, or what a setting's expression says. Knows no Blender.

Expressions are the manager's, as its job types are. They are evaluated, never executed, with the names that the contract
gives them and the harmless builtins. That keeps mistakes small; it is no wall, and needs none: who runs the manager
decides what the farm renders.
"""

import builtins
import os
from pathlib import Path, PurePath

from . import jobtypes

_BUILTINS = (
    "abs all any ascii bin bool chr dict divmod enumerate filter float format frozenset getattr hasattr hash hex int "
    "isinstance iter len list map max min next oct ord pow range repr reversed round set slice sorted str sum tuple zip "
    "True False None Exception ValueError TypeError KeyError AttributeError"
).split()
_HARMLESS = {name: getattr(builtins, name) for name in _BUILTINS if hasattr(builtins, name)}


class SettingError(Exception):
    """A setting has no usable value; the text names it."""


def evaluate(expression, names):
    """Give the value of one Python expression; statements are refused."""
    code = compile(expression.strip(), "<eval of a job type>", "eval")
    return eval(code, {"__builtins__": _HARMLESS}, dict(names))  # pylint: disable=eval-used


def last_n_dir_parts(count, file):
    """Return the last `count` folder names above a file as a relative path; `count` of 0 or less gives an empty one."""
    folders = [part for part in PurePath(file).parent.parts if part not in (os.sep, "/", "\\")] if file else []
    folders = [part for part in folders if not part.endswith((":", ":\\", ":/"))]
    return Path(*folders[-count:]) if count > 0 and folders else Path()


class Values:
    """The settings of one job type, worked out when they are asked for.

    stored(setting) gives what the artist set; linked(setting) whether the artist wants the expression's value; names are
    those that expressions may use. An expression sees the others as attributes of `settings`. What `given` holds by key
    holds as it is, whatever expressions say.
    """

    def __init__(self, job_type, stored, linked, names, given=None):
        self._given = given or {}
        self._settings = {s.key: s for s in job_type.settings}
        self._stored, self._linked = stored, linked
        self._names = dict(names, settings=_View(self))
        self._done, self._asked = {}, set()

    def __getitem__(self, key):
        if key not in self._done:
            if key in self._asked:
                raise SettingError(f"setting {key} depends on itself")
            self._asked.add(key)
            try:
                self._done[key] = self._work_out(self._settings[key])
            finally:
                self._asked.discard(key)
        return self._done[key]

    def for_submission(self):
        """Return (setting, value) for all that the program is to be told."""
        chosen = []
        for setting in self._settings.values():
            if setting.key == jobtypes.BLENDFILE:
                continue
            value = self[setting.key]
            if setting.required and value == "":
                raise SettingError(f"{setting.label} must be given")
            if setting.kind == "string" and value == "" and not setting.shown and setting.default is None:
                continue
            chosen.append((setting, value))
        return chosen

    def expression(self, key):
        """Return the value that a setting's expression gives now."""
        setting = self._settings[key]
        try:
            return jobtypes.convert(setting.kind, evaluate(setting.eval, self._names))
        except SettingError:
            raise
        except Exception as error:  # An expression may raise anything.
            raise SettingError(f"setting {key}: {setting.eval} gives {type(error).__name__}: {error}") from None

    def _work_out(self, setting):
        if setting.key in self._given:
            return self._given[setting.key]
        computed = not setting.shown or not setting.editable
        if setting.eval and (computed or self._linked(setting)):
            return self.expression(setting.key)
        if computed and setting.default is not None:
            return setting.default
        value = self._stored(setting)
        # Who broke the link of a number or a switch means what stands there, 0 and off too.
        if setting.eval and not value and not (setting.link and setting.kind != "string"):
            return self.expression(setting.key)
        return value


class _View:
    def __init__(self, values):
        self._values = values

    def __getattr__(self, key):
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(f"this job type has no setting {key}") from None
