# SPDX-License-Identifier: MIT
"""Pyro5 without what is dangerous in it; both ends use it through this file.

A Pyro5 daemon lets its client choose the serializer, and one of them is ``marshal``, whose reader
hostile bytes can crash; it makes objects of classes that the bytes name, unpacks compressed
messages of any size and starts a thread for each one-way call. So here there is one serializer,
msgpack with plain values only (an exception becomes a `CallRefused` with its text), and a
`ScreenedSocket` refuses every message that is not a plain call, before Pyro5 sees it. This holds
for all of the process.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Any

from Pyro5 import errors, protocol, serializers
from Pyro5.api import config

from serial_runtime.errors import CallRefused, ProtocolError

PLC_OBJECT, LINK_OBJECT = "PLCObject", "serial_runtime"
LONGEST_MESSAGE = 262_144  # bytes; nothing that is carried here is longer
_MESSAGE_S = 10.0  # for a message that has begun, and for each part of it
# tag, version, type, serializer, flags, sequence, data, annotations, correlation, reserved, magic
_HEADER = Struct("!4sHBBHHII16sHH")
_TAG = b"PYRO"


class _PlainMsgpack(serializers.MsgpackSerializer):  # type: ignore[misc]
    """Bytes, texts, numbers, lists and dictionaries; nothing that runs code on its way in."""

    def object_hook(self, obj: dict[str, Any]) -> Any:
        if obj.get("__exception__") is True:
            return CallRefused(" ".join(str(one) for one in obj.get("args") or ()))
        return obj

    def ext_hook(self, code: int, data: bytes) -> Any:
        raise errors.SerializeError(f"msgpack's extension {code} is not used here")

    def default(self, obj: Any) -> Any:
        if isinstance(obj, Exception):
            # No class of ours, which the other end may not have, and no traceback.
            name = "builtins.RuntimeError"
            return {"__class__": name, "__exception__": True, "args": [str(obj)], "attributes": {}}
        if isinstance(obj, set):  # Pyro's own, of method names
            return sorted(obj)
        raise errors.SerializeError(f"{type(obj).__name__} is no plain value")


config.reset(use_environment=False)
config.SERIALIZER = "msgpack"
config.MAX_MESSAGE_SIZE = LONGEST_MESSAGE
config.ITER_STREAMING = False
# A compressed message, which Pyro5 unpacks to a thousand times its size, is a wrong one.
protocol.FLAGS_COMPRESSED = 0
_plain = _PlainMsgpack()
for _table, _key in (
    (serializers.serializers, "msgpack"),
    (serializers.serializers_by_id, _plain.serializer_id),
):
    _table.clear()
    _table[_key] = _plain


class ScreenedSocket(socket.socket):
    """A connected socket from which only plain Pyro messages can be received.

    Between messages it waits for ever, within one for 10 s. Raises ProtocolError.
    """

    _head = b""  # of the present message, not handed out yet
    _left = 0  # bytes of the present message still to come

    is_idle = False
    """Whether it waits for a message to begin."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.recv`; ``b""`` at the end of the stream."""
        if size and not self._head and not self._left:
            self.begin()
        if self._head:
            part, self._head = self._head[:size], self._head[size:]
            return part
        data = super().recv(min(size, self._left))
        self._left -= len(data)
        return data

    def begin(self) -> int:
        """Wait for the next message; its type, -1 at the end of the stream."""
        self.settimeout(None)
        self.is_idle = True
        head = super().recv(1)
        self.is_idle = False
        self.settimeout(_MESSAGE_S)
        while head and len(head) < _HEADER.size:
            if not _TAG.startswith(head[:4]) and not head.startswith(_TAG):
                raise ProtocolError("no Pyro message")
            more = super().recv(_HEADER.size - len(head))
            head = head + more if more else b""
        if not head:
            return -1
        _, _, kind, serializer, flags, _, data_size, annotations_size, *_ = _HEADER.unpack(head)
        if serializer != _plain.serializer_id:
            raise ProtocolError("only msgpack is spoken here")
        if flags & ~protocol.FLAGS_CORR_ID or annotations_size:
            raise ProtocolError("no plain call")
        self._head, self._left = head, data_size
        return int(kind)
