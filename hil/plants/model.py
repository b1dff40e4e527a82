# SPDX-License-Identifier: MIT
"""What a plant model is: a pure step from outputs of the PLC to inputs of it, without a clock."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple, Protocol

Value = bool | int | float


class PlantError(Exception):
    """A wrong profile, channel or wiring; the text names it, and the remedy."""


class Channel(NamedTuple):
    """A signal between PLC and plant."""

    name: str
    address: str  # %I or %Q, where the model's own program has it
    low: int = 0  # raw value when a wire is broken
    text: str = ""
    counts: str = (
        ""  # at a board's own pins nobody drives it: the board counts edges of this channel
    )

    @property
    def digital(self) -> bool:
        """It is a bit."""
        return "X" in self.address.upper()


class Model(Protocol):
    """One plant. A step of any length is allowed; its result depends on nothing but its arguments
    and what came before."""

    name: ClassVar[str]
    inputs: ClassVar[tuple[Channel, ...]]
    """What the PLC sees: sensors and switches, as raw values."""
    outputs: ClassVar[tuple[Channel, ...]]
    """What the PLC drives."""
    disturbances: dict[str, Value]
    """What happens to the plant from outside; a stimulus changes it between two steps."""

    def step(self, dt_s: float, outputs: Mapping[str, Value]) -> dict[str, Value]:
        """Time passes under these outputs; the inputs at its end."""

    def read(self) -> dict[str, Value]:
        """The inputs now."""

    def state(self) -> dict[str, Value]:
        """What is true of the plant, beyond what its sensors say."""


def near(name: str, known: Iterable[str]) -> str:
    """Names that may have been meant, for a message."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(found)}?" if found else f"there are {', '.join(known)}"


def milliampere_in_ua(share: float) -> int:
    """A transmitter's current in microampere: 4 to 20 mA for 0 to 1, and not much beyond."""
    return round(4000 + 16000 * min(max(share, -0.0125), 1.03125))
