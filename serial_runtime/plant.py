# SPDX-License-Identifier: MIT
"""A simulated plant, for demonstrations and tests of programs: the other end of `sim:NAME`.

With `lockstep:NAME` it is the clock of the board as well, see `Plant.step`.

    from serial_runtime.plant import Plant

    with Plant.attach("press", timeout_s=10) as plant:
        while plant.wait(5):                     # for the outputs of the next cycle
            closed = plant["%QX0.0"]
            plant.write({"%IX0.1": closed, "%IW1": 4000, "%ID1": 2.5})

It is another process of the same user on the same machine; the layout of the shared memory is in
board/io/sim.h. A segment has one plant at a time, so each of its inputs has one source: several
simulations of one board are parts of one plant.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType

from serial_runtime.board_plant import Plant as Segment
from serial_runtime.errors import BoardError, VariableError
from serial_runtime.iec.location import AREA_BYTES, Location, parse_location

_POLL_S = 0.001
_TICKS = 1 << 32
# IEC types other than the unsigned ones, by the letters of struct.
_FORMS = {"SINT": "b", "INT": "h", "DINT": "i", "LINT": "q", "REAL": "f", "LREAL": "d"}
_UNSIGNED = {"BOOL": 1, "USINT": 8, "BYTE": 8, "UINT": 16, "WORD": 16, "UDINT": 32, "DWORD": 32}
_UNSIGNED |= {"ULINT": 64, "LWORD": 64}


class Plant:
    """One thread's."""

    def __init__(self, name: str) -> None:
        """Attach to a running board. BoardError: there is none, or it has a plant already."""
        self._segment = Segment(name)
        self._inputs = bytearray(self._segment.read_inputs(0, AREA_BYTES))
        self._outputs = self._segment.read_outputs(0, AREA_BYTES)
        self._tick = self._segment.tick

    @classmethod
    def attach(cls, name: str, timeout_s: float = 0.0) -> Plant:
        """The same; waits for the board to come up."""
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                return cls(name)
            except BoardError:
                if time.monotonic() >= end_s:
                    raise
            time.sleep(_POLL_S)

    def __enter__(self) -> Plant:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """The inputs keep their values. Idempotent."""
        self._segment.close()

    @property
    def tick(self) -> int:
        """Of the cycle whose outputs are seen."""
        return self._tick

    @property
    def board_open(self) -> bool:
        """A board has the other end now."""
        return self._segment.board_open

    def wait(self, timeout_s: float) -> int:
        """Wait for outputs of a later cycle, and see those. The cycles since the last ones.

        0: none came, since no program runs; the outputs seen are those of now all the same.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            self._outputs = self._segment.read_outputs(0, AREA_BYTES)
            tick = self._segment.tick
            passed = (tick - self._tick) % _TICKS
            self._tick = tick
            if passed or time.monotonic() >= end_s:
                return passed
            time.sleep(_POLL_S)

    def step(self, cycles: int = 1, timeout_s: float = 10.0) -> None:
        """In lockstep ("lockstep:NAME"): let the board run so many cycles, see the last outputs.

        The board runs none by itself, and the program's time is that of its cycles, so a run is
        the same each time, and as fast as board and plant can. 0: wait for cycles that were not
        run in time before. StateError: the board is not in lockstep; BoardError: no cycle was run
        in time, since no program runs.
        """
        self._segment.step(cycles, int(timeout_s * 1e9))
        self._outputs = self._segment.read_outputs(0, AREA_BYTES)
        self._tick = self._segment.tick

    def __getitem__(self, address: str) -> bool | int:
        """An output, as `read` has it."""
        value = self.read(address)
        assert not isinstance(value, float)
        return value

    def read(self, address: str, iec_type: str = "") -> bool | int | float:
        """An output that is seen now: a bool at %QX, else a number: unsigned, or of an IEC type.

        All outputs are of the same cycle until the next `wait`. VariableError.
        """
        place = _place(address, "Q")
        value = place.load(self._outputs)
        name = iec_type.upper()
        if name in _FORMS and struct.calcsize(_FORMS[name]) * 8 == place.width:
            found: int | float = struct.unpack(
                "<" + _FORMS[name], value.to_bytes(place.size, "little")
            )[0]
            return found
        if name and _UNSIGNED.get(name) != place.width:
            raise VariableError(f"{address} is no {iec_type}")
        return bool(value) if place.width == 1 else value

    def write(self, values: Mapping[str, bool | int | float]) -> None:
        """Inputs by address; the cycle sees all of them at once, and the others as they were.

        A float is a REAL at %ID and an LREAL at %IL. VariableError: nothing was written.
        """
        inputs = bytearray(self._inputs)
        for address, value in values.items():
            place = _place(address, "I")
            place.store(inputs, _raw(address, place, value))
        self._segment.write_inputs(0, bytes(inputs))
        self._inputs = inputs


@lru_cache(maxsize=1024)  # a plant uses the same few in every cycle
def _place(address: str, area: str) -> Location:
    place = parse_location(address)
    if place.area != area:
        what = "writes inputs, %I" if area == "I" else "reads outputs, %Q"
        raise VariableError(f"{address}: a plant {what}")
    return place


def _raw(address: str, place: Location, value: bool | int | float) -> int:
    if isinstance(value, float):
        form = {32: "<f", 64: "<d"}.get(place.width)
        if form is None:
            raise VariableError(f"{address} = {value}: a float needs 32 or 64 bits, %ID or %IL")
        try:
            return int.from_bytes(struct.pack(form, value), "little")
        except OverflowError as error:
            raise VariableError(f"{address} = {value}: too large for a REAL") from error
    low = -(1 << place.width - 1) if place.width > 1 else 0
    high = (1 << place.width) - 1
    if not low <= value <= high:
        raise VariableError(f"{address} = {value}: expected an integer from {low} to {high}")
    return value & high
