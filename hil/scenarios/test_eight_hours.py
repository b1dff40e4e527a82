# SPDX-License-Identifier: MIT
"""A shift of eight hours, in as little time as board and plant need: the tank in lockstep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import serial_runtime
from hil.boards.board import Board
from hil.plants import lockstep
from hil.plants.bench import Bench
from hil.plants.limits import Limit
from hil.plants.profile import Event, Profile
from hil.plants.tank import TankPlant
from serial_runtime import iec

HOURS = 8
PERIOD_MS = 10
CYCLES = HOURS * 3_600_000 // PERIOD_MS
TANK = Path(serial_runtime.__file__).parent / "demo" / "tank.c"
MOST_GROWTH_BYTES = 2 << 20  # of the daemon, from the end of the first hour
MOST_LOG_BYTES = 4 * 16 * 1024  # the runtime keeps so much of each of four levels


def _shift() -> Profile:
    """Each half hour a pump fails for two minutes, the supply is low, a transmitter is noisy."""
    events = []
    for n in range(HOURS * 2):
        at_s = 1800.0 * n
        pump = f"pump{1 + n % 2}_ok"
        events += [
            Event(at_s + 300, pump, False),
            Event(at_s + 420, pump, True),
            Event(at_s + 600, "supply_lps", 6.0, ramp_s=60),
            Event(at_s + 900, "supply_lps", 10.0, ramp_s=60),
            Event(at_s + 1200, "ack_button", True),
            Event(at_s + 1202, "ack_button", False),
            Event(at_s + 1300, "level_raw", 30, fault="noise", seed=n + 1),
            Event(at_s + 1500, "level_raw", fault="none"),
        ]
    requirement = "REQ-SHIFT-1"
    limits = (
        Limit(requirement, "level_m", "min", 0.05, high=1.9, text="neither dry nor over, ever"),
        Limit(requirement, "TANK.SENSOR_OK", "equals", 1, text="no fault is seen where none is"),
        Limit(
            "REQ-TANK-4", "pump1_run", "becomes", 0, when="pump1_ok", when_value=0, within_s=0.02
        ),
        Limit(
            "REQ-TANK-4", "pump2_run", "becomes", 0, when="pump2_ok", when_value=0, within_s=0.02
        ),
    )
    watch = ("TANK.LEVEL", "TANK.SENSOR_OK", "RECIPE.BATCHES", "CLOCK.CYCLES", "CLOCK.UPTIME_MS")
    return Profile(f"Tank: {HOURS} hours", HOURS * 3600.0, tuple(events), limits, watch)


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.only("simulator")
@pytest.mark.requirement("REQ-SHIFT-1", "REQ-SHIFT-2", "REQ-SHIFT-3")
def test_eight_hours_of_operation(
    board: Board, plant: Bench, program: Callable[..., bytes]
) -> None:
    """No drift, no lost cycle, limits held in every cycle, values kept, memory and log bounded."""
    resident: list[int] = []
    with plant.in_lockstep() as (plc, io):
        plc.download(program(TANK))
        pid = board.service.pid()
        counted: list[tuple[int, int]] = []

        def look(tick: int) -> None:
            if tick % (360_000 // 2) < 1000:
                resident.append(_resident_bytes(pid))
                counted.append((tick, plc.statistics().ticks))

        run = lockstep.run(plc, io, TankPlant(), _shift(), every=1000, every_chunk=look)
        batches = int(run.record["RECIPE.BATCHES"][-1])
        kept = {one.path: one for one in plc.retained()[1]}
        state = plc.retain_status()
        lines = plc.log()
    plant.keep(run)
    run.check()
    # Drift and lost cycles: the program's own counts of each sample, against the plant's.
    for n, tick in enumerate(run.record.ticks):
        assert run.record["CLOCK.CYCLES"][n] == tick + 1
        assert run.record["CLOCK.UPTIME_MS"][n] == (tick // 10 + 1) * 100
    assert run.record.ticks[-1] == CYCLES - 1000
    assert counted == [(tick, tick + 1) for tick, _ in counted]
    # A batch takes about 20 s; with one pump or half the supply a little longer.
    assert batches > HOURS * 3600 / 40
    assert state.trouble == ""
    assert state.writes > 0
    stored = iec.unpack(kept["RECIPE.BATCHES"].iec_type, kept["RECIPE.BATCHES"].value)[0]
    assert isinstance(stored, int)
    assert batches <= stored <= batches + 1, "the last ten seconds are not in the record"
    assert sum(len(line.text) for line in lines) <= MOST_LOG_BYTES
    assert resident[-1] - resident[2] < MOST_GROWTH_BYTES, resident
