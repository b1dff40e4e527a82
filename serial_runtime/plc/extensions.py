# SPDX-License-Identifier: MIT
"""What the PLC object tells the Python extensions of a program about its life.

The extensions themselves are ``serial_runtime.extensions``, made by the daemon when the profile
has ``python.enabled``; this is all that the PLC object knows of them.
"""

from __future__ import annotations

from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.log import WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from serial_runtime.board_types import Image
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.program_store import StoredProgram

    class Extensions(Protocol):
        """Every method is called on the worker; user code is waited for where it says so."""

        def load(self, program: StoredProgram, image: Image, path: str) -> None:
            """A program is in the board now; `path` is the file that was loaded there."""

        def unload(self) -> None:
            """It is about to leave it, if there is one.

            NewProcessNeeded: code of it, which is executed in this process, did not end in 2 s.
            """

        def start(self) -> None:
            """It runs."""

        def stop(self) -> None:
            """It does not run any more, by order or because it crashed."""

        def housekeeping(self) -> None:
            """Every now and then."""

        def close(self) -> None:
            """The runtime ends; no program is in the board. User code gets 3 s at most."""


class Limits(NamedTuple):
    """How long user code may take: all files and `init`; any other call."""

    init_s: float
    call_s: float


def scripts(files: Sequence[str]) -> list[str]:
    """Those of a program's extra files that are Python of its own, in the order they count in."""
    return sorted(name for name in files if name.upper().startswith("RUNTIME") and _is_python(name))


def _is_python(name: str) -> bool:
    return name.upper().endswith(".PY")


class NoExtensions:
    """Python is off: programs that bring some are told so, and run without."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def load(self, program: StoredProgram, image: Image, path: str) -> None:
        names = scripts(program.files)
        if names:
            self._log.add(
                WARNING,
                f"the program brings Python ({', '.join(names)}), which is off on this board and "
                "is not executed (profile key python.enabled)",
            )

    def unload(self) -> None:
        return

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    def housekeeping(self) -> None:
        return

    def close(self) -> None:
        return
