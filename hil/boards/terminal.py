# SPDX-License-Identifier: MIT
"""A shell at the other end of a byte stream: a console, a serial line, a process."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import time

from hil.boards.board import RigError, ShellError

_POLL_S = 5.0
_QUIET = "PS1= PS2= ; stty -echo 2>/dev/null; bind 'set enable-bracketed-paste off' 2>/dev/null"


class Terminal:
    """Types commands and reads what they print. One thread."""

    def __init__(self, reading: int, writing: int) -> None:
        """Descriptors, which stay the caller's. Call `log_in` first."""
        self._reading, self._writing = reading, writing
        self._numbers = itertools.count(1)
        self._command, self._number = "", 0
        self._text = ""
        os.set_blocking(reading, False)

    def log_in(self, timeout_s: float) -> None:
        """Wait until a shell answers; it is asked again and again. RigError."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            with contextlib.suppress(TimeoutError):
                self.type(_QUIET)
                self.begin(":", _POLL_S)
                self.finish(_POLL_S)
                return
        raise RigError(f"no shell answers within {timeout_s:.0f} s")

    def run(self, command: str, timeout_s: float = 120.0) -> str:
        """What a command printed. ShellError when it fails, TimeoutError when it does not end."""
        self.begin(command)
        return self.finish(timeout_s)

    def begin(self, command: str, timeout_s: float = 120.0) -> None:
        """Have the shell execute a command, of one line, that may read what is typed after it."""
        self._command = command
        self._number = next(self._numbers)
        # In the same line, since programs such as apt take what was typed while they ran. The
        # words differ from what they print, so their echo is not taken for it.
        number = self._number
        end = f"printf 'END-%s-%s\\n' {number} $?"
        self.type(f"printf 'BEGIN-%s\\n' {number}; {command}; {end}")
        self._read_until(re.compile(rf"BEGIN-{self._number}\r?\n()"), timeout_s)

    def finish(self, timeout_s: float = 120.0) -> str:
        """What the command that was begun has printed, as `run`."""
        said, code = self._read_until(re.compile(rf"END-{self._number}-(\d+)\r?\n"), timeout_s)
        output = said.replace("\r", "")
        if int(code):
            raise ShellError(self._command, int(code), output)
        return output

    def type(self, line: str) -> None:
        """A line, whoever reads it there."""
        os.write(self._writing, line.encode() + b"\n")

    def _read_until(self, pattern: re.Pattern[str], timeout_s: float) -> tuple[str, str]:
        end_s = time.monotonic() + timeout_s
        while not (found := pattern.search(self._text)):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select((self._reading,), (), (), left_s)[0]:
                said = self._text[-1000:]
                raise TimeoutError(f"{self._command!r} has not ended; the shell said: {said}")
            data = os.read(self._reading, 65536)
            if not data:
                raise RigError(f"the shell has ended at {self._command!r}: {self._text[-1000:]}")
            self._text += data.decode(errors="replace")
        said = self._text[: found.start()]
        self._text = self._text[found.end() :]
        return said, found[1]
