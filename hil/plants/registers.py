# SPDX-License-Identifier: MIT
"""A Modbus RTU slave on the far end of a board's second UART: wires of a plant beyond the pins."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping

UNIT = 1
_COUNT = 16
_SHORTEST = 8  # bytes of a request, but for writing several registers
_READ_COILS, _READ_DISCRETES, _READ_HOLDING, _READ_INPUT = 1, 2, 3, 4
_WRITE_COIL, _WRITE_ONE, _WRITE_COILS, _WRITE_MANY = 5, 6, 15, 16
_LONG = (_WRITE_COILS, _WRITE_MANY)  # with their own length
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS = 1, 2
_COIL_ON = 0xFF00


class Registers:
    """Input registers and discrete inputs, which the board reads; holding registers and coils,
    which it writes.

    The rig's own, so that nothing of the runtime's Modbus code is on both ends. Served by a thread.
    """

    def __init__(self, line: socket.socket) -> None:
        """`line` carries the bytes of the UART; closed with this."""
        self._line = line
        self._lock = threading.Lock()
        self._tables = {
            function: [0] * _COUNT
            for function in (_READ_COILS, _READ_DISCRETES, _READ_HOLDING, _READ_INPUT)
        }
        self.requests = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._serve, name="registers", daemon=True)
        self._thread.start()

    def put(self, words: Mapping[int, int], bits: Mapping[int, bool]) -> None:
        """What the board shall read, all of it at once."""
        with self._lock:
            for address, value in words.items():
                self._tables[_READ_INPUT][address] = value & 0xFFFF
            for address, bit in bits.items():
                self._tables[_READ_DISCRETES][address] = int(bit)

    def word(self, address: int) -> int:
        """What the board wrote last to a holding register."""
        with self._lock:
            return self._tables[_READ_HOLDING][address]

    def bit(self, address: int) -> bool:
        """What it wrote last to a coil."""
        with self._lock:
            return bool(self._tables[_READ_COILS][address])

    def close(self) -> None:
        """Idempotent."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def _serve(self) -> None:
        data = b""
        while True:
            try:
                got = self._line.recv(512)
            except OSError:
                return
            if not got:
                return
            data += got
            while len(data) >= _SHORTEST:
                size = 9 + data[6] if data[1] in _LONG else _SHORTEST
                if len(data) < size:
                    break
                frame = data[:size]
                if data[0] != UNIT or crc(frame[:-2]) != frame[-2:]:
                    data = data[1:]  # out of step: look for the next one
                    continue
                data = data[size:]
                with contextlib.suppress(OSError):
                    self._line.sendall(self._answer(frame))

    def _answer(self, frame: bytes) -> bytes:
        function, address, number = struct.unpack(">xBHH", frame[:6])
        self.requests += 1
        with self._lock:
            if function in self._tables:
                found = self._tables[function][address : address + number]
                if not number or len(found) < number:
                    return self._refuse(function, _ILLEGAL_ADDRESS)
                if function in (_READ_COILS, _READ_DISCRETES):
                    packed = sum(bit << n for n, bit in enumerate(found))
                    body = packed.to_bytes((number + 7) // 8, "little")
                else:
                    body = struct.pack(f">{number}H", *found)
                reply = bytes([UNIT, function, len(body)]) + body
            elif function in (_WRITE_COIL, _WRITE_ONE, *_LONG):
                coils = function in (_WRITE_COIL, _WRITE_COILS)
                values = [int(number == _COIL_ON) if coils else number]
                if function == _WRITE_MANY:
                    values = list(struct.unpack(f">{number}H", frame[7 : 7 + 2 * number]))
                elif function == _WRITE_COILS:
                    packed = int.from_bytes(frame[7:-2], "little")
                    values = [packed >> n & 1 for n in range(number)]
                if not values or address + len(values) > _COUNT:
                    return self._refuse(function, _ILLEGAL_ADDRESS)
                table = self._tables[_READ_COILS if coils else _READ_HOLDING]
                table[address : address + len(values)] = values
                reply = frame[:6]
            else:
                return self._refuse(function, _ILLEGAL_FUNCTION)
        return reply + crc(reply)

    def _refuse(self, function: int, code: int) -> bytes:
        self.refused += 1
        reply = bytes([UNIT, function | 0x80, code])
        return reply + crc(reply)


def crc(data: bytes) -> bytes:
    """CRC-16 of Modbus, as it is sent."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)
