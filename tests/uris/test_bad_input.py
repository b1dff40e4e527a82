# SPDX-License-Identifier: MIT
"""What other runtimes exit, crash or go deaf on, over every way in.

After each bad input the next good call is served; where bytes arrive as they were sent, one that is
no frame ends its connection, and no other.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from erpc_message import message
from ways import AT_A_ROUTER, WAYS, Way

from serial_runtime.errors import LinkClosed
from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

# What leads to the server of ERPC://host in another way is the same here.
SAME = {"host:port", "socket://host", "LOCAL://"}
OTHERS = [name for name in (*WAYS, *AT_A_ROUTER) if name not in SAME]
pytestmark = pytest.mark.parametrize("way", OTHERS, indirect=True, scope="session")

LONG_S = 60.0
CLIENTS = 50
SILENCE_S = 0.15  # after which a line is in step again
STATUS_BODY = bytes.fromhex("0004010101000000")
STATUS = encode_frame(STATUS_BODY)


def call(method: int, arguments: bytes = b"", service: int = 1) -> bytes:
    return encode_frame(message(method, arguments, service=service))


def answer(method: int, outputs: bytes, service: int = 1) -> bytes:
    return message(method, outputs, service=service, kind=2)


def value(number: int) -> bytes:
    return struct.pack("<I", number)


# No frames.
START = call(Ide.STARTPLC_ID)
BROKEN = {
    "noise": random.Random(1).randbytes(3000),
    "noise of zeros": bytes(3000),
    "text": b"GET / HTTP/1.1\r\nHost: board\r\n\r\n",
    "a TLS client": bytes.fromhex("16030100f4010000f00303") + bytes(200),
    **{
        f"a flipped bit at {at}": START[:at] + bytes([START[at] ^ 0x10]) + START[at + 1 :]
        for at in (0, 3, 5, 6, 9, 13)
    },
    **{f"without byte {at}": START[:at] + START[at + 1 :] + bytes(3) for at in (0, 3, 5, 8, 10)},
    "a length that is a lie": b"\xff\xff\xff\xff\xff\xff" + bytes(20),
}

# Frames to which nobody answers.
SILENT = {
    "an empty body": encode_frame(b""),
    "less than a message": encode_frame(STATUS_BODY[:7]),
    "another codec": encode_frame(message(Ide.STARTPLC_ID, version=2)),
    "a reply": encode_frame(message(Ide.STARTPLC_ID, kind=2)),
    "a notification": encode_frame(message(Ide.STARTPLC_ID, kind=3)),
    "an unknown kind": encode_frame(message(Ide.STARTPLC_ID, kind=200)),
    "a cut envelope": encode_frame(message(0, service=2)),
    "a damaged envelope": encode_frame(message(4, bytes(16), service=2)),
    "a reply in an envelope": encode_frame(envelope.encode(envelope.REPLY, 1, 2, 3, 1, 4, 0)),
    "a goodbye of nobody": encode_frame(envelope.encode(envelope.ONEWAY, 1, 2, 3, 2, 255, 0)),
}


class Outputs(NamedTuple):
    """Of a method: what it takes, and what its client decodes when it is refused."""

    method: int
    refused: bytes


SHAPES = [
    Outputs(Ide.APPENDCHUNKTOBLOB_ID, bytes(4)),
    Outputs(Ide.GETLOGMESSAGE_ID, bytes(16)),
    Outputs(Ide.GETTRACEVARIABLES_ID, bytes.fromhex("0300000000000000")),
    Outputs(Ide.MATCHMD5_ID, b"\0"),
    Outputs(Ide.NEWPLC_ID, b"\0"),
    Outputs(Ide.SEEDBLOB_ID, bytes(4)),
    Outputs(Ide.SETTRACEVARIABLESLIST_ID, bytes.fromhex("fcffffff")),
]
SHORT = (Ide.GETTRACEVARIABLES_ID, Ide.GETLOGMESSAGE_ID)  # of four and five bytes

# Calls that are answered, and how.
ANSWERED = {
    **{
        f"method {method} of service {service}": (
            call(method, service=service),
            answer(method, value(2), service),
        )
        for service, method in [(1, 0), (1, 15), (1, 255), (3, 4), (0, 1)]
    },
    **{
        f"method {method} with {arguments!r}": (
            call(method, arguments[:3] if method in SHORT else arguments),
            answer(method, refused + value(22)),
        )
        for method, refused in SHAPES
        for arguments in (b"", b"\1", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fabc")
    },
    "text that is no UTF-8": (
        call(Ide.MATCHMD5_ID, b"\2\0\0\0\xff\xfe"),
        answer(Ide.MATCHMD5_ID, b"\0" + value(22)),
    ),
    "start without a program": (START, answer(Ide.STARTPLC_ID, value(1))),
    "stop without a program": (
        call(Ide.STOPPLC_ID),
        answer(Ide.STOPPLC_ID, b"\0" + value(0)),
    ),
    "an unknown blob": (
        call(Ide.APPENDCHUNKTOBLOB_ID, bytes(8)),
        answer(Ide.APPENDCHUNKTOBLOB_ID, bytes(4) + value(0)),
    ),
    "an unknown token": (
        call(Ide.GETTRACEVARIABLES_ID, b"\7\0\0\0"),
        answer(Ide.GETTRACEVARIABLES_ID, bytes.fromhex("0300000000000000") + value(0)),
    ),
    "a line that is not in the log": (
        call(Ide.GETLOGMESSAGE_ID, b"\1\xff\xff\0\0"),
        answer(Ide.GETLOGMESSAGE_ID, bytes(16) + value(2)),
    ),
    "a program that was not uploaded": (
        call(Ide.NEWPLC_ID, bytes(12)),
        answer(Ide.NEWPLC_ID, b"\0" + value(0)),
    ),
    "an empty trace list": (
        call(Ide.SETTRACEVARIABLESLIST_ID, bytes(4)),
        answer(Ide.SETTRACEVARIABLESLIST_ID, struct.pack("<iI", -5, 0)),
    ),
    "a variable that does not exist": (
        call(Ide.SETTRACEVARIABLESLIST_ID, struct.pack("<III", 1, 4000, 0)),
        answer(Ide.SETTRACEVARIABLESLIST_ID, struct.pack("<iI", -4, 0)),
    ),
    "64 KiB": (
        call(Ide.APPENDCHUNKTOBLOB_ID, value(65535 - 16) + bytes(65535 - 16) + bytes(4)),
        answer(Ide.APPENDCHUNKTOBLOB_ID, bytes(4) + value(0)),
    ),
}


class End:
    """The client's end of a connection, as bytes."""

    def __init__(self, way: Way) -> None:
        self.transport = way.open()
        self._replies = FrameDecoder(65535, 0.1)
        self._found: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def reply(self) -> bytes:
        """The body of the next frame."""
        while not self._found:
            data = self.transport.read(LONG_S)
            assert data, f"no reply within {LONG_S:g} s"
            self._found = [frame.body for frame in self._replies.feed(data, 0.0)]
        return self._found.pop(0)

    def serves(self, after: bytes = b"") -> None:
        """The next good request is served, one that comes right after these bytes."""
        self.send(after + STATUS)
        assert self.reply()[:8] == b"\2" + STATUS_BODY[1:]

    def is_silent(self) -> None:
        """The line is quiet, and in step again."""
        assert self.transport.read(SILENCE_S) == b""


@pytest.fixture
def end(way: Way) -> Iterator[End]:
    end = End(way)
    yield end
    end.transport.close()


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_frame(way: Way, end: End, name: str) -> None:
    if way.forgives:
        end.send(BROKEN[name])
        end.is_silent()
        end.serves()
        return
    other = End(way)
    other.serves()
    with pytest.raises(LinkClosed):
        end.serves(after=BROKEN[name])
    other.serves()
    other.transport.close()


@pytest.mark.parametrize("name", SILENT)
def test_what_is_not_answered(end: End, name: str) -> None:
    end.send(SILENT[name])
    end.serves()


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_refused(end: End, name: str) -> None:
    request, reply = ANSWERED[name]
    end.send(request)
    assert end.reply() == reply
    end.serves()


def test_envelopes_of_nobody_are_told_so(end: End) -> None:
    stranger = envelope.encode(envelope.CALL, 1, 2, 3, 1, Ide.STARTPLC_ID, 0)
    end.send(encode_frame(stranger))
    found = envelope.decode(end.reply())
    assert found.status == envelope.OTHER_BOOT
    end.send(encode_frame(envelope.encode(envelope.CALL, 1, 2, found.boot_id, 1, 13, 0)))
    assert envelope.decode(end.reply()).status == envelope.UNKNOWN_SESSION
    end.serves()


def test_a_client_that_vanishes(way: Way, end: End) -> None:
    end.send(STATUS[:9])
    end.transport.close()
    after = End(way)
    if way.forgives:
        after.is_silent()
    after.serves()
    after.transport.close()


def test_a_client_that_pauses_within_a_frame(way: Way, end: End) -> None:
    """Where nothing is lost a pause means nothing; on a line the frame has ended."""
    end.send(STATUS[:9])
    assert end.transport.read(SILENCE_S) == b""
    end.send(STATUS[9:])
    if way.forgives:
        end.is_silent()
        end.serves()
    else:
        assert end.reply()[:8] == b"\2" + STATUS_BODY[1:]


def test_many_clients_at_once(way: Way) -> None:
    if not way.parallel:
        pytest.skip("a line has one end")
    ends = [End(way) for _ in range(CLIENTS)]

    def ask(end: End) -> None:
        for _ in range(20):
            end.serves()

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert len(list(pool.map(ask, ends))) == CLIENTS
    for end in ends:
        end.transport.close()
