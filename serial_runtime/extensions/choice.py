# SPDX-License-Identifier: MIT
"""Gives each program the Python that fits it: a process, or for objects of the IDE a thread."""

from __future__ import annotations

from serial_runtime.extensions.in_process import InProcessExtensions
from serial_runtime.extensions.native import NativeExtensions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.board import Board
    from serial_runtime.board_types import Image
    from serial_runtime.plc.extensions import Extensions, Limits
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.program_store import StoredProgram


class ProgramExtensions:
    """Implements plc.extensions.Extensions for every program."""

    def __init__(self, board: Board, log: Log, limits: Limits) -> None:
        self._native: Extensions = NativeExtensions(board, log, limits)
        self._in_process: Extensions = InProcessExtensions(board, log, limits)
        self._present: Extensions = self._native

    def load(self, program: StoredProgram, image: Image, path: str) -> None:
        self._present = self._in_process if image.beremiz else self._native
        self._present.load(program, image, path)

    def unload(self) -> None:
        self._present.unload()

    def start(self) -> None:
        self._present.start()

    def stop(self) -> None:
        self._present.stop()

    def housekeeping(self) -> None:
        self._present.housekeeping()

    def close(self) -> None:
        self._native.close()
        self._in_process.close()
