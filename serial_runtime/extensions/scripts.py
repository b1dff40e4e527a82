# SPDX-License-Identifier: MIT
"""Executes the ``runtime_*.py`` files of a program, and single expressions beside them.

All files share one namespace, as in the Beremiz runtime. File ``runtime_x.py`` takes part in the
life of the program by functions ``_runtime_x_init``, ``_start``, ``_stop`` and ``_cleanup``, which
join the lists ``_runtime_init`` and so on; a script may append more to these. The first two lists
are called in order, the others in reverse.
"""

from __future__ import annotations

import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType
from typing import Any

from serial_runtime.extensions import csv_files

# MD5 of runtime_00_pyext.py as the IDE generates it: a CSV library in Python 2. Ours stands in.
_PEER_CSV_LIBRARIES = {"9c84b1bb66494b3d260a1a39aac5b103"}
_LIFE = ("init", "start", "stop", "cleanup")
_REVERSED = ("stop", "cleanup")
_LOG_CHARACTERS = 3000
CRITICAL, WARNING, INFO = 0, 1, 2  # log levels


class ScriptError(Exception):
    """A file cannot be executed; the text says which and why."""


class PlcObject:
    """``PLCObject``: as much of the Beremiz runtime's as makes sense here."""

    def __init__(self, log: Callable[[int, str], None], folder: str) -> None:
        self._log = log
        self.workingdir = folder
        self.PLCStatus = "Stopped"  # a name scripts know, too

    def LogMessage(self, *arguments: Any) -> None:  # noqa: N802  the name scripts know
        """``LogMessage(text)`` or ``LogMessage(level, text)``, level 0 (critical) to 3."""
        level, text = arguments if len(arguments) == 2 else (INFO, *arguments)
        self._log(int(level), str(text))


class Scripts:
    """The scripts of one program. One thread at a time."""

    def __init__(
        self,
        folder: str,
        files: Sequence[str],
        log: Callable[[int, str], None],
        names: dict[str, Any],
    ) -> None:
        """`files` are executed in this order; `names` becomes their namespace."""
        self._folder = folder
        self._files = files
        self._log = log
        self._compiled: dict[int, tuple[str, CodeType]] = {}
        self._names = names
        names.update(
            __name__="__plc__", FBID=None, WorkingDir=folder, **csv_files.functions(folder)
        )
        self._plc_object = PlcObject(log, folder)
        names.update(PLCObject=self._plc_object, PLCGlobalsDesc=[])
        names.update({f"_runtime_{what}": [] for what in _LIFE})

    def execute(self) -> None:
        """Execute all files; ScriptError for the first that fails."""
        _offer_typemapping()
        for name in self._files:
            path = os.path.join(self._folder, name)
            with open(path, "rb") as file:
                source = file.read()
            if hashlib.md5(source).hexdigest() in _PEER_CSV_LIBRARIES:
                continue
            try:
                exec(compile(source, path, "exec"), self._names)
            except BaseException as error:
                self._log(CRITICAL, f"python: {name} failed\n{_trace(error)}")
                raise ScriptError(f"{name}: {_summary(error)}") from error
            for what in _LIFE:
                function = self._names.get(f"_{name.rpartition('.')[0]}_{what}")
                if function is not None:
                    self._names[f"_runtime_{what}"].append(function)

    def call(self, what: str) -> None:
        """Call all functions of one of the four lists; exceptions are logged, and it goes on."""
        if what in ("start", "stop"):
            self._plc_object.PLCStatus = "Started" if what == "start" else "Stopped"
        functions = list(self._names[f"_runtime_{what}"])
        for function in reversed(functions) if what in _REVERSED else functions:
            self.guard(getattr(function, "__name__", what), function)

    def guard(self, what: str, function: Callable[..., object], *arguments: object) -> None:
        """Call a function of the user's; an exception is logged with its traceback."""
        try:
            function(*arguments)
        except BaseException as error:
            self._log(CRITICAL, f"python: {what} failed\n{_trace(error)}")

    def evaluate(self, code: str, block: int) -> str:
        """The result as text, or ``#EXCEPTION : `` and why; `block` tells who asks."""
        self._names["FBID"] = block
        try:
            before, compiled = self._compiled.get(block, ("", None))
            if compiled is None or before != code:
                compiled = compile(code, "<plc>", "eval")
                self._compiled[block] = code, compiled
            return str(eval(compiled, self._names))
        except BaseException as error:
            self._log(WARNING, f"python: {code}\n{_trace(error)}")
            return f"#EXCEPTION : {error}"
        finally:
            self._names["FBID"] = None


def _offer_typemapping() -> None:
    """Scripts of the IDE import their types from a module of the Beremiz runtime."""
    from serial_runtime.extensions import typemapping

    runtime = ModuleType("runtime", "Stands for the package of the Beremiz runtime.")
    runtime.typemapping = typemapping  # type: ignore[attr-defined]
    sys.modules["runtime"] = runtime
    sys.modules["runtime.typemapping"] = typemapping


def _trace(error: BaseException) -> str:
    """The traceback, from the user's code on; of a long one, the end."""
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    lines = traceback.format_exception(type(error), error, frames)
    return "".join(lines).rstrip()[-_LOG_CHARACTERS:]


def _summary(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()
