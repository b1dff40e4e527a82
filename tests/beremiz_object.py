# SPDX-License-Identifier: MIT
"""The PLC object of tests/images/beremiz*.c, built once for the same options."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
SOURCES = [str(IMAGES / "beremiz.c"), str(IMAGES / "beremiz_runtime.c")]
# As the IDE links: nothing hidden, so that a host can put functions of its own first.
FLAGS = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-pthread"]

# Ordinals of its variables: what the IDE calls their index.
(
    COUNT, BIT, A_SINT, AN_INT, A_LINT, A_REAL, AN_LREAL, NOW, A_DATE, TEXT, ET, Q, EXTERNAL, INPUT,
    LAMP, BUS_OUTPUT, MEMORY, INPUT_SEEN, EXTERNAL_SEEN, OTHER_SEEN, ORDER, TICK, KEPT, CLOCK,
    GLOBAL,
) = range(25)  # fmt: skip

TYPES = [
    "UDINT", "BOOL", "SINT", "INT", "LINT", "REAL", "LREAL", "TIME", "DATE", "STRING", "TIME",
    "BOOL", "INT", "WORD", "BOOL", "DINT", "UINT", "WORD", "INT", "INT", "USINT", "UDINT", "DINT",
    "TIME", "INT",
]  # fmt: skip
NAMES = [
    *(f"CONFIG.RES0.INST0.{name}" for name in (
        "COUNT", "BIT", "A_SINT", "AN_INT", "A_LINT", "A_REAL", "AN_LREAL", "NOW", "A_DATE", "TEXT",
        "TIMER.ET", "TIMER.Q", "EXTERNAL", "INPUT", "LAMP", "BUS_OUTPUT", "MEMORY", "INPUT_SEEN",
        "EXTERNAL_SEEN", "OTHER_SEEN", "ORDER", "TICK", "KEPT", "CLOCK",
    )),
    "CONFIG.GLOBAL",
]  # fmt: skip

# What the variable ORDER makes it do in the next cycle.
LOG, SET_TIMER, REST_5_MS = b"\4", b"\5", b"\6"


@cache
def content(*words: str, compiler: str = "gcc") -> bytes:
    """The object; words are defines, or options with their dash."""
    options = [word if word[0] == "-" else f"-D{word}" for word in words]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "plc.so"
        subprocess.run([compiler, *FLAGS, *options, *SOURCES, "-o", str(built)], check=True)
        return built.read_bytes()


def variables_csv() -> bytes:
    """The table of its build: rows without an index among the others, which count all the same."""
    lines = ["// Programs", "0;CONFIG.RES0.INST0;MAIN;", "", "// Variables"]
    lines.append("0;FB;CONFIG.RES0.INST0;CONFIG.RES0.INST0;MAIN;;0;")
    for name, kind in zip(NAMES, TYPES, strict=True):
        if name.endswith("TIMER.ET"):
            lines.append(f"{len(lines)};FB;CONFIG.RES0.INST0.TIMER;x;TON;;0;")
            lines.append(f"{len(lines)};VAR;CONFIG.RES0.INST0.LEVEL;x;LOGLEVEL;LOGLEVEL;0;")
        lines.append(f"{len(lines)};VAR;{name};{name};{kind};{kind};0;")
    lines += ["", "", "// Ticktime", "1000000", ""]
    return "\n".join(lines).encode()
