# SPDX-License-Identifier: MIT
"""``python -m hil.image arm64``: build the image of a board."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hil.image.build import build
from hil.image.machine import MACHINES, of_architecture
from serial_runtime.errors import SerialRuntimeError


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.image",
        description="Build the image of an emulated board in .hil/ARCH, if it is not up to date.",
    )
    parser.add_argument(
        "architecture", choices=[machine.architecture for machine in MACHINES.values()]
    )
    parser.add_argument(
        "--bare", action="store_true", help="only bare.img, which is without our package"
    )
    parser.add_argument(
        "--package", type=Path, metavar="DEB", help="install this, not what is built from here"
    )
    options = parser.parse_args()
    try:
        print(build(of_architecture(options.architecture), options.bare, options.package))
    except SerialRuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
