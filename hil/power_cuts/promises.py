# SPDX-License-Identifier: MIT
"""What a board has been told and what it has answered, and so what must be on its disk."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hil.power_cuts import write_log
from hil.power_cuts.findings import Allowed


class Promises:
    """What holds now."""

    def __init__(self) -> None:
        self.step = "first start"
        self.allowed = Allowed(frozenset({""}))

    def note(
        self,
        step: str,
        *,
        programs: set[str] | None = None,
        least_count: int = 0,
        identity: str = "",
    ) -> None:
        """It has answered, or is about to be told; what is not given stays as it was."""
        before = self.allowed
        self.step = step
        self.allowed = Allowed(
            before.programs if programs is None else frozenset(programs),
            max(before.least_count, least_count),
            identity or before.identity,
        )


class Mark(NamedTuple):
    """What holds from a position in the log of writes on."""

    position: int
    step: str
    allowed: Allowed


class Story(Promises):
    """What held at each instant of a recording."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log
        self.marks = [Mark(0, self.step, self.allowed)]

    def note(
        self,
        step: str,
        *,
        programs: set[str] | None = None,
        least_count: int = 0,
        identity: str = "",
    ) -> None:
        """See `Promises`."""
        super().note(step, programs=programs, least_count=least_count, identity=identity)
        self.marks.append(Mark(write_log.position(self._log), self.step, self.allowed))

    def before(self, position: int) -> Mark:
        """What holds before the log reaches `position`."""
        return [mark for mark in self.marks if mark.position < position][-1]
