# SPDX-License-Identifier: MIT
"""The Python of an object that the Beremiz IDE built: a thread of the runtime executes it.

Such an object hands out what is to be evaluated through a function of its own, ``PythonIterator``,
and the IDE's scripts call into the object by ctypes. So the code runs in this process, and there
is no wall around it: an endless loop keeps its thread for ever and slows the others down, a crash
ends the runtime. It never runs on a real-time thread.

The object may be reset or unmapped only while the thread is not inside it; `_ProgramThread` keeps
that. A thread that does not come back keeps its object mapped and is left behind, with a log line.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from serial_runtime.board import Board
from serial_runtime.board_types import Image
from serial_runtime.errors import NewProcessNeeded
from serial_runtime.extensions.scripts import ScriptError, Scripts
from serial_runtime.plc.extensions import Limits, scripts
from serial_runtime.plc.log import CRITICAL, INFO, WARNING, Log
from serial_runtime.plc.program_store import StoredProgram

_LEAVE_S = 2.0  # how long the worker waits for user code that is to end
_CLONE_FS = 0x200


class _PlcGlobals:
    """``PLCGlobals``: through functions that the IDE's scripts have declared in their namespace."""

    def __init__(self, names: dict[str, Any]) -> None:
        object.__setattr__(self, "_names", names)

    def __getattr__(self, name: str) -> Any:
        value = self._find(name, "ctype")()
        self._names[f"_PySafeGetPLCGlob_{name}"](ctypes.byref(value))
        return self._find(name, "unpack")(value)

    def __setattr__(self, name: str, value: object) -> None:
        packed = self._find(name, "pack")(self._find(name, "ctype"), value)
        self._names[f"_PySafeSetPLCGlob_{name}"](ctypes.byref(packed))

    def _find(self, name: str, what: str) -> Any:
        try:
            return self._names[f"_{name}_{what}"]
        except KeyError:
            raise AttributeError(f"the program shares no variable {name}") from None


class _OnChange:
    """``OnChange``: of a variable's last report: changes, first and last value."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        try:
            unpack = self._names[f"_{name}_unpack"]
            return SimpleNamespace(
                count=self._names[f"_PyOnChangeCount_{name}"].value,
                first=unpack(self._names[f"_PyOnChangeFirst_{name}"]),
                last=unpack(self._names[f"_PyOnChangeLast_{name}"]),
            )
        except KeyError:
            raise AttributeError(f"the program does not watch a variable {name}") from None


class _ProgramThread(threading.Thread):
    """Executes the Python of one loaded object. Made, told and joined by the worker."""

    def __init__(self, path: str, folder: str, files: Sequence[str], log: Log) -> None:
        super().__init__(name="python", daemon=True)
        self._log = log
        self._folder = folder
        self._files = files
        self._binary = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        self._iterator = getattr(self._binary, "PythonIterator", None)
        self._change = threading.Condition()  # protects what follows
        self._run = 0  # of which start of the program; 0: it does not run
        self._inside = False  # the object
        self._finish = False
        self.doing: tuple[str, float] | None = None  # what, since when

    # ---- the worker ----

    def begin_run(self, run: int) -> None:
        with self._change:
            self._run = run
            self._change.notify_all()

    def end_run(self, wait_s: float) -> None:
        """Back when the thread is not in the object any more, and will not enter it."""
        with self._change:
            self._run = 0
            self._change.notify_all()
            self._change.wait_for(lambda: not self._inside, wait_s)

    def finish(self, wait_s: float) -> bool:
        """Have it call cleanup and end; False when it does not in time."""
        with self._change:
            self._finish = True
            self._run = 0
            self._change.notify_all()
        self.join(wait_s)
        return not self.is_alive()

    # ---- the thread ----

    def run(self) -> None:
        self._have_a_working_directory()
        names: dict[str, Any] = {}
        names.update(
            PLCGlobals=_PlcGlobals(names), OnChange=_OnChange(names), PLCBinary=self._binary
        )
        files = Scripts(self._folder, self._files, self._log.add, names)
        failed = self._do("the files of the program", lambda: self._execute(files))
        if not failed:
            self._do("init", lambda: files.call("init"))
        last = 0
        while (run := self._await_run(last)) != 0:
            last = run
            self._do("start", lambda: files.call("start"))
            self._iterate(files, run, failed)
            self._do("stop", lambda: files.call("stop"))
        self._do("cleanup", lambda: files.call("cleanup"))
        names.clear()  # what holds on to the object
        _ctypes.dlclose(self._binary._handle)

    def _have_a_working_directory(self) -> None:
        """Of this thread, and of the threads it starts: the rest of the process keeps its own."""
        if ctypes.CDLL(None).unshare(_CLONE_FS) == 0:
            os.chdir(self._folder)
        else:  # a container may forbid it
            self._log.add(WARNING, "python: no working directory of its own: use WorkingDir")

    def _execute(self, files: Scripts) -> str:
        """Why it fails, else an empty text."""
        try:
            files.execute()
        except ScriptError as error:
            self._log.add(CRITICAL, f"python: {error}; the program goes on without")
            return str(error)
        if self._files:
            self._log.add(INFO, f"python: {', '.join(self._files)}")
        return ""

    def _do(self, what: str, function: Callable[[], Any]) -> Any:
        self.doing = what, time.monotonic()
        try:
            return function()
        finally:
            self.doing = None

    def _await_run(self, last: int) -> int:
        """The number of the next run, 0 to finish."""
        with self._change:
            self._change.wait_for(lambda: self._finish or self._run not in (0, last))
            return 0 if self._finish else self._run

    def _iterate(self, files: Scripts, run: int, failed: str) -> None:
        """Evaluate what the object asks for, until it says that it has stopped."""
        if self._iterator is None:
            return
        iterator = self._iterator
        iterator.restype = ctypes.c_char_p
        iterator.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
        block = ctypes.c_void_p()
        result = ""
        while True:
            with self._change:
                if self._run != run:
                    return
                self._inside = True
            command = iterator(result.encode("utf-8", "replace"), ctypes.byref(block))
            with self._change:
                self._inside = False
                self._change.notify_all()
            if command is None:
                return
            code, asker = command.decode("utf-8", "replace"), block.value or 0
            if failed:
                result = f"#EXCEPTION : {failed}"
            else:
                result = self._do(code, lambda: files.evaluate(code, asker))  # noqa: B023


class InProcessExtensions:
    """Implements plc.extensions.Extensions for objects of the Beremiz IDE."""

    def __init__(self, board: Board, log: Log, limits: Limits) -> None:
        self._board = board
        self._log = log
        self._limits = limits
        self._thread: _ProgramThread | None = None
        self._runs = 0
        self._told: tuple[str, float] | None = None  # what was logged as slow

    def load(self, program: StoredProgram, image: Image, path: str) -> None:
        files = scripts(program.files)
        self._thread = _ProgramThread(path, program.files_directory, files, self._log)
        self._thread.start()

    def unload(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and not thread.finish(_LEAVE_S):
            why = "python: code of the program before does not end"
            self._log.add(CRITICAL, f"{why}; it stays in the runtime until that is started again")
            raise NewProcessNeeded(why)

    def start(self) -> None:
        if self._thread is not None:
            self._runs += 1
            self._thread.begin_run(self._runs)

    def stop(self) -> None:
        if self._thread is not None:
            # After a crash the object may keep its locks: nobody will come out of it.
            self._thread.end_run(0 if self._board.tainted else _LEAVE_S)

    def housekeeping(self) -> None:
        doing = self._thread.doing if self._thread is not None else None
        if doing is None or doing == self._told:
            return
        what, since_s = doing
        first = what in ("the files of the program", "init")
        limit_s = self._limits.init_s if first else self._limits.call_s
        if time.monotonic() - since_s > limit_s:
            self._told = doing
            self._log.add(WARNING, f"python: {what}: takes longer than {limit_s:g} s")

    def close(self) -> None:
        with contextlib.suppress(NewProcessNeeded):
            self.unload()
