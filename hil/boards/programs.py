# SPDX-License-Identifier: MIT
"""PLC programs for the board at hand, each built once."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from serial_codegen.build import build
from serial_runtime import get_include


class Image(NamedTuple):
    """A program as a board takes it."""

    data: bytes
    md5: str


@cache
def image_of(source: Path, compiler: str, flags: tuple[str, ...] = ()) -> Image:
    """Build a C source for `compiler`, such as aarch64-linux-gnu; "" for this host. BuildError."""
    with tempfile.TemporaryDirectory(prefix="hil-build-") as folder:
        file = Path(folder) / f"{source.stem}.so"
        build([source], file, include_dirs=[get_include()], target=compiler or None, flags=flags)
        data = file.read_bytes()
    return Image(data, hashlib.md5(data, usedforsecurity=False).hexdigest())
