# SPDX-License-Identifier: MIT
"""The whole runtime in a process of its own, and what the kernel knows of its threads."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

from serial_runtime.rpc.client import Client


class Runtime:
    """The daemon with a program that runs, and its threads."""

    def __init__(self, folder: Path, name: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", "serve", "--tcp", "127.0.0.1:0"]
            + ["--io", f"sim:{name}", "--dir", str(folder)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )
        assert self.process.stdout is not None
        _, self.uri, *self.ready = self.process.stdout.readline().split()

    def threads(self) -> dict[str, int]:
        """Those of real time, and their numbers."""
        found = {}
        for place in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                name = (place / "comm").read_text().strip()
            except FileNotFoundError:  # of a thread that has ended meanwhile
                continue
            if name.startswith("plc-"):
                found[name] = int(place.name)
        return found

    def faults(self) -> dict[str, tuple[int, int]]:
        """Minor and major page faults of each, so far."""
        found = {}
        for name, number in self.threads().items():
            stat = Path(f"/proc/{self.process.pid}/task/{number}/stat").read_text()
            fields = stat.rpartition(")")[2].split()
            found[name] = (int(fields[7]), int(fields[9]))
        return found


def counter(client: Client) -> int:
    return int(struct.unpack("<I", client.read(["COUNTER"]).values)[0])
