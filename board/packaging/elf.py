# SPDX-License-Identifier: MIT
"""What a compiled file needs of the machine it is loaded on, as readelf (binutils) tells it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from serial_runtime.errors import PackagingError


@dataclass(frozen=True)
class Needs:
    """Of one ELF file."""

    machine: str
    """In readelf's words, as ``AArch64``."""
    libraries: tuple[str, ...]
    glibc: tuple[int, int]
    """The oldest version that has all symbols; (0, 0) if it asks for none."""


def needs(path: Path) -> Needs:
    """PackagingError if it is no ELF file, or there is no readelf."""
    said = _readelf(path)
    machine = re.search(r"^ *Machine: +(.*)$", said, re.MULTILINE)
    if machine is None:
        raise PackagingError(f"{path}: not an ELF file")
    versions = [(int(a), int(b)) for a, b in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", said)]
    libraries = re.findall(r"\(NEEDED\) +Shared library: \[(.*)\]", said)
    return Needs(machine[1], tuple(libraries), max(versions, default=(0, 0)))


def _readelf(path: Path) -> str:
    command = ["readelf", "--wide", "--file-header", "--dynamic", "--version-info", str(path)]
    try:
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env={"LC_ALL": "C"}
        ).stdout
    except FileNotFoundError as error:
        raise PackagingError("there is no readelf here: install the package binutils") from error
    except subprocess.CalledProcessError as error:
        raise PackagingError(f"{path}: {error.stderr.strip()}") from error
