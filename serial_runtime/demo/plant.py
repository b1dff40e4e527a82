# SPDX-License-Identifier: MIT
"""The plant of tank.c: a tank, an inlet valve, two pumps, and the switches and transmitters.

It runs as its own process against the runtime's `sim` I/O and steps with the board's tick, so a
cycle of 10 ms moves the water by 10 ms however slow the machine is; while the board is stopped
the water stands still. Ends at SIGTERM or at the end of its standard input.

    python -m serial_runtime.demo.plant NAME [PERIOD_MS]
"""

from __future__ import annotations

import os
import select
import signal
import sys

from serial_runtime.errors import SerialRuntimeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from serial_runtime.plant import Plant

_LONGEST_STEP = 100  # ticks; more is a restart of the board, not time that has passed
_POLL_S = 0.1  # how late the end of standard input is seen


class Tank:
    """The physics. Levels in m, flows in l/s, speeds 0..1; steps are explicit Euler."""

    AREA_M2 = 0.06
    HEIGHT_M = 2.0
    SUPPLY_LPS = 10.0  # inlet fully open
    PUMP_LPS = 14.0  # each pump at full speed
    VALVE_S = 0.8  # time from shut to open
    PUMP_S = 0.4  # time constant of a pump's speed

    def __init__(self, level_m: float = 0.5) -> None:
        self.level_m = level_m
        self.valve = 0.0
        self.speeds = [0.0, 0.0]
        self.pump_ok = [True, True]
        self.transmitter_ok = True

    @property
    def inflow_lps(self) -> float:
        """Through the inlet valve."""
        return self.SUPPLY_LPS * self.valve

    @property
    def outflow_lps(self) -> float:
        """Through both pumps; an empty tank gives nothing."""
        return sum(self.PUMP_LPS * speed for speed in self.speeds) if self.level_m > 0 else 0.0

    def step(self, dt_s: float, inlet_open: bool, run: list[bool], speeds: list[float]) -> None:
        """One step with the outputs of the PLC."""
        travel = dt_s / self.VALVE_S
        self.valve = min(max(self.valve + (travel if inlet_open else -travel), 0.0), 1.0)
        for i in (0, 1):
            wanted = speeds[i] if run[i] and self.pump_ok[i] else 0.0
            self.speeds[i] += (wanted - self.speeds[i]) * min(dt_s / self.PUMP_S, 1.0)
        change = (self.inflow_lps - self.outflow_lps) / 1000 / self.AREA_M2 * dt_s
        self.level_m = min(max(self.level_m + change, 0.0), self.HEIGHT_M)

    def inputs(self) -> dict[str, int | bool]:
        """What the PLC sees: the two transmitters, and the switches."""
        level = 4000 + 16000 * self.level_m / 2.0 if self.transmitter_ok else 0
        flow = 4000 + 16000 * self.inflow_lps / 20.0
        return {
            "%IW0": round(level),
            "%IW1": round(flow),
            "%IX16.0": self.pump_ok[0],
            "%IX16.1": self.pump_ok[1],
            "%IX16.2": self.level_m > 0.05,  # not dry
            "%IX16.3": self.level_m < 1.95,  # not full
        }


def outputs(plant: Plant | Mapping[str, int]) -> tuple[bool, list[bool], list[float]]:
    """What the PLC wants: inlet open, pumps run, their speeds."""
    run = [bool(plant["%QX16.0"]), bool(plant["%QX16.1"])]
    return bool(plant["%QX16.2"]), run, [plant["%QW0"] / 10000, plant["%QW1"] / 10000]


def _ended() -> bool:
    """Is standard input at its end?"""
    return bool(select.select([0], [], [], 0)[0]) and not os.read(0, 4096)


def run(name: str, period_s: float = 0.01) -> None:
    """Serve the sim I/O `name` until standard input ends. SerialRuntimeError when it cannot."""
    from serial_runtime.plant import Plant

    tank = Tank()
    # The board makes the I/O; it may still be starting.
    with Plant.attach(name, timeout_s=30) as plant:
        plant.write(tank.inputs())
        print("READY", flush=True)
        while not _ended():
            steps = plant.wait(_POLL_S)
            if 0 < steps <= _LONGEST_STEP:
                for _ in range(steps):
                    tank.step(period_s, *outputs(plant))
                plant.write(tank.inputs())


def main() -> int:
    """The process: NAME [PERIOD_MS]."""
    if len(sys.argv) not in (2, 3):
        print("usage: python -m serial_runtime.demo.plant NAME [PERIOD_MS]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the demo, which ends this
    try:
        run(sys.argv[1], float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.01)
    except SerialRuntimeError as error:
        print(f"plant: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
