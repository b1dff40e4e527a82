# SPDX-License-Identifier: MIT
"""The C extension, and what passing values to it and back takes; for the ``board*`` modules.

Its only importer. Each call releases the GIL while it is in C.
"""

from __future__ import annotations

import errno
import os
import sys

from serial_runtime.board_types import Image, Task, Variable
from serial_runtime.errors import (
    BoardError,
    ImageError,
    NewProcessNeeded,
    ProgramFault,
    StateError,
    VariableError,
)

try:
    from serial_runtime import _board
except ImportError as error:
    if "cannot be dlopen()ed" not in str(error):
        raise
    raise BoardError(
        errno.ELIBACC,
        "these Xenomai libraries cannot be loaded by Python: run xenomai-python -m serial_runtime "
        "instead of serial-runtime, or configure them with --enable-dlopen-libs",
    ) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


ffi, lib = _board.ffi, _board.lib

# What a bare interpreter needs in its path to import serial_runtime._board.
EXTENSION_FOLDERS = (
    os.path.dirname(os.path.dirname(__file__)),
    os.path.dirname(str(sys.modules["_cffi_backend"].__file__)),
)

TEXT_BYTES = 512  # of a sentence


class Why:
    """A buffer for the sentence of a refusal, and the exception made of it."""

    __slots__ = ("buffer",)

    def __init__(self) -> None:
        self.buffer = ffi.new("char[]", TEXT_BYTES)

    def text(self) -> str:
        """What the shim has written."""
        return text_of(self.buffer)

    def check(self, result: int) -> int:
        """Return ``result``, or raise what a negative one stands for (the table is in shim.h)."""
        if result >= 0:
            return result
        text = self.text()
        if result == -errno.EBUSY:
            raise StateError(text)
        if result == -errno.ENOEXEC:
            raise ImageError(text)
        if result == -errno.EFAULT:
            raise ProgramFault(text)
        if result == -errno.EINVAL:
            raise VariableError(text)
        raise BoardError(-result, text)

    def check_image(self, result: int) -> None:
        """The same of an image that is opened: it is to blame for all but the board's state."""
        if result == -errno.ESTALE:
            raise NewProcessNeeded(self.text())
        if result < 0 and result != -errno.EBUSY:
            raise ImageError(self.text())
        self.check(result)


def text_of(pointer: Any) -> str:
    """A string of C."""
    return bytes(ffi.string(pointer)).decode("utf-8", "replace")


def image_of(
    native: Any, task: Callable[[int, Any], int], variable: Callable[[int, Any], int]
) -> Image:
    """Of a ``struct board_image``; the functions of the shim fill in its tasks and variables."""
    return Image(
        name=text_of(native.name),
        build_id=text_of(native.build_id),
        tasks=tuple(_task(index, task) for index in range(native.task_count)),
        variables=tuple(_variable(index, variable) for index in range(native.variable_count)),
        beremiz=native.beremiz,
    )


def _task(index: int, fill: Callable[[int, Any], int]) -> Task:
    native = ffi.new("struct board_task *")
    fill(index, native)
    return Task(text_of(native.name), native.interval_ns, native.priority, native.thread)


def _variable(index: int, fill: Callable[[int, Any], int]) -> Variable:
    native = ffi.new("struct board_variable *")
    fill(index, native)
    return Variable(
        index,
        text_of(native.path),
        native.type,
        native.direction,
        text_of(native.location),
        native.options,
        native.capacity,
    )


def orders_of(values: Mapping[int, bytes]) -> tuple[Any, list[Any]]:
    """Values by index for the shim, and the buffers, which must outlive the call."""
    orders = ffi.new("struct force_order[]", max(len(values), 1))
    keep = []
    for order, (index, value) in zip(orders, values.items(), strict=False):
        order.index = _index(index)
        order.size = len(value)
        order.wire = ffi.from_buffer("uint8_t[]", value)
        keep.append(order.wire)
    return orders, keep


def indices_of(indices: Sequence[int]) -> Any:
    """The same of bare indices."""
    return ffi.new("uint32_t[]", [_index(index) for index in indices])


def _index(index: int) -> int:
    if not 0 <= index < 1 << 32:
        raise VariableError(f"there is no variable {index}")
    return index
