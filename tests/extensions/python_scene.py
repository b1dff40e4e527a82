# SPDX-License-Identifier: MIT
"""A PLC object on a real board, with Python on, whose program evaluates what a test forces."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import serial_runtime
from serial_runtime import iec
from serial_runtime.board import Board, Options
from serial_runtime.extensions.choice import ProgramExtensions
from serial_runtime.plc.extensions import Limits, NoExtensions
from serial_runtime.plc.log import LEVELS
from serial_runtime.plc.plc_object import PLC
from serial_runtime.plc.program_store import ProgramStore
from serial_runtime.worker import Worker

IMAGES = Path(__file__).resolve().parent / "images"
LONG_S = 60.0
OWNER = "test"


@cache
def image(name: str) -> bytes:
    """A program of tests/extensions/images, compiled once."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", "-std=c11", "-shared", "-fPIC", "-O2", "-fvisibility=hidden"]
        command += ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wl,-z,now"]
        command += ["-I", serial_runtime.get_include(), str(IMAGES / f"{name}.c")]
        subprocess.run([*command, "-o", f"{folder}/p.so"], check=True)
        return (Path(folder) / "p.so").read_bytes()


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.002)


class Scene:
    """Everything a daemon makes, less the link."""

    def __init__(
        self,
        directory: str,
        *,
        python: bool = True,
        init_s: float = 10.0,
        call_s: float = 10.0,
        start: bool = True,
        priority: int = 0,
        **scripts: str,
    ) -> None:
        self.worker = Worker()
        self._thread = threading.Thread(
            target=lambda: self.worker.run(housekeeping=lambda: self.plc.housekeeping())
        )
        self.board = Board(Options(priority=priority, cpu_latency_us=-1, python=python))
        limits = Limits(init_s, call_s)
        self.plc = PLC(
            self.board,
            ProgramStore(directory),
            self.worker,
            extensions=lambda log: (
                ProgramExtensions(self.board, log, limits) if python else NoExtensions(log)
            ),
        )
        self._thread.start()
        self.load("blocks", **{f"{name}.py": source for name, source in scripts.items()})
        if start:
            self.plc.start()

    def end(self) -> None:
        def last_job() -> None:
            self.plc.close()
            self.worker.stop()

        self.worker.call(last_job)
        self._thread.join()

    def load(self, program: str | bytes, **files: str) -> None:
        """A program of tests/extensions/images, or an image, and its extra files."""

        def upload(data: bytes) -> bytes:
            blob_id = self.plc.seed_blob(OWNER, hashlib.md5(data).digest())
            return self.plc.append_chunk(OWNER, data, blob_id)

        data = image(program) if isinstance(program, str) else program
        extra = [(file, upload(text.encode())) for file, text in files.items()]
        self.plc.new_plc(OWNER, hashlib.md5(data).hexdigest(), upload(data), extra)
        self._rows = {row.path: row for row in self.plc.variables()}

    def value(self, path: str) -> iec.Value:
        row = self._rows[path]
        return iec.unpack(row.type, self.plc.read_variables([row.index])[1])[0]

    def force(self, **values: iec.Value) -> None:
        """Force variables; two underscores stand for a dot."""
        rows = {self._rows[path.replace("__", ".")]: value for path, value in values.items()}
        self.plc.force_variables(
            {row.index: iec.pack(row.type, value, row.capacity) for row, value in rows.items()}
        )

    def evaluate(self, code: str) -> str:
        """What the block answers to one rising edge."""
        answers = self.value("ONCE_ANSWERS")
        self.force(ONCE__TRIG=False)
        counter = self.value("COUNTER")
        until(lambda: self.value("COUNTER") > counter + 2)
        self.force(ONCE__CODE=code, ONCE__TRIG=True)
        until(lambda: self.value("ONCE_ANSWERS") != answers)
        return str(self.value("ONCE.RESULT"))

    def logged(self) -> str:
        counts = self.plc.status()[1]
        return "\n".join(
            f"{name}: {self.plc.log_message(level, number).text}"
            for level, name in enumerate(LEVELS)
            for number in range(counts[level])
        )
