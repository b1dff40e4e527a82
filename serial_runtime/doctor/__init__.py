# SPDX-License-Identifier: MIT
"""What is wrong with this machine, and what to do about it.

Each check looks at facts (``machine``: files below /proc and /sys, ioctls) and gives findings;
nothing is changed for good. ``port`` has the checks of a serial line, ``realtime`` those of a board
for real time.
"""

from __future__ import annotations

from enum import StrEnum

from serial_runtime.named_tuple import NamedTuple


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One result of a check: a sentence, and what to do when it is not ok."""

    check: str
    level: Level
    text: str
    remedy: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """It works, but not as well as it could, or not always."""
    return Finding(check, Level.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.PROBLEM, text, remedy)
