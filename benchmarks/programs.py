# SPDX-License-Identifier: MIT
"""The PLC programs that the benchmarks run, built by the same code as `serial-runtime build`."""

from __future__ import annotations

from pathlib import Path

from serial_codegen.build import build as build_image
from serial_runtime import get_include

IMAGES = Path(__file__).parent / "images"


def build(name: str, folder: Path, period_us: int = 0) -> Path:
    """Compile images/NAME.c into `folder`; the path of the image.

    `period_us`: of its task, for those sources that take it; 0: their own.
    """
    image = folder / (f"{name}-{period_us}us.so" if period_us else f"{name}.so")
    flags = [f"-DPERIOD_US={period_us}"] if period_us else []
    build_image([IMAGES / f"{name}.c"], image, include_dirs=[get_include()], flags=flags)
    return image
