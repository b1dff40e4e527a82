# SPDX-License-Identifier: MIT
"""The simulator's runtime: a process of this host, and what a service manager would do for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from hil.boards.board import RigError
from hil.boards.profile import with_changes

_RESTART_S = 1.0  # RestartSec= of the unit
_END_S = 60.0
_NO_RESTART = (0, 2)  # ended in order; a wrong profile
_ROOT = Path(__file__).parent.parent.parent


class Daemon:
    """`serial-runtime serve`, started again when it dies, as its unit has it."""

    def __init__(self, folder: Path, profile: str) -> None:
        """`profile` is its text; it, the journal and the store go into `folder`."""
        self.folder = folder
        self.journal = folder / "journal.log"
        self._profile = profile
        self._file = folder / "profile.toml"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = threading.Event()
        self._given_up = threading.Event()
        self._keeper: threading.Thread | None = None
        self.configure({})

    def configure(self, changes: dict[str, object]) -> None:
        """See `Service`."""
        self._file.write_text(with_changes(self._profile, changes))

    def start(self) -> None:
        """See `Service`."""
        with self._lock:
            if self._keeper is not None and self._keeper.is_alive() and self._wanted.is_set():
                return
        self._join()
        self._wanted.set()
        self._given_up.clear()
        self._process = self._spawn()
        self._keeper = threading.Thread(target=self._keep, name="daemon-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """See `Service`. RigError: it does not end."""
        self._end(signal.SIGTERM)

    def cut(self) -> None:
        """No power: SIGKILL to it and to what it started; nobody starts it again."""
        self._end(signal.SIGKILL)

    def kill(self) -> None:
        """See `Service`."""
        if process := self._process:
            process.kill()

    def pid(self) -> int:
        """See `Service`."""
        process = self._process
        return process.pid if process and process.poll() is None else 0

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.journal.open("ab") as journal:
            return subprocess.Popen(
                [sys.executable, "-m", "serial_runtime", "serve", "--profile", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
                cwd=_ROOT,
                start_new_session=True,
            )

    def _keep(self) -> None:
        """Wait for its end, and start it again if nobody wanted that."""
        while True:
            process = self._process
            assert process is not None
            code = process.wait()
            if not self._wanted.is_set() or code in _NO_RESTART:
                return
            if self._given_up.wait(_RESTART_S):
                return
            with self._lock:
                if not self._wanted.is_set():
                    return
                self._process = self._spawn()

    def _end(self, number: signal.Signals) -> None:
        with self._lock:
            self._wanted.clear()
            self._given_up.set()
            process = self._process
        if process is not None and process.poll() is None:
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise RigError(
                    f"the runtime did not end within {_END_S:.0f} s of SIGTERM; see {self.journal}"
                ) from None
        self._join()

    def _join(self) -> None:
        if self._keeper is not None:
            self._given_up.set()
            self._keeper.join()
            self._keeper = None
