# SPDX-License-Identifier: MIT
"""What a call changes, as the audit log tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_LONGEST = 200  # characters


def forces_text(values: Mapping[int, bytes]) -> str:
    """Indices and values; an empty value releases."""
    return " ".join(f"{index}={value.hex()}" for index, value in values.items())[:_LONGEST]


def program_text(md5: str, extra_files: Sequence[tuple[str, bytes]]) -> str:
    """The program, and the names of its extra files."""
    return " ".join([md5, *(name for name, _ in extra_files)])[:_LONGEST]
