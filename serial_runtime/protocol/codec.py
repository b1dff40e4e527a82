# SPDX-License-Identifier: MIT
"""The eRPC basic codec with every read checked.

The stock codec of the PyPI package trusts its input: a huge length gives a short result, a cut
message a ``struct.error``, a wrong message type a ``ValueError``. Here each of these is a
ProtocolError that names what was being read and where. The wire and the API are the same, and
generated stubs use either.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from struct import error as StructError

from serial_runtime.errors import ProtocolError
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VERSION = 1  # of the codec, in each message


class MessageType(IntEnum):
    """What a message is."""

    kInvocationMessage = 0
    kOnewayMessage = 1
    kReplyMessage = 2
    kNotificationMessage = 3


class MessageInfo(NamedTuple):
    """The head of a message."""

    type: MessageType
    service: int
    request: int
    sequence: int


_MESSAGE = Struct("<BBBBI")  # the message word's bytes from the lowest, then the sequence number
_TYPES = {kind.value: kind for kind in MessageType}


def _scalar(form: str, name: str) -> tuple[Callable[[Codec], Any], Callable[[Codec, Any], None]]:
    """The methods that read and write a value of a fixed size."""
    packed = Struct(form)

    def read(self: Codec) -> Any:
        cursor = self._cursor
        try:
            value = packed.unpack_from(self._buffer, cursor)[0]
        except StructError:
            raise self._cut(name, packed.size) from None
        self._cursor = cursor + packed.size
        return value

    def write(self: Codec, value: Any) -> None:
        try:
            self._buffer += packed.pack(value)
        except (StructError, OverflowError):
            raise ProtocolError(f"{value!r} does not fit {name}") from None
        self._cursor += packed.size

    return read, write


class Codec:
    """Reads and writes one message. Not thread-safe.

    Assign ``buffer`` to read, call ``reset`` to write and take ``buffer`` afterwards. Every
    ``read_`` and ``start_read_`` raises ProtocolError when the message is cut or malformed, every
    ``write_`` when the value does not fit its type.
    """

    _buffer: bytes | bytearray

    def __init__(self) -> None:
        self.reset()

    @property
    def buffer(self) -> bytes | bytearray:
        """The message."""
        return self._buffer

    @buffer.setter
    def buffer(self, message: bytes | bytearray) -> None:
        self._buffer = message
        self._cursor = 0

    def reset(self) -> None:
        """Begin a message to write."""
        self._buffer = bytearray()
        self._cursor = 0

    @property
    def remaining(self) -> int:
        """Bytes of the message not read yet."""
        return len(self._buffer) - self._cursor

    def expect_end(self) -> None:
        """Raise ProtocolError unless everything was read."""
        if self.remaining:
            raise ProtocolError(
                f"{self.remaining} bytes follow the last argument at offset {self._cursor}"
            )

    read_bool, write_bool = _scalar("<?", "bool")
    read_int8, write_int8 = _scalar("<b", "int8")
    read_int16, write_int16 = _scalar("<h", "int16")
    read_int32, write_int32 = _scalar("<i", "int32")
    read_int64, write_int64 = _scalar("<q", "int64")
    read_uint8, write_uint8 = _scalar("<B", "uint8")
    read_uint16, write_uint16 = _scalar("<H", "uint16")
    read_uint32, write_uint32 = _scalar("<I", "uint32")
    read_uint64, write_uint64 = _scalar("<Q", "uint64")
    read_float, write_float = _scalar("<f", "float")
    read_double, write_double = _scalar("<d", "double")

    def start_write_message(self, info: MessageInfo) -> None:
        """Write the message word and the sequence number."""
        kind, service, request, sequence = info
        self._buffer += _MESSAGE.pack(kind.value, request & 0xFF, service & 0xFF, VERSION, sequence)
        self._cursor += _MESSAGE.size

    def start_read_message(self) -> MessageInfo:
        """Read the message word and the sequence number."""
        word = self.read_uint32()
        sequence = self.read_uint32()
        version = word >> 24
        if version != VERSION:
            raise ProtocolError(f"codec version {version}, expected {VERSION}")
        kind = _TYPES.get(word & 0xFF)
        if kind is None:
            raise ProtocolError(f"unknown message type {word & 0xFF}")
        return MessageInfo(kind, word >> 16 & 0xFF, word >> 8 & 0xFF, sequence)

    def read_binary(self) -> bytes:
        """Read a length and that many bytes."""
        length = self.read_uint32()
        if length > self.remaining:
            raise self._cut("binary", length)
        start = self._cursor
        self._cursor = start + length
        return bytes(self._buffer[start : start + length])

    def read_string(self) -> str:
        """Read a string; it must be valid UTF-8."""
        start = self._cursor
        try:
            return self.read_binary().decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"string at offset {start} is not UTF-8: {error}") from None

    def start_read_list(self) -> int:
        """Read the number of items; each will need at least one byte."""
        count = self.read_uint32()
        if count > self.remaining:
            raise self._cut(f"list of {count} items", count)
        return int(count)

    def start_write_list(self, count: int) -> None:
        """Write the number of items."""
        self.write_uint32(count)

    def write_binary(self, value: bytes | bytearray | memoryview) -> None:
        """Write a length and the bytes."""
        self.write_uint32(len(value))
        self._buffer += value
        self._cursor += len(value)

    def write_string(self, value: str) -> None:
        """Write a string as UTF-8."""
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise ProtocolError(f"{value!r} cannot be sent as UTF-8: {error}") from None
        self.write_binary(data)

    def _cut(self, what: str, size: int) -> ProtocolError:
        return ProtocolError(
            f"message cut: {what} at offset {self._cursor} needs {size} bytes, "
            f"{max(0, self.remaining)} are left"
        )
