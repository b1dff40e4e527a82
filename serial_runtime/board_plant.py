# SPDX-License-Identifier: MIT
"""The plant's end of simulated I/O; ``plant`` makes something of it."""

from __future__ import annotations

import errno
import os
from typing import Any

from serial_runtime.board_native import ffi, lib
from serial_runtime.errors import BoardError, StateError


class Plant:
    """The plant's end of simulated I/O ("sim:NAME"), in any process of the same user.

    :class:`BoardError` when no board has it open or another plant is attached.
    """

    def __init__(self, name: str) -> None:
        pointer = ffi.new("struct sim_plant **")
        _check(lib.sim_attach(pointer, name.encode()), f"cannot attach to sim:{name}")
        self._plant = pointer[0]
        self._tick = 0

    @property
    def tick(self) -> int:
        """The cycle that wrote the outputs read last."""
        return self._tick

    @property
    def board_open(self) -> bool:
        """A board has the segment open now."""
        return bool(lib.sim_board_open(self._native()))

    def _native(self) -> Any:
        if self._plant == ffi.NULL:
            raise StateError("the plant was closed")
        return self._plant

    def write_inputs(self, offset: int, data: bytes) -> None:
        """Write %I bytes; the board sees all of them or none."""
        result = lib.sim_write_inputs(self._native(), offset, data, len(data))
        _check(result, f"cannot write {len(data)} input bytes at {offset}")

    def read_inputs(self, offset: int, size: int) -> bytes:
        """%I bytes as this plant wrote them, or the one before it."""
        to = ffi.new("uint8_t[]", size)
        result = lib.sim_read_inputs(self._native(), offset, to, size)
        _check(result, f"cannot read {size} input bytes at {offset}")
        return bytes(ffi.buffer(to, size))

    def read_outputs(self, offset: int, size: int) -> bytes:
        """%Q bytes, all of one cycle; ``tick`` tells which."""
        to, tick = ffi.new("uint8_t[]", size), ffi.new("uint32_t *")
        result = lib.sim_read_outputs(self._native(), offset, to, size, tick)
        _check(result, f"cannot read {size} output bytes at {offset}")
        self._tick = tick[0]
        return bytes(ffi.buffer(to, size))

    def step(self, cycles: int, timeout_ns: int) -> None:
        """Lockstep: allow so many cycles more, and wait for all that were allowed."""
        result = lib.sim_step(self._native(), cycles, timeout_ns)
        if result == -errno.ENOTSUP:
            raise StateError(
                'the board is not in lockstep with its plant: io.driver = "lockstep:NAME"'
            )
        if result == -errno.ETIMEDOUT:
            raise BoardError(errno.ETIMEDOUT, "no cycle ran in time: does a program run?")
        _check(result, "cannot step")

    def close(self) -> None:
        """Idempotent."""
        plant, self._plant = self._plant, ffi.NULL
        lib.sim_detach(plant)


def _check(result: int, text: str) -> None:
    if result < 0:
        raise BoardError(-result, f"{text}: {os.strerror(-result)}")
