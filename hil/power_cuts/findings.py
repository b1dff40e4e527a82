# SPDX-License-Identifier: MIT
"""What a store directory holds after a power cut, read by the runtime's own code; and whether that
may be.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from serial_runtime.errors import SerialRuntimeError
from serial_runtime.plc import identity
from serial_runtime.plc.crashes import Crashes
from serial_runtime.plc.program_store import ProgramStore
from serial_runtime.plc.retain_file import RetainFiles

EXTRA_FILE = "generation.csv"
COUNTERS = "KEPT.IN_ONE_CYCLE."


class Generation(NamedTuple):
    """A build of ``hil/programs/generation.c``, and the file that goes with it."""

    number: int
    image: bytes

    @property
    def md5(self) -> str:
        """Of the image."""
        return hashlib.md5(self.image).hexdigest()

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """The extra files."""
        return [(EXTRA_FILE, b"%d\n" % self.number)]


@dataclass
class Found:
    """What a start would find."""

    trouble: list[str] = field(default_factory=list)
    program: str = ""  # MD5, "" for none
    count: int = 0  # of the retained counters, 0 without any
    identity: str = ""  # its ID
    secret: str = ""
    left: list[str] = field(default_factory=list)  # files that nobody will ever use


class Allowed(NamedTuple):
    """What may be there."""

    programs: frozenset[str]  # MD5s
    least_count: int = 0  # what was acknowledged as written
    identity: str = ""  # "": nobody has been told yet


def look(store: Path, generations: Mapping[str, Generation]) -> Found:
    """Start the runtime's store on a directory, which is changed by that as by any start."""
    found = Found()
    if not store.exists():
        return found
    _look_for_retained(store, found)
    _look_for_program(store, generations, found)
    try:
        crashes = Crashes(str(store), boot_id="the boot after the cut")
        if crashes.count:
            found.trouble.append(f"a crash is counted: {crashes.reason}")
        known = identity.read(str(store))
        found.identity = known[0].id if known else ""
        found.secret = known[0].secret if known else ""
    except SerialRuntimeError as error:
        found.trouble.append(str(error))
    return found


def judge(found: Found, allowed: Allowed) -> list[str]:
    """Why this must not be, in sentences; none when it may."""
    wrong = list(found.trouble)
    if not wrong and found.program not in allowed.programs:
        wrong.append(
            f"the program is {found.program or 'none'}, expected one of "
            f"{sorted(one or 'none' for one in allowed.programs)}"
        )
    if found.count < allowed.least_count:
        wrong.append(f"the retained count is {found.count}, {allowed.least_count} was acknowledged")
    if allowed.identity and found.identity != allowed.identity:
        wrong.append(f"the identity is {found.identity or 'none'}, it was {allowed.identity}")
    if found.left:
        wrong.append(f"left behind: {', '.join(found.left)}")
    return wrong


def _look_for_program(store: Path, generations: Mapping[str, Generation], found: Found) -> None:
    try:
        programs = ProgramStore(str(store))
    except SerialRuntimeError as error:
        found.trouble.append(str(error))
        return
    try:
        found.left += [
            f"{name}/{one}" for name in ("run", "spool") for one in os.listdir(store / name)
        ]
        slots = [name for name in os.listdir(store) if name.startswith("slot-")]
        if programs.empty:
            found.left += slots
            return
        program = programs.newest()
        found.left += slots[1:]
        found.program = program.md5
        generation = generations.get(program.md5)
        if generation is None:
            found.trouble.append(f"a program that nobody sent: {program.md5}")
            return
        files = [
            (name, (Path(program.files_directory) / name).read_bytes()) for name in program.files
        ]
        if Path(program.path).read_bytes() != generation.image:
            found.trouble.append(f"the program is not that of generation {generation.number}")
        if files != generation.files:
            found.trouble.append(f"the extra files are not those of the program: {files}")
    except (SerialRuntimeError, OSError) as error:
        found.trouble.append(str(error))
    finally:
        programs.close()


def _look_for_retained(store: Path, found: Found) -> None:
    try:
        files = RetainFiles(str(store))
        kept = files.read()
        files.close()
    except SerialRuntimeError as error:
        found.trouble.append(str(error))
        return
    counts = {
        int.from_bytes(value, "little")
        for key, value in kept.values.items()
        if key.path.startswith(COUNTERS)
    }
    if len(counts) > 1:
        found.trouble.append(f"retained values of different cycles: {sorted(counts)}")
    found.count = max(counts, default=0)
