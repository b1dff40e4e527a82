# SPDX-License-Identifier: MIT
"""One run of all cases, and what must hold of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hil.boards.programs import image_of
from hil.image import guest
from hil.image.machine import VIRT_ARM64
from serial_runtime.errors import PackagingError

_HERE = Path(__file__).parent
_STAGE = _HERE.parent / "image" / "files" / "stage"
BOUNDS = _HERE / "bounds.toml"
# 8 ns an instruction, and time leaps when the board sleeps: nothing of this host's gets in.
_VIRTUAL_TIME = ("-icount", "shift=3,sleep=off")
_PROGRAMS = {
    "regular": (),
    "threaded": ("-DTHREADED",),
    "holding": ("-DHOLD_NS=3500000",),
}

Case = dict[str, Any]


def run(seconds: float, shim: Path | None = None) -> dict[str, Case]:
    """Figures of each case. ``shim``: another C extension in place of the image's.

    PackagingError: there is no image, or the board did not get through.
    """
    images = VIRT_ARM64.images
    if not (images / "root.img").exists():
        raise PackagingError("no image: python -m hil.image arm64")
    files = {"stage": _STAGE.read_bytes(), "seconds": f"{seconds:g}".encode()}
    files["steps"] = (_HERE / "steps.sh").read_bytes()
    files["measure.py"] = (_HERE / "measure.py").read_bytes()
    for name, flags in _PROGRAMS.items():
        source = _HERE / "programs" / "regular.c"
        files[f"{name}.so"] = image_of(source, VIRT_ARM64.target, flags).data
    if shim is not None:
        files["shim"] = shim.read_bytes()
    with tempfile.TemporaryDirectory(prefix="serial-runtime-regression-") as folder:
        disk = Path(folder) / "root.img"
        subprocess.run(["cp", "--sparse=always", images / "root.img", disk], check=True)
        console = guest.run(VIRT_ARM64, images, disk, files, _VIRTUAL_TIME)
    cases: dict[str, Case] = {}
    name = ""
    for line in console.splitlines():
        word, _, rest = line.partition(": ")
        if word == "case":
            name = rest.strip()
        elif word == "result":
            cases[name] = json.loads(rest)
    return cases


def broken(cases: dict[str, Case], seconds: float) -> list[str]:
    """What does not hold of a run, a sentence each; bounds are in bounds.toml."""
    bounds: dict[str, dict[str, list[float]]] = tomllib.loads(BOUNDS.read_text())
    said = []
    for name, figures in bounds.items():
        if name not in cases:
            said.append(f"{name}: the board has no result")
            continue
        for figure, (low, high) in figures.items():
            value = cases[name][figure]
            if figure in ("ticks", "overruns", "skipped", "trace_records"):
                value /= seconds
            if not low <= value <= high:
                said.append(f"{name}: {figure} is {value:g}, expected {low:g} to {high:g}")
    return said
