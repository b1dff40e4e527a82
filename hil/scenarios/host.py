# SPDX-License-Identifier: MIT
"""What a user has at the host's end of the line: our commands, as he types them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hil.scenarios.patience import LONG_S

PROGRAM = str(Path(sys.executable).with_name("serial-runtime"))
SOURCE = Path(__file__).parent.parent / "programs" / "scenario.c"


def version(number: int) -> str:
    """The source of another version of the program."""
    return f"#define VERSION {number}\n{SOURCE.read_text()}"


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str


class Host:
    """A user's computer: a folder to work in, and the board's URI in the environment."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "SERIAL_RUNTIME_URI": uri,
            "SERIAL_RUNTIME_PSK": str(folder / "psk"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def run(self, *words: str) -> Done:
        """Run ``serial-runtime WORDS`` to its end."""
        with self.running(*words) as process:
            out, err = process.communicate(timeout=LONG_S)
        return Done(process.returncode, out, err)

    def ok(self, *words: str) -> str:
        """The same, of a command that must succeed: what it prints."""
        done = self.run(*words)
        assert done.status == 0, f"serial-runtime {' '.join(words)}: {done}"
        return done.out

    def json(self, *words: str) -> Any:
        """The same with ``--json``: the document."""
        return json.loads(self.ok(*words, "--json"))

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command while it runs; it is interrupted as by Ctrl-C when it still does."""
        process = subprocess.Popen(
            [PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    try:
                        process.communicate(timeout=LONG_S)
                    except subprocess.TimeoutExpired:
                        process.kill()
