# SPDX-License-Identifier: MIT
"""The commands of a manual, as it shows them to its reader: blocks that begin with ```sh WHERE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```sh (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """One command."""

    section: str
    where: str
    command: str


def steps(path: Path) -> list[Step]:
    """All commands, in their order."""
    found = []
    for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE):
        section = part.partition("\n")[0]
        for block in _BLOCK.finditer(part):
            found += [Step(section, block[1], line) for line in block[2].splitlines()]
    return found
