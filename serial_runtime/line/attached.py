# SPDX-License-Identifier: MIT
"""Ends at what there is already: an emulator's UART, or a serial device with a board behind it.

Both come and go: an emulator is restarted, an adapter pulled out. So they are opened when the cable
looks whether they are open, which it does all the time, and opened again when they were lost.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from serial_runtime.errors import ConfigError
from serial_runtime.line.end import End

_UNIX = "unix:"
_UNIX_PATH_BYTES = 107
# Few, so that a slow reader pushes back as a tty does; the kernel makes more of it.
_SOCKET_HOLDS = 4096


def attached_end(where: str, baud: float | None) -> Callable[[], End]:
    """What makes the end for ``unix:PATH`` or a device. ConfigError; neither need be there yet."""
    if where.startswith(_UNIX):
        path = where.removeprefix(_UNIX)
        if not 0 < len(os.fsencode(path)) <= _UNIX_PATH_BYTES:
            raise ConfigError(f"{where}: a socket's path has 1 to {_UNIX_PATH_BYTES} bytes")
        return partial(SocketEnd, path)
    if not where.startswith("/"):
        raise ConfigError(f"{where!r} is nothing to attach to; give unix:PATH or a device's path")
    if baud is None or baud != int(baud):
        raise ConfigError(f"{where} is a device and needs a rate: --baud N")
    return partial(DeviceEnd, where, int(baud))


class SocketEnd:
    """A client of a unix stream socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = _unconnected()
        self._connected = False

    @property
    def master(self) -> int:
        return self._socket.fileno()

    def is_open(self) -> bool:
        if not self._connected:
            try:
                self._socket.connect(self._path)
            except OSError:  # it is not there, or nobody listens
                return False
            self._connected = True
        return True

    def read(self, size: int) -> bytes:
        if not self._connected:
            return b""
        try:
            data = self._socket.recv(size)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._lost()
        return data

    def write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._lost()
            return len(data)

    def baud(self) -> int:
        return 0

    def unread(self) -> int:
        return 0

    def close(self) -> None:
        self._socket.close()

    def _lost(self) -> None:
        self._socket.close()
        self._socket, self._connected = _unconnected(), False


class DeviceEnd:
    """A serial device, opened for ourselves alone."""

    def __init__(self, path: str, baud: int) -> None:
        self._path, self._baud = path, baud
        self._port: Any = None  # pyserial's, while it is open
        self._hung_up = select.poll()

    @property
    def master(self) -> int:
        return int(self._port.fileno())

    def is_open(self) -> bool:
        if self._port is None:
            import serial  # only who attaches a device needs it

            try:
                self._port = serial.Serial(self._path, self._baud, timeout=0, exclusive=True)
            except (OSError, ValueError):  # pyserial's own error is an OSError
                return False
            self._hung_up.register(self.master, 0)
        return True

    def read(self, size: int) -> bytes:
        if self._port is None:
            return b""
        try:
            data = os.read(self.master, size)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data and self._hung_up.poll(0):  # nothing is no end: the port has VMIN = 0
            self.close()
        return data

    def write(self, data: bytes | bytearray | memoryview) -> int:
        if self._port is None:
            return len(data)
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return len(data)

    def baud(self) -> int:
        return self._baud

    def unread(self) -> int:
        return 0

    def close(self) -> None:
        if self._port is not None:
            self._hung_up.unregister(self.master)
            self._port.close()
            self._port = None


def _unconnected() -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_HOLDS)
    return one
