# SPDX-License-Identifier: MIT
"""Messages of a link in words, for whoever wants to see what went over a line.

One line a message: time, direction, what it is, its arguments' first bytes. Nothing that may hold
a secret is shown: not the bytes of GetPLCID, and of other messages only the first ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from serial_runtime.errors import ProtocolError
from serial_runtime.protocol import envelope
from serial_runtime.protocol.refusal import decode_refusal
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

_PLAIN = Struct("<II")
_KINDS = {0: "call", 1: "call without reply", 2: "reply", 3: "notification"}
_WORDS = {envelope.CALL: 0, envelope.ONEWAY: 1, envelope.REPLY: 2}
_STATUSES = {
    envelope.DONE: "done",
    envelope.IN_PROGRESS: "in progress",
    envelope.UNKNOWN_SESSION: "unknown session",
    envelope.OTHER_BOOT: "other boot",
    envelope.REFUSED: "refused",
    envelope.UNSUPPORTED: "unsupported",
    envelope.BUSY: "busy",
}
_SECRET = {(Ide.SERVICE_ID, Ide.GETPLCID_ID)}
_SHOWN = 16  # bytes of the arguments


def _names(service: str, interface: type) -> dict[int, str]:
    """Method names by id, from the generated constants."""
    methods = {name.upper(): name for name in dir(interface)}
    return {
        getattr(interface, constant): f"{service}.{methods[constant[:-3]]}"
        for constant in dir(interface)
        if constant.endswith("_ID") and constant[:-3] in methods
    }


_METHODS = {
    Ide.SERVICE_ID: _names("ide", Ide),
    IBoardService.SERVICE_ID: {
        envelope.HELLO: "hello",
        envelope.BYE: "bye",
        **_names("board", IBoardService),
    },
}


def lines(messages: Iterable[tuple[float, str, bytes, str]], now_s: float) -> list[str]:
    """The messages of `Link.recent`, with times before `now_s` (the same clock)."""
    return [
        f"{time_s - now_s:9.3f} s {direction} {describe(body)}" + (f"  ({note})" if note else "")
        for time_s, direction, body, note in messages
    ]


def describe(body: bytes) -> str:
    """One frame body in words; any bytes."""
    if len(body) < _PLAIN.size:
        return f"{len(body)} bytes that are no message: {_hex(body)}"
    if envelope.is_envelope(body):
        try:
            return _envelope(envelope.decode(body))
        except ProtocolError as error:
            return f"{error}: {_hex(body)}"
    word, sequence = _PLAIN.unpack_from(body)
    kind, method, service = word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF
    head = f"{_KINDS.get(kind, f'type {kind}')} {_name(service, method)}, sequence {sequence}"
    return f"{head}, {_payload(service, method, body[_PLAIN.size :])}"


def _envelope(message: envelope.Envelope) -> str:
    service, method = message.service, message.method
    parts = [
        f"{_KINDS[_WORDS[message.word]]} {_name(service, method)}",
        f"number {message.number}",
        f"session {message.session:08x}",
        f"boot {message.boot_id:08x}",
    ]
    if message.word == envelope.REPLY:
        status = message.status & envelope.STATUS
        parts.append(_STATUSES.get(status, f"status {status}"))
        if message.status & envelope.RESTARTS:
            parts.append("the board restarts")
        took_ms = (message.status & envelope.TOOK) >> envelope.TOOK_SHIFT
        if took_ms:
            parts.append(f"worked {took_ms} ms")
        if status == envelope.REFUSED:
            return ", ".join([*parts, repr(str(decode_refusal(message.payload)))])
    else:
        parts.append(f"back {message.status & envelope.BACK}")
        if message.status & envelope.ORDERED:
            parts.append("ordered")
        rest = message.status & ~(envelope.BACK | envelope.ORDERED)
        if rest:
            parts.append(f"flags {rest:#06x}")
    return ", ".join([*parts, _payload(service, method, message.payload)])


def _name(service: int, method: int) -> str:
    return _METHODS.get(service, {}).get(method, f"service {service} method {method}")


def _payload(service: int, method: int, payload: bytes) -> str:
    if not payload:
        return "no arguments"
    if (service, method) in _SECRET:
        return f"{len(payload)} bytes, not shown"
    return f"{len(payload)} bytes: {_hex(payload)}"


def _hex(data: Sequence[int]) -> str:
    shown = bytes(data[:_SHOWN]).hex(" ")
    return f"{shown} ..." if len(data) > _SHOWN else shown
