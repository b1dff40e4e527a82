# SPDX-License-Identifier: MIT
"""The parts of the process image that have an I/O thread, seen from Python: what `board.Board` is
told of them, and the ports through which threads reach them.
"""

from __future__ import annotations

from typing import Any

from serial_runtime.board_native import ffi, lib, text_of
from serial_runtime.board_types import GpioChip, GpioState, IoNews, IoPart
from serial_runtime.errors import StateError
from serial_runtime.iec.location import AREA_BYTES


class PartPort:
    """One part of the board of this process, by its place in `Options.io_parts`.

    `publish` and `take`: the one thread that serves it. `look` and `gpio`: any thread. StateError
    when the board was closed.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._taken = ffi.new("uint8_t[]", AREA_BYTES)

    def publish(self, inputs: bytes | bytearray) -> None:
        """Whole %I, of which the part's bits count, for the cycle."""
        _check(lib.board_io_publish(self._index, ffi.from_buffer("uint8_t[]", inputs)))

    def take(self) -> tuple[IoNews, bytes]:
        """What shall be put out: whole %Q, of which the part's bits count."""
        news = _check(lib.board_io_take(self._index, self._taken))
        return IoNews(news), bytes(ffi.buffer(self._taken))

    def look(self) -> tuple[bytes, bytes]:
        """%I and %Q as its I/O thread had them last."""
        inputs, outputs = ffi.new("uint8_t[]", AREA_BYTES), ffi.new("uint8_t[]", AREA_BYTES)
        _check(lib.board_io_look(self._index, inputs, outputs))
        return bytes(ffi.buffer(inputs)), bytes(ffi.buffer(outputs))

    def gpio(self) -> GpioState:
        """How the chip does, of a part that has one."""
        report = ffi.new("struct io_gpio_report *")
        _check(lib.board_io_gpio(self._index, report))
        return GpioState(text_of(report.text), report.since_ns, -report.priority)


def _check(result: int) -> int:
    if result < 0:
        raise StateError("the board has no such part of process I/O, or was closed")
    return result


def native_parts(parts: tuple[IoPart, ...]) -> tuple[Any, list[Any]]:
    """`struct board_io_part[]`, and what must live as long as it."""
    native = ffi.new("struct board_io_part[]", len(parts))
    keep: list[Any] = []

    def area(content: bytes) -> Any:
        if len(content) != AREA_BYTES:
            raise ValueError(f"an area has {AREA_BYTES} bytes, not {len(content)}")
        keep.append(ffi.from_buffer("uint8_t[]", content))
        return keep[-1]

    for row, part in zip(native, parts, strict=True):
        row.inputs, row.outputs = area(part.inputs), area(part.outputs)
        row.lost, row.safe = area(part.lost), area(part.safe)
        row.stale_ns = part.stale_ns
        if part.gpio is not None:
            row.gpio = _gpio(part.gpio, row, area(part.gpio.quality), keep)
    return native, keep


def _gpio(chip: GpioChip, row: Any, quality: Any, keep: list[Any]) -> Any:
    name = ffi.new("char[]", chip.chip.encode())
    lines = ffi.new("struct io_gpio_line[]", [line._asdict() for line in chip.lines])
    options = ffi.new(
        "struct io_gpio_options *",
        {
            "chip": name,
            "lines": lines,
            "line_count": len(chip.lines),
            "priority": chip.priority,
            "poll_ns": chip.poll_ns,
            "quality": quality,
            "lost": row.lost,
            "safe": row.safe,
        },
    )
    keep += [name, lines, options]
    return options
