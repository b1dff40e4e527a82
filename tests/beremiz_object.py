# SPDX-License-Identifier: MIT
"""The PLC object of tests/images/beremiz.c: built once with the same options, copied for a load."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "images" / "beremiz.c"
# As the IDE links: nothing hidden, so that a host can put functions of its own first.
FLAGS = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-pthread"]

# Ordinals of its variables: what the IDE calls their index.
(
    COUNT, BIT, A_SINT, AN_INT, A_LINT, A_REAL, AN_LREAL, NOW, A_DATE, TEXT, ET, Q, EXTERNAL, INPUT,
    LAMP, BUS_OUTPUT, MEMORY, INPUT_SEEN, EXTERNAL_SEEN, OTHER_SEEN, ORDER, TICK, KEPT, CLOCK,
    GLOBAL,
) = range(25)  # fmt: skip

# What the variable ORDER makes it do in the next cycle.
CRASH, LOOP, ABORT, LOG, SET_TIMER = b"\1", b"\2", b"\3", b"\4", b"\5"


@cache
def content(*words: str) -> bytes:
    """The object; words are defines, or options with their dash."""
    options = [word if word[0] == "-" else f"-D{word}" for word in words]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "plc.so"
        subprocess.run(["gcc", *FLAGS, *options, str(SOURCE), "-o", str(built)], check=True)
        return built.read_bytes()
