# SPDX-License-Identifier: MIT
"""Inputs worth keeping: `corpus/TARGET.hex` has one a line. Those of bugs stay for good."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus"


def load(target: str) -> list[bytes]:
    """The inputs of a target; there is always one."""
    path = FOLDER / f"{target}.hex"
    lines = path.read_text().split("\n") if path.exists() else []
    return [b"", *(bytes.fromhex(line) for line in lines if line)]


def save(target: str, inputs: Iterable[bytes]) -> None:
    """Write them, shortest first."""
    kept = sorted({data for data in inputs if data}, key=lambda data: (len(data), data))
    (FOLDER / f"{target}.hex").write_text("".join(data.hex() + "\n" for data in kept))
