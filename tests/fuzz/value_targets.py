# SPDX-License-Identifier: MIT
"""Text and values: URIs, profiles, IEC literals, IEC values on the wire, batches of a trace."""

from __future__ import annotations

import contextlib

from fuzz.script import Script

from serial_runtime import iec
from serial_runtime.errors import ConfigError, ProtocolError, UriError, VariableError
from serial_runtime.iec import IecType
from serial_runtime.plc.trace_coding import COLUMNS, FOLLOWS, Packed, TraceCoding, supported
from serial_runtime.profile_file import parse_profile
from serial_runtime.transport.uri import parse

KINDS = list(IecType)


def uri(data: bytes) -> None:
    """Connection URIs; also of arguments that are no UTF-8."""
    with contextlib.suppress(UriError):
        parse(data.decode("utf-8", "surrogateescape"))


def profile(data: bytes) -> None:
    """The board's profile."""
    try:
        found = parse_profile(data.decode("utf-8", "replace"))
    except ConfigError:
        return
    assert 0 <= found.rt.priority <= 98
    assert found.serial.baud > 0


def literal(data: bytes) -> None:
    """IEC literals: what is accepted is shown as a literal that means the same."""
    script = Script(data)
    kind = KINDS[script.number() % len(KINDS)]
    text = script.rest().decode("utf-8", "replace")
    try:
        packed = iec.parse(kind, text)
    except VariableError:
        return
    value, end = iec.unpack(kind, packed)
    assert end == len(packed)
    assert iec.parse(kind, iec.format(kind, value)) == packed


def value(data: bytes) -> None:
    """IEC values as they come from the peer."""
    script = Script(data)
    kind = script.number()
    body = script.rest()
    try:
        found, end = iec.unpack(kind, body)
    except ProtocolError:
        return
    text = iec.format(kind, found)
    if kind not in (IecType.DATE, IecType.TOD, IecType.REAL, IecType.LREAL, IecType.BOOL):
        assert iec.parse(kind, text) == body[:end]


def trace_batch(data: bytes) -> None:
    """Batches of a trace, as the board sends them and as another one might."""
    script = Script(data)
    kinds = [KINDS[number % len(KINDS)] for number in script.piece()]
    coding, records, before = script.number(), script.number(2), script.piece()
    body = script.rest()
    host = TraceCoding(kinds)
    try:
        found = host.unpack(Packed(coding, records, body), before)
    except ProtocolError:
        pass
    else:
        assert len(found) == records
        assert sum(map(len, found)) <= 256 << 10 or not coding & 3
    # The same bytes as records, through the board's own half.
    sent = [(index.to_bytes(4, "little") + b"\x08\0\0\0" + body[at : at + 8].ljust(8, b"\0"))
            for index, at in enumerate(range(0, len(body) + 1, 8))]  # fmt: skip
    board = TraceCoding(kinds if sum(board_widths(kinds)) <= 8 else [], supported())
    packed = board.pack(sent, sent[0] if coding & FOLLOWS else b"", 4096)
    again = TraceCoding(kinds if sum(board_widths(kinds)) <= 8 else [])
    assert again.unpack(packed, sent[0]) == sent[: packed.records]
    assert packed.coding & ~(COLUMNS | FOLLOWS | 3) == 0


def board_widths(kinds: list[IecType]) -> list[int]:
    """The least bytes of these values."""
    return [iec.wire_size(kind) for kind in kinds]
