# SPDX-License-Identifier: MIT
"""The eRPC basic codec with every read checked.

The stock codec of the PyPI package trusts its input: a huge length gives a short result, a cut
message a ``struct.error``, a wrong message type a ``ValueError``. Here each of these is a
ProtocolError that names what was being read and where. The wire is the same, and generated stubs
use either.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from erpc.basic_codec import BasicCodec
from erpc.codec import MessageInfo, MessageType

from serial_runtime.errors import ProtocolError

_NAMES = {
    "<?": "bool",
    "<b": "int8",
    "<h": "int16",
    "<i": "int32",
    "<q": "int64",
    "<B": "uint8",
    "<H": "uint16",
    "<I": "uint32",
    "<Q": "uint64",
    "<f": "float",
    "<d": "double",
}
_FORMS = {form: Struct(form) for form in _NAMES}
_U32 = _FORMS["<I"]
_MESSAGE = Struct("<BBBBI")  # the message word's bytes from the lowest, then the sequence number
_TYPES = {kind.value: kind for kind in MessageType}


class Codec(BasicCodec):  # type: ignore[misc]  # erpc has no types
    """Reads and writes one message. Not thread-safe.

    Assign ``buffer`` to read, call ``reset`` to write and take ``buffer`` afterwards. Every
    ``read_`` and ``start_read_`` raises ProtocolError when the message is cut or malformed, every
    ``write_`` when the value does not fit its type.
    """

    _buffer: bytes | bytearray
    _cursor: int

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

    def _read(self, form: str) -> int | float | bool:
        packed = _FORMS[form]
        cursor = self._cursor
        try:
            value: int | float | bool = packed.unpack_from(self._buffer, cursor)[0]
        except StructError:
            raise self._cut(_NAMES[form], packed.size) from None
        self._cursor = cursor + packed.size
        return value

    def _write(self, form: str, value: int | float | bool) -> None:
        packed = _FORMS[form]
        try:
            self._buffer += packed.pack(value)
        except (StructError, OverflowError):
            raise ProtocolError(f"{value!r} does not fit {_NAMES[form]}") from None
        self._cursor += packed.size

    # These three carry most of the traffic: without the detour over _read and _write.

    def read_uint32(self) -> int:
        """Read 32 bits."""
        cursor = self._cursor
        try:
            value: int = _U32.unpack_from(self._buffer, cursor)[0]
        except StructError:
            raise self._cut("uint32", _U32.size) from None
        self._cursor = cursor + _U32.size
        return value

    def write_uint32(self, value: int) -> None:
        """Write 32 bits."""
        try:
            self._buffer += _U32.pack(value)
        except (StructError, OverflowError):
            raise ProtocolError(f"{value!r} does not fit uint32") from None
        self._cursor += _U32.size

    def start_write_message(self, info: MessageInfo) -> None:
        """Write the message word and the sequence number."""
        kind, service, request, sequence = info
        self._buffer += _MESSAGE.pack(
            kind.value, request & 0xFF, service & 0xFF, self.BASIC_CODEC_VERSION, sequence
        )
        self._cursor += _MESSAGE.size

    def start_read_message(self) -> MessageInfo:
        """Read the message word and the sequence number."""
        word = self.read_uint32()
        sequence = self.read_uint32()
        version = word >> 24
        if version != self.BASIC_CODEC_VERSION:
            raise ProtocolError(f"codec version {version}, expected {self.BASIC_CODEC_VERSION}")
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
