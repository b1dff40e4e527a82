# SPDX-License-Identifier: MIT
"""The Python of programs: what its process tells the runtime, its files, values in its memory."""

from __future__ import annotations

import contextlib
import ctypes
import json
import shutil
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from fuzz.program_targets import SCRATCH
from fuzz.script import Script

from serial_runtime import iec
from serial_runtime.board import Board
from serial_runtime.board_types import Evaluation, Image, SharedValue, Variable
from serial_runtime.extensions import native
from serial_runtime.extensions.csv_files import OK, functions
from serial_runtime.extensions.native import NativeExtensions
from serial_runtime.extensions.process import PACKET_BYTES, PythonProcess
from serial_runtime.extensions.typemapping import IEC_STRING, IEC_TIME, TypeTranslator
from serial_runtime.iec import IecType
from serial_runtime.plc.extensions import Limits
from serial_runtime.plc.log import LEVELS, Log
from serial_runtime.plc.program_store import StoredProgram

_KINDS = (IecType.BOOL, IecType.INT, IecType.LINT, IecType.REAL, IecType.STRING, IecType.TIME)
_ROWS = tuple(
    Variable(index, kind.name, kind, 0, "", int(index == 1), 20)
    for index, kind in enumerate(_KINDS)
)
_IMAGE = Image("fuzz", "1", (), _ROWS)
_PROGRAM = cast(StoredProgram, type("", (), {"files_directory": SCRATCH, "files": ["runtime.py"]}))


class _Board:
    """As much of a board as the Python thread asks."""

    def __init__(self) -> None:
        self.values = [bytes(iec.wire_size(row.type)) for row in _ROWS]
        self.shared: list[int] = []
        self.answers: list[bytes] = []

    def share(self, indices: list[int]) -> int:
        self.shared = list(indices)
        return 1

    def read_shared(self, generation: int) -> list[SharedValue]:
        return [SharedValue(0, self.values[index]) for index in self.shared]

    def write_shared(self, generation: int, number: int, value: bytes) -> bool:
        row = _ROWS[self.shared[number]]
        assert iec.unpack(row.type, value)[1] == len(value)
        self.values[self.shared[number]] = value
        return True

    def take_evaluation(self) -> Evaluation | None:
        return Evaluation(1, 1, "code")

    def answer_evaluation(self, request: Evaluation, result: str) -> bool:
        self.answers.append(result.encode("latin-1", "replace"))
        return True


class _Process(PythonProcess):
    """Its sockets end in this process."""

    def __init__(self) -> None:
        self.calls, self.their_calls = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.variables, self.their_variables = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        for end in (self.calls, self.variables, self.their_calls, self.their_variables):
            end.setblocking(False)

    def end(self, wait_s: float = 0.0) -> str:
        for end in (self.calls, self.variables, self.their_calls, self.their_variables):
            end.close()
        return "killed"


class _Stepped(NativeExtensions):
    def _run(self) -> None:
        """The target makes the steps."""


def _repeated(script: Script) -> bytes:
    """A message; or one that is long, or nested deeply."""
    op, body = script.number(), script.piece()
    return body if op % 4 else body * (PACKET_BYTES // max(1, len(body)))


def python_process(data: bytes) -> None:
    """Whatever user code sends in the process's name: it is answered, or another process begins."""
    script, board, log = Script(data), _Board(), Log()
    processes: list[_Process] = []

    def begin(folder: str, files: list[str]) -> _Process:
        processes.append(_Process())
        return processes[-1]

    with pytest.MonkeyPatch.context() as change:
        change.setattr(native, "PythonProcess", begin)
        extensions = _Stepped(cast(Board, board), log, Limits(10.0, 10.0))
        extensions._thread.join()
        extensions.load(_PROGRAM, _IMAGE, "")
        extensions.start()
        now_s = 0.0
        while script:
            op = script.number()
            now_s += (op >> 4) / 4
            alive = cast("_Process | None", extensions._process)
            if alive is not None and op % 4 != 3:
                end = (alive.their_calls, alive.their_variables)[op & 1]
                with contextlib.suppress(OSError):
                    end.send(_repeated(script))
            extensions._step(now_s)
            extensions.housekeeping()
            if alive is not None and alive is extensions._process:
                for end in (alive.their_calls, alive.their_variables):
                    with contextlib.suppress(BlockingIOError):
                        json.loads(end.recv(PACKET_BYTES))
        extensions.stop()
        extensions._wanted = extensions._wanted._replace(closing=True)
        extensions._close_by_s = now_s
        while extensions._process is not None:
            extensions._step(now_s + 20.0)
        extensions.close()
    for level, count in enumerate(log.counts()):
        for number in range(max(0, count - len(log._history[level])), count):
            log.message(level, number).text.encode()
    assert len(log.counts()) == len(LEVELS)


def csv_files(data: bytes) -> None:
    """A file and what a program does with it: texts; what was written any later read finds."""
    script, folder = Script(data), Path(SCRATCH, "csv")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "a.csv").write_bytes(script.piece())
    files = functions(str(folder))
    while script:
        op = script.number()
        name = "a.csv" if op & 8 else script.piece().decode("utf-8", "replace")
        numbers = script.number(), script.number() - (256 if op & 16 else 0)
        texts = tuple(script.piece().decode("utf-8", "surrogateescape") for _ in range(2))
        content = script.piece().decode("utf-8", "replace")
        if op % 4 == 0:
            results = [files["CSVRdInt"](name, *numbers)]
        elif op % 4 == 1:
            results = [files["CSVRdStr"](name, *texts)]
        elif op % 4 == 2:
            results = [files["CSVWrInt"](name, *numbers, content)]
            if results == [OK]:
                again = functions(str(folder))
                for reader in (files, again):
                    assert reader["CSVRdInt"](name, *numbers) == content
        else:
            results = [files["CSVWrStr"](name, *texts, content)]
            if results == [OK]:
                again = functions(str(folder))
                for reader in (files, again):
                    assert reader["CSVRdStr"](name, *texts) == content
        if op & 64:
            results.append(files["CSVReload"]())
        assert all(isinstance(result, str) for result in results)
        assert not list(folder.rglob("*.new"))


def type_mapping(data: bytes) -> None:
    """Memory of a program as a Python value, and back."""
    script = Script(data)
    names = sorted(TypeTranslator)
    kind, unpack, pack = TypeTranslator[names[script.number() % len(names)]]
    memory = script.rest()[: ctypes.sizeof(kind)].ljust(ctypes.sizeof(kind), b"\0")
    instance: Any = cast(Any, kind).from_buffer_copy(memory)
    try:
        value = unpack(instance)
    except OverflowError:
        assert kind is IEC_TIME
        return
    again = unpack(pack(kind, value))
    if isinstance(value, float | timedelta):
        assert again == value or value != value
    elif kind is IEC_STRING:
        assert value.startswith(again.rstrip("\ufffd"))
    else:
        assert again == value
