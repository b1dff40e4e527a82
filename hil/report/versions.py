# SPDX-License-Identifier: MIT
"""Versions of everything that had a part in a session."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from hil.boards.board import Board, RigError

_TOOLS = {"host gcc": ["gcc", "--version"], "host qemu-img": ["qemu-img", "--version"]}
_PACKAGES = ("labgrid", "pytest", "pymodbus", "pyserial-labgrid")


def versions_of(board: Board) -> dict[str, str]:
    """Of the board, its image, and this host. What cannot be had says why."""
    found: dict[str, str] = {}
    try:
        board.go("served")
        found |= board.versions()
    except RigError as error:
        found["board"] = f"not told: {str(error).splitlines()[0]}"
    found["host"] = f"{platform.platform()}, Python {platform.python_version()}"
    for name, command in _TOOLS.items():
        found[name] = _first_line(command)
    for name in _PACKAGES:
        try:
            found[f"host {name}"] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found | _manifest(board)


def _manifest(board: Board) -> dict[str, str]:
    """What the image of an emulated board was made of: single values of its manifest."""
    architecture = board.name.rpartition("-")[2]
    path = Path(".hil") / architecture / "manifest.json"
    if board.kind != "emulated" or not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text())
    return {f"image {k}": str(v) for k, v in content.items() if isinstance(v, (str, int, float))}


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    return done.stdout.partition("\n")[0]
