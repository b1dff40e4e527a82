# SPDX-License-Identifier: MIT
"""The bytes of the service 2 envelope; what they mean is in ``session``.

An envelope is one eRPC message: the 8 header bytes every eRPC peer knows, then

====== ==== ========================================================================
offset type field
====== ==== ========================================================================
0      u32  word: 0x01020000 a call, 0x01020001 a call without reply, 0x01020002 reply
4      u32  request number
8      u32  session
12     u32  boot id
16     u32  CRC-32 (that of zlib) of the whole message, this field taken as 0
20     u8   service of the call inside
21     u8   method of the call inside
22     u16  in a call: flags, see ORDERED and BACK; in a reply: status, see TOOK and RESTARTS
24          the call's arguments or outputs, without an eRPC header
====== ==== ========================================================================
"""

from __future__ import annotations

import zlib
from struct import Struct

from serial_runtime.errors import ProtocolError
from serial_runtime.named_tuple import NamedTuple

SERVICE = 2  # of the envelope itself, and of our own calls inside it
OVERHEAD = 24
LEAST_FRAME = 256  # body that every board takes

CALL = 0x01020000
ONEWAY = 0x01020001
REPLY = 0x01020002

# Methods of service 2 that belong to the envelope; the others are described in board.erpc.
HELLO = 0  # opens a session
BYE = 255  # closes it; always ONEWAY

# Statuses of a reply: the low 4 bits.
STATUS = 0x000F
DONE = 0  # the outputs follow
IN_PROGRESS = 1  # queued or running: wait
UNKNOWN_SESSION = 2  # not executed: say hello again
OTHER_BOOT = 3  # not executed: the board has restarted
REFUSED = 4  # a refusal follows (see ``refusal``)
UNSUPPORTED = 5  # no such service or method
BUSY = 6  # not executed: beyond the window
RESTARTS = 0x8000  # beside DONE: the last answer of this boot, the next call is for another
TOOK = 0x7FF0  # milliseconds the board worked on the call; 2047 is "that long or longer"
TOOK_SHIFT = 4
MOST_TOOK_MS = 2047

# Flags of a call.
ORDERED = 0x8000  # execute only after every lower request the client still awaits
BACK = 0x0FFF  # this number less the lowest request number the client still awaits

# Flags of a HELLO.
BRIDGED = 0x0001  # the caller is not at the line: a bridge speaks for others

_HEADER = Struct("<IIIIIBBH")
_CALLED = Struct("<BBH")
_BEFORE_CRC = slice(0, 16)
_AFTER_CRC = slice(20, None)
_NO_CRC = bytes(4)


class Envelope(NamedTuple):
    """A decoded envelope; its CRC was right."""

    word: int
    number: int
    session: int
    boot_id: int
    service: int
    method: int
    status: int  # of a reply; the flags of a call
    payload: bytes


class Hello(NamedTuple):
    """The outputs of HELLO: what the board takes."""

    version: int  # of the envelope: 1
    window: int  # requests it accepts in flight
    window_bytes: int  # and their bytes, frames included
    max_frame: int  # longest frame body, at least LEAST_FRAME


_HELLO_CALL = Struct("<HH")
_HELLO_REPLY = Struct("<HHII")
VERSION = 1


def encode(
    word: int,
    number: int,
    session: int,
    boot_id: int,
    service: int,
    method: int,
    status: int,
    payload: bytes = b"",
) -> bytes:
    """Build the frame body of an envelope."""
    head = _HEADER.pack(word, number, session, boot_id, 0, service, method, status)
    crc = zlib.crc32(payload, zlib.crc32(head))
    return _HEADER.pack(word, number, session, boot_id, crc, service, method, status) + payload


def is_envelope(body: bytes) -> bool:
    """Whether a frame body claims to be an envelope (service 2, any method and type)."""
    return len(body) >= 4 and body[2] == SERVICE and body[3] == 1


def holds_result(body: bytes) -> bool:
    """Whether an encoded reply is that of a call that was executed (not a HELLO's)."""
    service, method, status = _CALLED.unpack_from(body, 20)
    return status & STATUS in (DONE, REFUSED) and (service, method) != (SERVICE, HELLO)


def decode(body: bytes) -> Envelope:
    """Take an envelope apart; ProtocolError when it is cut, foreign or damaged."""
    if len(body) < OVERHEAD:
        raise ProtocolError(f"an envelope of {len(body)} bytes, the least is {OVERHEAD}")
    word, number, session, boot_id, crc, service, method, status = _HEADER.unpack_from(body)
    if word not in (CALL, ONEWAY, REPLY):
        raise ProtocolError(f"message word {word:#010x} is no envelope")
    found = zlib.crc32(body[_AFTER_CRC], zlib.crc32(_NO_CRC, zlib.crc32(body[_BEFORE_CRC])))
    if found != crc:
        raise ProtocolError(f"the envelope's CRC is {crc:#010x}, its content's {found:#010x}")
    return Envelope(word, number, session, boot_id, service, method, status, bytes(body[OVERHEAD:]))


def encode_hello_call(flags: int = 0) -> bytes:
    """The arguments of HELLO: the version, and flags of the client."""
    return _HELLO_CALL.pack(VERSION, flags)


def decode_hello_call(payload: bytes) -> int:
    """The flags in the arguments of HELLO."""
    if len(payload) < _HELLO_CALL.size:
        return 0
    flags: int = _HELLO_CALL.unpack_from(payload)[1]
    return flags


def encode_hello_reply(hello: Hello) -> bytes:
    """The outputs of HELLO."""
    return _HELLO_REPLY.pack(*hello)


def decode_hello_reply(payload: bytes) -> Hello:
    """The outputs of HELLO; what a later version appends is passed over. ProtocolError."""
    if len(payload) < _HELLO_REPLY.size:
        raise ProtocolError(f"a hello of {len(payload)} bytes, the least is {_HELLO_REPLY.size}")
    hello = Hello(*_HELLO_REPLY.unpack_from(payload))
    if hello.window == 0 or hello.max_frame < LEAST_FRAME:
        raise ProtocolError(
            f"the board takes {hello.window} requests of up to {hello.max_frame} bytes; "
            f"no call can be made with less than one of {LEAST_FRAME}"
        )
    return hello
