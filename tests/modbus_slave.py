# SPDX-License-Identifier: MIT
"""A Modbus slave for tests: the library's own server, on TCP or a serial device."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

READ = {"coils": 1, "discrete_inputs": 2, "holding_registers": 3, "input_registers": 4}
UNITS = (1, 2)
SIZE = 200  # addresses of each kind

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)


def _devices() -> list[SimDevice]:
    bits = [SimData(0, count=SIZE, values=False, datatype=DataType.BITS)]
    words = [SimData(0, count=SIZE, values=0, datatype=DataType.REGISTERS)]
    return [SimDevice(unit, simdata=(bits, bits, words, words)) for unit in UNITS]


def _drop_unknown(sending: bool, packet: bytes) -> bytes:
    """No reply of a unit that is not there, as on a line; the library would say so."""
    return b"" if sending and packet[6] not in UNITS else packet


class ModbusSlave:
    """Units 1 and 2, with 200 of each kind; runs on a thread of its own until `stop`."""

    def __init__(self, port: int = 0, device: str = "") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: Any = self._call(self._start(port, device))
        self.port = port
        if not device:
            self.port = self._server.transport.sockets[0].getsockname()[1]

    async def _start(self, port: int, device: str) -> Any:
        devices = _devices()
        if device:
            server: Any = ModbusSerialServer(devices, port=device)
        else:
            address = ("127.0.0.1", port)
            server = ModbusTcpServer(devices, address=address, trace_packet=_drop_unknown)
        await server.serve_forever(background=True)
        return server

    def _call(self, routine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(routine, self._loop).result(60)

    def get(self, unit: int, kind: str, address: int, count: int = 1) -> list[int]:
        """What it holds."""
        found = self._call(self._server.async_getValues(unit, READ[kind], address, count))
        return [int(value) for value in found[:count]]

    def set(self, unit: int, kind: str, address: int, *values: int) -> None:
        """What a plant would change."""
        content = [bool(v) for v in values] if not kind.endswith("registers") else list(values)
        self._call(self._server.async_setValues(unit, READ[kind], address, content))

    def stop(self) -> None:
        """No connection is left."""
        if self._thread.is_alive():
            self._call(self._server.shutdown())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
