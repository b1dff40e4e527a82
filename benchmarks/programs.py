# SPDX-License-Identifier: MIT
"""The PLC programs that the benchmarks run, built by the same code as `serial-runtime build`."""

from __future__ import annotations

from pathlib import Path

from serial_codegen.build import build as build_image
from serial_runtime import get_include

IMAGES = Path(__file__).parent / "images"


def build(name: str, folder: Path) -> Path:
    """Compile images/NAME.c into `folder`; the path of the image."""
    image = folder / f"{name}.so"
    build_image([IMAGES / f"{name}.c"], image, include_dirs=[get_include()])
    return image
