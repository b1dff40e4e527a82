# SPDX-License-Identifier: MIT
"""Runtimes that are broken on purpose: each must be caught by power cuts."""

from __future__ import annotations

from pathlib import Path

_DISK = Path(__file__).resolve().parents[2] / "serial_runtime" / "plc" / "disk.py"

# What is cut out of serial_runtime/plc/disk.py: the last line of each.
MUTANTS = {
    "no-fsync-before-rename": ("view = view[os.write(fd, view) :]\n", "            os.fsync(fd)\n"),
    "no-fsync-of-the-program": (
        "os.O_RDONLY | os.O_CLOEXEC)\n        try:\n",
        "            os.fsync(fd)\n",
    ),
    "no-fsync-of-directories": (
        "os.O_DIRECTORY | os.O_CLOEXEC)\n        try:\n",
        "            os.fsync(fd)\n",
    ),
    "no-fsync-of-retained-values": (
        "os.ftruncate(fd, len(data))\n",
        "            os.fdatasync(fd)\n",
    ),
}


def source(mutant: str) -> bytes:
    """The broken disk.py. ValueError: it is not as it was when the mutant was made."""
    text = _DISK.read_text()
    before, line = MUTANTS[mutant]
    if text.count(before + line) != 1:
        raise ValueError(f"{_DISK}: the place of the mutant {mutant} is not there")
    blank = line[: len(line) - len(line.lstrip())] + "pass\n"
    return text.replace(before + line, before + blank).encode()
