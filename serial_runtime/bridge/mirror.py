# SPDX-License-Identifier: MIT
"""Status and log of the board in the bridge's memory.

One thread asks the board; clients are answered at once. While nobody asks, it asks seldom, just
to know whether the board is there. The log that clients see is the board's, copied line by line
as its counts rise, with the bridge's own notes between; so it has numbers of its own. Of what was
written before the bridge came, and of a program that writes faster than the line carries, the
newest lines are copied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from serial_runtime.board_types import LogRecord
from serial_runtime.bridge.shared_client import SharedClient
from serial_runtime.errors import LinkError, SerialRuntimeError
from serial_runtime.plc.log import INFO, WARNING, Log
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

_STATUS_BYTES = 90  # of a status call and its reply in frames
_SHARE = 0.03  # of the line, for polling the status
_LEAST_S, _IDLE_S = 0.1, 2.0  # between polls
_ASKED_S = 3.0  # since somebody asked: nobody does
_RETRY_S = 0.3
_OLD_LINES = 100  # of each level, at first
_NEW_LINES = 50  # of each level and poll


class Mirror:
    """What is known of the board. Any thread may call any method; only `refresh` waits."""

    def __init__(
        self,
        line: SharedClient,
        say: Callable[[str], object],
        on_change: Callable[[int], object],
        on_poll: Callable[[], object],
    ) -> None:
        """`say` is told what the operator of the bridge should know.

        `on_change` is told the status before when it is another now, or the board has restarted; it
        must not wait. `on_poll` is called when the board has answered, and may call it.
        """
        self.log = Log()
        self._line = line
        self._say = say
        self._on_change = on_change
        self._on_poll = on_poll
        self._state: int = Status.Disconnected
        self._boot = 0
        self._complaint = ""  # what was told last
        self._was_present = False
        self._seen = [0, 0, 0, 0]  # lines per level of the board's log that were dealt with
        self._lines_lock = threading.Lock()  # one copies the log at a time
        self._asked_s = float("-inf")
        self._kick = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._kick.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def state(self) -> int:
        """The PLC's status as last seen; Disconnected once the board was away for too long."""
        return self._state if self._line.present else int(Status.Disconnected)

    def status(self) -> tuple[int, tuple[int, int, int, int]]:
        """Status and log counts, from memory."""
        now_s = time.monotonic()
        if now_s - self._asked_s > _ASKED_S:
            self._kick.set()
        self._asked_s = now_s
        return self.state, self.log.counts()

    def note(self, level: int, text: str) -> None:
        """A line of the bridge, for the log and for its operator."""
        self.log.add(level, text)
        self._say(text)

    def refresh(self) -> None:
        """Ask the board now: after a call that has changed something. LinkError."""
        self.saw(self._line.call(Client.status).status)

    def saw(self, state: int) -> None:
        """The board has told its state, in whatever reply."""
        before, self._state = self._state, state
        boot, self._boot = self._boot, self._line.boot
        if before != state or boot != self._boot:
            self._on_change(before)

    def reset_log(self) -> None:
        """Forget the log, here and there. LinkError, CallRefused."""
        with self._lines_lock:
            self._line.call(Client.reset_log)
            self.log.reset()
            self._seen = [0, 0, 0, 0]

    def poll(self) -> None:
        """Ask for status and new lines; LinkError when the board does not answer."""
        status = self._line.check(Client.status)
        self.saw(status.status)
        if list(status.logcounts) != self._seen:
            self._copy_lines(list(status.logcounts))
        self._on_poll()

    def _copy_lines(self, counts: list[int]) -> None:
        with self._lines_lock:
            seen = [0 if s > c else s for s, c in zip(self._seen, counts, strict=True)]
            if any(s > c for s, c in zip(self._seen, counts, strict=True)):
                seen = [0, 0, 0, 0]  # the board's log begins anew
            most = _NEW_LINES if any(self._seen) else _OLD_LINES
            first = [max(s, c - most) for s, c in zip(seen, counts, strict=True)]
            lines = self._line.call(lambda client: client.log(first=first))
            for level, number, tick, sec, nsec, text in lines:
                counts[level] = max(counts[level], number + 1)
                self.log.extend((LogRecord(level, tick, sec, nsec, text),))
            self._seen = counts

    def _interval_s(self) -> float:
        if time.monotonic() - self._asked_s > _ASKED_S:
            return _IDLE_S
        rate_Bps = self._line.line_rate_Bps
        return max(_LEAST_S, _STATUS_BYTES / rate_Bps / _SHARE if rate_Bps else 0.0)

    def _run(self) -> None:
        while not self._closing:
            pause_s = _RETRY_S
            try:
                self.poll()
                pause_s = self._interval_s()
                self._complaint = ""
            except LinkError:
                pass  # told below once it lasts
            except SerialRuntimeError as error:
                if self._complaint != str(error):
                    self._complaint = str(error)
                    self._say(f"the board refuses to tell its status: {error}")
            self._tell_presence()
            self._kick.wait(pause_s)
            self._kick.clear()

    def _tell_presence(self) -> None:
        present = self._line.present
        if present == self._was_present or self._closing:
            return
        self._was_present = present
        if present:
            self.note(INFO, "the bridge has the board on the line")
        else:
            self.saw(Status.Disconnected)
            self._line.give_up()
            self.note(WARNING, f"the bridge has lost the board: {self._line.reason}")
