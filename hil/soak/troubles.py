# SPDX-License-Identifier: MIT
"""What the soak does to the line: conditions for a few seconds each."""

from __future__ import annotations

from collections.abc import Callable
from random import Random


def conditions(source: Random) -> str:
    """Settings of ``serial-runtime line``, for one or both directions; "" is a clean line."""
    direction = source.choice(("", "", "to-board ", "to-host "))
    kind = source.choice(sorted(_KINDS))
    settings = _KINDS[kind](source)
    return f"{direction}{settings}" if settings else ""


def _rate(source: Random, least: float, most: float) -> str:
    """Spread evenly over the orders of magnitude."""
    return f"{least * (most / least) ** source.random():.1e}"


_KINDS: dict[str, Callable[[Random], str]] = {
    "clean": lambda source: "",
    "bit errors": lambda source: f"ber={_rate(source, 1e-6, 1e-4)}",
    "bursts": lambda source: f"burst={_rate(source, 1e-5, 3e-4)} burst-bytes=20",
    "drops": lambda source: f"drop={_rate(source, 1e-5, 5e-4)}",
    "inserts": lambda source: (
        f"insert={_rate(source, 1e-5, 3e-4)} duplicate={_rate(source, 1e-5, 3e-4)}"
    ),
    "stalls": lambda source: f"stalls={_rate(source, 0.3, 3)} stall-ms={source.randint(20, 900)}",
    "breaks": lambda source: f"breaks={_rate(source, 0.5, 10)}",
    "slow": lambda source: (
        f"latency-ms={source.randint(1, 60)} turnaround-ms={source.choice((1, 16))}"
    ),
    "disconnects": lambda source: (
        f"disconnects={_rate(source, 0.1, 0.6)} disconnect-ms={source.randint(50, 1500)}"
    ),
    "overruns": lambda source: f"overrun={source.choice((64, 512, 4096))}",
    "all": lambda source: (
        f"ber={_rate(source, 1e-6, 2e-5)} drop={_rate(source, 1e-6, 5e-5)} "
        f"burst={_rate(source, 1e-6, 3e-5)} turnaround-ms=16 stalls=0.3"
    ),
}
