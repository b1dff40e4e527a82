# SPDX-License-Identifier: MIT
"""QEMU's control sockets: QMP, and qtest, which reaches devices below QMP's view."""

from __future__ import annotations

import json
import socket
from typing import Any

from hil.boards.board import RigError

_ANSWER_S = 60.0


class _Lines:
    """A unix socket of lines."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_S)
        self._socket.connect(path)
        self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")

    def _tell(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()

    def _hear(self) -> str:
        line = self._file.readline()
        if not line:
            raise RigError("the emulator has ended")
        return line

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Qmp(_Lines):
    """One thread's."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._hear()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """What it returns. RigError: it is refused."""
        self._tell(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._hear())
            if "error" in answer:
                raise RigError(f"QMP {command} {arguments}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


class Qtest(_Lines):
    """One thread's."""

    def execute(self, command: str) -> str:
        """What follows OK. RigError: it is refused."""
        self._tell(command)
        while True:
            status, _, rest = self._hear().strip().partition(" ")
            if status == "OK":
                return rest
            if status in ("FAIL", "ERR"):
                raise RigError(f"qtest {command}: {rest}")
