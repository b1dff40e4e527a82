# SPDX-License-Identifier: MIT
"""A coordinator, an exporter and their places on this host, on the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hil.boards.board import RigError

_TOOLS = Path(sys.executable).parent
_READY_S = 180.0
_CLIENT_S = 180.0  # it takes seconds to start, and many do at once


def client(
    coordinator: str, *words: str, user: str = "farm", token: str = "", timeout_s: float = _CLIENT_S
) -> str:
    """Run `labgrid-client` as `user`; what it printed. RigError: it failed."""
    environment = {**os.environ, "LG_USERNAME": user, "LG_TOKEN": token}
    command = [str(_TOOLS / "labgrid-client"), "-x", coordinator, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=timeout_s
    )
    if done.returncode:
        raise RigError(f"labgrid-client {' '.join(words)}: {done.stdout}{done.stderr}".strip())
    return done.stdout


class Farm:
    """Places named `place-N`, tagged `board=KIND`, each with one resource; a context manager."""

    def __init__(self, folder: Path, kind: str, resources: list[dict[str, dict[str, Any]]]) -> None:
        """`resources`: class and arguments of each place's."""
        self._folder, self._kind = folder, kind
        self._resources = resources
        self._processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.coordinator = f"127.0.0.1:{probe.getsockname()[1]}"

    def __enter__(self) -> Farm:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()

    def _start(self) -> None:
        exported = {f"group-{n}": one for n, one in enumerate(self._resources)}
        config = self._folder / "exporter.yaml"
        config.write_text(yaml.safe_dump(exported))
        self._run("labgrid-coordinator", "-l", self.coordinator)
        self._until(lambda: client(self.coordinator, "places"))
        self._run("labgrid-exporter", "-c", self.coordinator, "-n", "farm", str(config))
        for number, one in enumerate(self._resources):
            place, (cls,) = f"place-{number}", one
            client(self.coordinator, "-p", place, "create")
            client(self.coordinator, "-p", place, "add-match", f"farm/group-{number}/{cls}")
            client(self.coordinator, "-p", place, "set-tags", f"board={self._kind}")
        last = f"farm/group-{len(self._resources) - 1}/"
        self._until(lambda: self._check_exported(last))

    def _check_exported(self, what: str) -> None:
        if what not in client(self.coordinator, "resources"):
            raise RigError(f"the exporter has not exported {what}")

    def _run(self, tool: str, *words: str) -> None:
        with (self._folder / f"{tool}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(_TOOLS / tool), *words], cwd=self._folder, stdout=log, stderr=log
                )
            )

    def _until(self, works: Callable[[], object]) -> None:
        """Until it raises no RigError any more."""
        end_s = time.monotonic() + _READY_S
        while True:
            try:
                works()
                return
            except RigError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.2)
