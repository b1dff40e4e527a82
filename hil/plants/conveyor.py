# SPDX-License-Identifier: MIT
"""A conveyor that sorts: parts pass two photo eyes, and a pusher rejects the tall ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from hil.plants.model import Channel, Value


class _Part:
    """A box on the belt; `at_m` is its front."""

    def __init__(self, tall: bool) -> None:
        self.tall = tall
        self.at_m = 0.0


class ConveyorPlant:
    """Parts enter when the disturbance `fed` has grown, a tall one when `fed_tall` has.

    No part gets lost: those that were fed are on the belt, delivered at its end, or rejected.
    A step longer than `_GRAIN_S` is made of several, so that no part jumps over an eye.
    """

    name: ClassVar[str] = "conveyor"
    inputs: ClassVar[tuple[Channel, ...]] = (
        Channel("encoder", "%IX0.0", text="one period every 20 mm of belt"),
        Channel("eye_low", "%IX0.1", text="photo eye: a part is there"),
        Channel("eye_high", "%IX0.2", text="photo eye above it: the part is tall"),
        Channel("pusher_home", "%IX0.3", text="the pusher is retracted"),
        Channel("counts", "%IW4", text="rising edges of the encoder", counts="encoder"),
    )
    outputs: ClassVar[tuple[Channel, ...]] = (
        Channel("motor", "%QX0.0"),
        Channel("pusher", "%QX0.1"),
        Channel("alarm", "%QX0.2"),
    )
    LENGTH_M = 2.0
    SPIN_UP_S = 0.2  # time constant of the motor
    PART_M = 0.1
    EYE_M = 0.5
    PUSHER_M = (1.4, 1.5)  # a part whose middle is here is pushed off
    STROKE_S = 0.15  # of the pusher
    PULSE_M = 0.02
    _GRAIN_S = 0.02

    def __init__(self) -> None:
        self.disturbances: dict[str, Value] = {
            "speed_mps": 0.3,  # when the motor runs
            "fed": 0,  # short parts put on the belt, ever
            "fed_tall": 0,
            "jammed": False,  # something holds the parts at the eye, the belt slips below
            "motor_ok": True,
        }
        self.parts: list[_Part] = []
        self.delivered = {False: 0, True: 0}  # by tall
        self.rejected = {False: 0, True: 0}
        self._entered = {False: 0, True: 0}
        self._speed_mps = 0.0
        self._belt_m = 0.0
        self._pusher = 0.0  # 0 retracted, 1 out

    def step(self, dt_s: float, outputs: Mapping[str, Value]) -> dict[str, Value]:
        """See `Model`."""
        self._feed()
        grains = max(1, math.ceil(dt_s / self._GRAIN_S - 1e-9))
        for _ in range(grains):
            self._move(dt_s / grains, bool(outputs["motor"]), bool(outputs["pusher"]))
        return self.read()

    def _feed(self) -> None:
        for tall, name in ((False, "fed"), (True, "fed_tall")):
            for _ in range(int(self.disturbances[name]) - self._entered[tall]):
                self._entered[tall] += 1
                self.parts.append(_Part(tall))

    def _move(self, dt_s: float, motor: bool, pusher: bool) -> None:
        goal_mps = 0.0
        if motor and self.disturbances["motor_ok"]:
            goal_mps = float(self.disturbances["speed_mps"])
        before_mps = self._speed_mps
        kept = math.exp(-dt_s / self.SPIN_UP_S)
        self._speed_mps = goal_mps + (before_mps - goal_mps) * kept
        moved_m = goal_mps * dt_s + (before_mps - goal_mps) * self.SPIN_UP_S * (1 - kept)
        self._belt_m += moved_m
        stroke = dt_s / self.STROKE_S
        self._pusher = min(max(self._pusher + (stroke if pusher else -stroke), 0.0), 1.0)
        for part in list(self.parts):
            held = self.disturbances["jammed"] and self._covers(part, self.EYE_M)
            if not held:
                part.at_m += moved_m
            middle_m = part.at_m - self.PART_M / 2
            low_m, high_m = self.PUSHER_M
            if self._pusher > 0.5 and low_m <= middle_m <= high_m:
                self.parts.remove(part)
                self.rejected[part.tall] += 1
            elif part.at_m >= self.LENGTH_M:
                self.parts.remove(part)
                self.delivered[part.tall] += 1

    def _covers(self, part: _Part, at_m: float) -> bool:
        return part.at_m - self.PART_M < at_m <= part.at_m

    def read(self) -> dict[str, Value]:
        """See `Model`."""
        there = [part for part in self.parts if self._covers(part, self.EYE_M)]
        return {
            "eye_low": bool(there),
            "eye_high": any(part.tall for part in there),
            "encoder": self._belt_m / self.PULSE_M % 1.0 < 0.5,
            "pusher_home": self._pusher == 0.0,
            "counts": int(self._belt_m / self.PULSE_M) & 0xFFFF,
        }

    def state(self) -> dict[str, Value]:
        """See `Model`."""
        return {
            "speed_mps": self._speed_mps,
            "belt_m": self._belt_m,
            "pusher_out": self._pusher,
            "fed_total": sum(self._entered.values()),
            "on_belt": len(self.parts),
            "delivered_short": self.delivered[False],
            "delivered_tall": self.delivered[True],
            "rejected_short": self.rejected[False],
            "rejected_tall": self.rejected[True],
        }
