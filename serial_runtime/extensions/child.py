# SPDX-License-Identifier: MIT
"""The process in which the Python of a native program is executed.

    python -m serial_runtime.extensions.child CALLS_FD VARIABLES_FD FOLDER FILE...

Two sockets to the runtime, one JSON message a packet. *Calls*: the runtime orders, the main
thread obeys and answers: ``["load"]``, ``["start"]``, ``["stop"]``, ``["cleanup"]``, ``["eval",
code, block]``, ``["changes", [[name, count, first, last], ...]]``; each is answered ``["done",
text]`` or ``["failed", text]``. *Variables*: any thread of the user's code asks, the runtime
answers: ``["share", name, path, watched]``, ``["read"]``, ``["write", name, value]``, answered
``["ok", ...]``, ``["later"]`` or ``["error", text]``; and ``["log", level, text]``, not answered.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from serial_runtime.extensions.scripts import ScriptError, Scripts

PACKET_BYTES = 1 << 17
NICENESS = 5  # the threads of the link come first
_PR_SET_PDEATHSIG = 1
_PATIENCE_S = 5.0  # for variables that are about to be shared
_FRESH_S = 0.001  # how long values that were read serve again: a loop costs the runtime little
_LOG_CHARACTERS = 4000


class _Variables:
    """The runtime's end of the variables, for all threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # one question at a time; protects what follows
        self._values: dict[str, Any] = {}
        self._read_s = float("-inf")
        self._times: set[str] = set()  # names of variables that are timedeltas here
        self.callbacks: dict[str, Callable[[str], object]] = {}

    def log(self, level: int, text: str) -> None:
        with self._lock:
            self._send("log", level, text[:_LOG_CHARACTERS])

    def share(self, name: str, path: str, on_change: Callable[[str], object] | None) -> None:
        with self._lock:
            is_time = self._ask("share", name, path, on_change is not None)
            self._read_s = float("-inf")
        if is_time:
            self._times.add(name)
        if on_change is not None:
            self.callbacks[name] = on_change

    def read(self, name: str) -> Any:
        with self._lock:
            if time.monotonic() - self._read_s >= _FRESH_S:
                self._values = self._ask("read")
                self._read_s = time.monotonic()
            return self.from_wire(name, self._values[name])

    def write(self, name: str, value: Any) -> None:
        if isinstance(value, timedelta):
            value = (value.days * 86_400 + value.seconds) * 10**9 + value.microseconds * 1000
        with self._lock:
            self._ask("write", name, value)
            self._read_s = float("-inf")

    def from_wire(self, name: str, value: Any) -> Any:
        return timedelta(microseconds=value / 1000) if name in self._times else value

    def _send(self, *message: object) -> None:
        self._connection.send(json.dumps(message).encode())

    def _ask(self, *message: object) -> Any:
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            self._send(*message)
            data = self._connection.recv(PACKET_BYTES)
            if not data:
                os._exit(0)  # the runtime has ended
            kind, *rest = json.loads(data)
            if kind == "ok":
                return rest[0]
            if kind == "error":
                raise ValueError(rest[0])
            if time.monotonic() >= end_s:
                raise TimeoutError("the runtime does not share variables now")
            time.sleep(0.005)


class _PlcGlobals:
    """``PLCGlobals``: each shared variable is an attribute."""

    def __init__(self, variables: _Variables) -> None:
        object.__setattr__(self, "_variables", variables)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._variables.read(name)
        except KeyError:
            raise AttributeError(f"{name} is not shared: share({name!r}, PATH)") from None

    def __setattr__(self, name: str, value: object) -> None:
        self._variables.write(name, value)


class _Child:
    """Obeys the runtime."""

    def __init__(self, variables: _Variables, folder: str, files: Sequence[str]) -> None:
        self._variables = variables
        self._changed = SimpleNamespace()
        self._scripts = Scripts(
            folder,
            files,
            variables.log,
            {
                "PLCGlobals": _PlcGlobals(variables),
                "OnChange": self._changed,
                "share": self._share,
                "PLCBinary": None,
            },
        )

    def obey(self, what: str, arguments: Sequence[Any]) -> str:
        """One order; the text of the answer. ScriptError."""
        if what == "eval":
            return self._scripts.evaluate(*arguments)
        if what == "changes":
            self._tell(*arguments)
        elif what == "load":
            self._scripts.execute()
            self._scripts.call("init")
        else:
            self._scripts.call(what)
        return ""

    def _share(
        self, name: str, path: str = "", on_change: Callable[[str], object] | None = None
    ) -> None:
        """Make the program's variable `path` (default: `name`) an attribute of PLCGlobals."""
        self._variables.share(name, path or name, on_change)

    def _tell(self, changes: list[tuple[str, int, Any, Any]]) -> None:
        from_wire = self._variables.from_wire
        for name, count, first, last in changes:
            change = SimpleNamespace(
                count=count, first=from_wire(name, first), last=from_wire(name, last)
            )
            setattr(self._changed, name, change)
        for name, *_ in changes:
            self._scripts.guard(f"on_change of {name}", self._variables.callbacks[name], name)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Obey until the runtime closes the socket; then the process ends, whatever threads it has."""
    _end_with_parent()
    faulthandler.enable()
    os.nice(NICENESS)
    calls = socket.socket(fileno=int(arguments[0]))
    variables = _Variables(socket.socket(fileno=int(arguments[1])))
    for number in arguments[:2]:
        os.set_inheritable(int(number), False)
    folder = arguments[2]
    os.chdir(folder)
    sys.path.append(folder)  # a program may bring modules; they hide no others
    child = _Child(variables, folder, arguments[3:])
    while data := calls.recv(PACKET_BYTES):
        what, *rest = json.loads(data)
        try:
            answer = ["done", child.obey(what, rest)]
        except ScriptError as error:
            answer = ["failed", str(error)]
        sys.stdout.flush()
        calls.send(json.dumps([answer[0], answer[1][:_LOG_CHARACTERS]]).encode())
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
