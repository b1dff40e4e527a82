# SPDX-License-Identifier: MIT
"""The thread of a Modbus bus: it polls the slaves on one serial line or TCP connection, in turn.

All it shares with the cycle are the parts of its slaves (board/io/part.h), so however long it waits
for a slave, neither the cycle nor the worker does. A round of a slave: take the newest outputs,
write them, all of them each time; read the inputs; publish them with their quality.

Loss. A slave that does not reply is asked again once a second, or at its own pace if that is
slower, with one request; those beside it on the bus are served meanwhile. A slave that refuses one
block of several still serves the others.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from serial_runtime.board_types import IoNews
from serial_runtime.errors import ConfigError, SerialRuntimeError, StateError
from serial_runtime.iec.location import AREA_BYTES, Location
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.process_io.modbus_profile import ATTEMPTS, RETRY_S, Block, Bus, ModbusTable

_WARNING, _INFO = 1, 2  # levels of plc.log
_GATEWAY_ERRORS = (10, 11)  # a gateway's word for a slave that does not reply
_REFUSALS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    6: "busy",
}
_NOT_ASKED = "not asked yet"
_END_S = 2.0  # how long the end waits for a request


class Port(Protocol):
    """`board_io.PartPort`, or a test's."""

    def publish(self, inputs: bytes | bytearray) -> None:
        """Inputs for the cycle."""

    def take(self) -> tuple[IoNews, bytes]:
        """Outputs of the cycle."""


class _LostError(SerialRuntimeError):
    """The slave does not reply."""


class _RefusedError(SerialRuntimeError):
    """It does, with an exception."""


class SlaveState(NamedTuple):
    """How a slave does. An empty text: well."""

    text: str
    since_s: float  # of the monotonic clock
    good: tuple[bool, ...]  # by block


class _Slave:
    """One table, and what is known of its slave. The bus's thread, but for `state`."""

    def __init__(self, table: ModbusTable, port: Port) -> None:
        self.table = table
        self.port = port
        self.inputs = bytearray(AREA_BYTES)
        self.due_s = 0.0
        self.state = SlaveState(_NOT_ASKED, time.monotonic(), (False,) * len(table.blocks))
        """Replaced as a whole: any thread reads it."""
        self._qualities: list[tuple[Location, list[int]]] = []  # bit, blocks it depends on
        if table.quality is not None:
            self._qualities.append((table.quality, list(range(len(table.blocks)))))
        for place in {block.point.quality for block in table.blocks} - {None, table.quality}:
            assert place is not None
            blocks = [i for i, one in enumerate(table.blocks) if one.point.quality == place]
            self._qualities.append((place, blocks))

    def conclude(self, good: Sequence[bool], text: str) -> bool:
        """A round has ended: set quality and what is 0 on loss. True: it went well before and does
        not now, or the other way round, or it was the first."""
        before = self.state
        same = bool(before.text) == bool(text)
        since_s = before.since_s if same else time.monotonic()
        same = same and before.text != _NOT_ASKED
        self.state = SlaveState(text, since_s, tuple(good))
        for place, blocks in self._qualities:
            place.store(self.inputs, all(good[i] for i in blocks))
        for block, is_good in zip(self.table.blocks, good, strict=True):
            if block.point.zero and not is_good:
                for place in block.point.places:
                    place.store(self.inputs, 0)
        return not same


class ModbusBus:
    """The slaves of one bus and the thread that serves them."""

    def __init__(
        self, slaves: Iterable[tuple[ModbusTable, Port]], log: Callable[[int, str], None]
    ) -> None:
        """ConfigError when the library is missing."""
        self._slaves = [_Slave(table, port) for table, port in slaves]
        tables = [slave.table for slave in self._slaves]
        self._log = log
        self._bus = tables[0].bus
        self._client = _client(self._bus, max(table.timeout_ms for table in tables) / 1000)
        self._end = threading.Event()
        self._ports = threading.Lock()  # held while a port is used; then:
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="modbus", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def end(self) -> None:
        """Begin to end: put out safe values, as far as slaves reply."""
        self._end.set()

    def close(self) -> None:
        """Wait for the end. The ports are not used any more."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join(_END_S)
        with self._ports:
            self._closed = True

    def states(self) -> list[SlaveState]:
        """Of the slaves, in their order. Any thread."""
        return [slave.state for slave in self._slaves]

    # ---- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(StateError):  # the board was closed
            while not self._end.is_set():
                now_s = time.monotonic()
                for slave in self._slaves:
                    if slave.due_s <= now_s and not self._end.is_set():
                        self._serve(slave)
                next_s = min(slave.due_s for slave in self._slaves)
                self._end.wait(max(next_s - time.monotonic(), 0))
            for slave in self._slaves:
                if not slave.state.text:
                    self._make_safe(slave)
        self._client.close()

    def _serve(self, slave: _Slave) -> None:
        began_s = time.monotonic()
        blocks = slave.table.blocks
        good = [True] * len(blocks)
        text = ""
        with self._ports:
            if self._closed:
                return
            news, outputs = slave.port.take()
        try:
            for output in (True, False):
                for i, block in enumerate(blocks):
                    if (block.point.place.area == "Q") == output:
                        try:
                            self._transfer(slave, block, outputs, news == IoNews.SAFE)
                        except _RefusedError as error:
                            good[i], text = False, str(error)
            pause_s = slave.table.poll_ms / 1000
        except _LostError as error:
            good, text = [False] * len(blocks), str(error)
            pause_s = max(slave.table.poll_ms / 1000, RETRY_S)
        slave.due_s = max(began_s + pause_s, time.monotonic())
        if slave.conclude(good, text):
            self._tell(slave)
        with self._ports:
            if not self._closed:
                slave.port.publish(slave.inputs)

    def _tell(self, slave: _Slave) -> None:
        table, text = slave.table, slave.state.text
        level = _WARNING if text else _INFO
        self._log(level, f"{table.name}, unit {table.unit} at {table.bus.uri}: {text or 'well'}")

    def _make_safe(self, slave: _Slave) -> None:
        for block in slave.table.blocks:
            if block.point.place.area == "Q" and block.point.safe is not None:
                values = [block.point.safe] * block.point.count
                with contextlib.suppress(_LostError, _RefusedError):
                    self._write(slave, block, values)

    def _transfer(self, slave: _Slave, block: Block, outputs: bytes, safe: bool) -> None:
        if block.point.place.area == "I":
            for place, value in zip(block.point.places, self._read(slave, block), strict=True):
                place.store(slave.inputs, value)
        elif not safe or block.point.safe is not None:
            self._write(slave, block, [place.load(outputs) for place in block.point.places])

    # ---- requests ----------------------------------------------------------------------------

    def _read(self, slave: _Slave, block: Block) -> list[int]:
        method = getattr(self._client, f"read_{block.kind}")
        reply = self._ask(slave, block, method, block.address, count=block.size)
        raw = reply.registers if block.kind.endswith("registers") else reply.bits
        if len(raw) < block.size:
            raise _LostError("a reply is too short")
        if not block.kind.endswith("registers"):
            return [int(bit) for bit in raw[: block.size]]
        each = block.registers_each
        return [_joined(raw[at : at + each], block.high_first) for at in range(0, block.size, each)]

    def _write(self, slave: _Slave, block: Block, values: Sequence[int]) -> None:
        client = self._client
        if block.kind == "coils":
            bits = [bool(value) for value in values]
            if len(bits) == 1:
                self._ask(slave, block, client.write_coil, block.address, bits[0])
            else:
                self._ask(slave, block, client.write_coils, block.address, bits)
            return
        words = [
            word
            for value in values
            for word in _split(value, block.registers_each, block.high_first)
        ]
        if len(words) == 1:
            self._ask(slave, block, client.write_register, block.address, words[0])
        else:
            self._ask(slave, block, client.write_registers, block.address, words)

    def _ask(
        self, slave: _Slave, block: Block, method: Callable[..., Any], *arguments: Any, **more: Any
    ) -> Any:
        """The slave's reply to one request. _LostError, _RefusedError."""
        from pymodbus.exceptions import ConnectionException

        try:
            if not self._client.connect():
                raise _LostError("no connection")
            reply = method(*arguments, device_id=slave.table.unit, **more)
        except _LostError:
            raise
        except ConnectionException as error:
            self._client.close()
            raise _LostError("the connection was lost") from error
        # The library raises whatever it stumbles over in a reply; the thread must go on.
        except Exception as error:
            if self._bus.host:
                self._client.close()  # a late reply would be taken for the next one's
            raise _LostError("no reply") from error
        if reply.isError():
            code = reply.exception_code
            if code in _GATEWAY_ERRORS:
                raise _LostError("no reply, says the gateway")
            reason = _REFUSALS.get(code, f"exception {code}")
            raise _RefusedError(f"it refuses {block.point.source}: {reason}")
        return reply


def _joined(words: Sequence[int], high_first: bool) -> int:
    value = 0
    for word in words if high_first else reversed(words):
        value = value << 16 | word
    return value


def _split(value: int, count: int, high_first: bool) -> list[int]:
    words = [value >> 16 * i & 0xFFFF for i in range(count)]
    return words[::-1] if high_first else words


def _client(bus: Bus, timeout_s: float) -> Any:
    try:
        from pymodbus.client import ModbusSerialClient, ModbusTcpClient
    except ImportError as error:
        raise ConfigError(
            "Modbus needs the extra modbus: pip install 'serial-runtime[modbus]'"
        ) from error
    import logging

    # It would write each failed request to standard error.
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)
    if bus.host:
        return ModbusTcpClient(bus.host, port=bus.port, timeout=timeout_s, retries=ATTEMPTS - 1)
    return ModbusSerialClient(
        bus.device,
        baudrate=bus.baud,
        bytesize=bus.bits,
        parity=bus.parity,
        stopbits=bus.stop_bits,
        timeout=timeout_s,
        retries=ATTEMPTS - 1,
    )
