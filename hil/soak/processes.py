# SPDX-License-Identifier: MIT
"""The three processes of the rig: the line, the board, the client."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hil.soak.ledger import Violation
from serial_runtime.errors import LinkError
from serial_runtime.rpc.client import Client, connect

_ROOT = Path(__file__).parent.parent.parent
_START_S = 30.0
_END_S = 20.0


class Process:
    """``python -m WORDS`` with lines in and out; its standard error goes to a file."""

    def __init__(self, name: str, folder: Path, *words: str, **environment: str) -> None:
        self.name = name
        self._errors = folder / f"{name}.log"
        with self._errors.open("a") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                cwd=_ROOT,
            )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._in, self._out = self._popen.stdin, self._popen.stdout
        self._read = b""

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def tell(self, line: str) -> None:
        """Write a line; to one that has ended it is lost."""
        with contextlib.suppress(BrokenPipeError):
            self._in.write(f"{line}\n".encode())
            self._in.flush()

    def hears(self, timeout_s: float) -> str:
        """The next line it says, or "" when there is none in this time, or ever again."""
        limit_s = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            left_s = max(0.0, limit_s - time.monotonic())
            if not select.select((self._out,), (), (), left_s)[0]:
                return ""
            data = os.read(self._out.fileno(), 65536)
            if not data:
                return ""
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def must_hear(self, timeout_s: float = _START_S) -> str:
        """The same, and a Violation when it says nothing."""
        line = self.hears(timeout_s)
        if not line:
            tail = self._errors.read_text()[-600:]
            raise Violation(f"the {self.name} said nothing for {timeout_s:.0f} s: {tail}")
        return line

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._popen.kill()
        self._popen.communicate()

    def terminate(self) -> int:
        """SIGTERM, and wait for the end; its exit code. Violation when it does not end."""
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Violation(f"the {self.name} did not end within {_END_S:.0f} s") from None
        return self._popen.returncode


class Line(Process):
    """The line emulator."""

    def __init__(self, folder: Path, baud: int, seed: int, *options: str) -> None:
        super().__init__(
            *("line", folder, "serial_runtime", "line", "--dir", str(folder / "cable")),
            *("--baud", str(baud), "--seed", str(seed), *options),
        )
        self.board_end, self.host_end, _ = (self.must_hear() for _ in range(3))

    def order(self, command: str) -> str:
        """Carry out one of its commands; the answer. Violation when it is refused."""
        self.tell(command)
        answer = self.must_hear()
        if answer.startswith("error"):
            raise Violation(f"the line refuses {command!r}: {answer}")
        return answer

    def counters(self) -> dict[str, dict[str, int]]:
        """Of both directions."""
        counters: dict[str, dict[str, int]] = json.loads(self.order("counters"))
        return counters

    def wait_until_quiet(self, quiet_s: float = 0.3) -> None:
        """Until nothing moves, in a line that is faultless then."""
        before: list[int] = []
        while True:
            now = [one["carried"] for one in self.counters().values()]
            if now == before:
                return
            before = now
            time.sleep(quiet_s)


class Board(Process):
    """The runtime at the line's end; a client on TCP, which loses nothing, sees what it does."""

    def __init__(self, folder: Path, port: str, baud: int) -> None:
        self.store = folder / "plc"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            tcp = f"127.0.0.1:{probe.getsockname()[1]}"
        super().__init__(
            *("board", folder, "serial_runtime", "serve", "--port", port, "--baud", str(baud)),
            *("--dir", str(self.store), "--tcp", tcp),
        )
        self.must_hear()
        self.witness: Client = connect(f"ERPC://{tcp}", timeout_s=30.0, reconnect_s=0.0)
        self._next = [0, 0, 0, 0]

    def new_lines(self) -> list[str]:
        """What the log says since the last time, warnings and information. LinkError."""
        lines = self.witness.log([1, 2], self._next)
        for line in lines:
            if line.level in (1, 2) and line.number != self._next[line.level]:
                raise Violation(f"the log has line {line.number} after {self._next[line.level]}")
            self._next[line.level] += 1
        return [line.text for line in lines]

    def all_lines(self) -> dict[int, str]:
        """Information lines by number. LinkError."""
        return {line.number: line.text for line in self.witness.log([2])}

    def md5(self) -> str:
        """Of the program it says it has. LinkError."""
        return self.witness.program().md5

    def end(self, kill: bool) -> None:
        """Take it down. Violation when it does not end well."""
        with contextlib.suppress(LinkError):
            self.witness.close()
        if kill:
            self.kill()
        elif code := self.terminate():
            raise Violation(f"the board ended with exit code {code}")


class Player(Process):
    """The client, see ``hil.soak.client``."""

    def __init__(self, folder: Path, uri: str) -> None:
        cache = str(folder / "cache")
        super().__init__("client", folder, "hil.soak.client", uri, XDG_CACHE_HOME=cache)

    def order(self, **order: Any) -> None:
        """Begin an operation; its answer is heard later."""
        self.tell(json.dumps(order))
