# SPDX-License-Identifier: MIT
"""What a served link tells of itself (`GetLinkStatistics`), and the rate it runs at (`SetBaud`)."""

from __future__ import annotations

import time

from serial_runtime.errors import ConfigError, LinkClosed, LinkError, StateError
from serial_runtime.protocol.baud_switch import BoardRate
from serial_runtime.protocol.session import WINDOW
from serial_runtime.transport.base import is_rated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from serial_runtime.protocol.frame import FrameCounters
    from serial_runtime.protocol.session import ServerSessions
    from serial_runtime.rpc.board.common import LinkStatistics
    from serial_runtime.transport.interface import Transport


class ServedLine:
    """Figures and rate of one link; used by whatever thread serves it."""

    def __init__(
        self,
        transport: Transport,
        counters: FrameCounters,
        sessions: ServerSessions,
        switched: Callable[[], object],
    ) -> None:
        """`counters`: of the link's decoder. `switched`: the transport runs at another rate."""
        self._switched = switched
        self.received_bytes = self.sent_bytes = 0
        self._transport = transport
        self._counters = counters
        self._sessions = sessions
        # Where the ends take turns, a second request would meet the reply to the first.
        self.window = WINDOW if transport.turnaround_s is None else 1
        """Requests it takes in flight."""
        self._rate = BoardRate(0)
        if is_rated(transport):
            self._rate = BoardRate(transport.home_baud, transport.baud, time.monotonic())
        self.is_away = self._rate.is_away
        """Whether it runs at an agreed rate: then plain calls are not answered, and `heard` and
        `tick` are to be called."""

    def heard(self, session: int) -> None:
        """An envelope has arrived."""
        self._rate.heard(session, time.monotonic())

    def tick(self, now_s: float) -> None:
        """What has arrived is looked at."""
        self._rate.tick(now_s)

    def ended(self, session: int) -> None:
        """A session was closed."""
        self._rate.ended(session)

    @property
    def due_s(self) -> float:
        """When to `tick` though nothing arrives, while it is away."""
        return self._rate.due_s

    @property
    def wants_switch(self) -> bool:
        """Whether `switch_if_due` has something to do."""
        return self._rate.wanted != self._rate.baud

    def switch_if_due(self) -> None:
        """Run the line at the agreed rate. All replies are written; waits until they have left."""
        if not self.wants_switch:
            return
        assert is_rated(self._transport)
        try:
            self._transport.switch_rate(self._rate.wanted)
        except LinkClosed:
            raise
        except (ConfigError, LinkError):
            self._rate.wanted = self._rate.baud  # it could a moment ago; the client finds back
        self._rate.switched(time.monotonic())
        self.is_away = self._rate.is_away
        self._switched()

    def set_baud(self, baud: int, session: Hashable) -> None:
        """A call of this session wants another rate. StateError, ConfigError, LinkError."""
        if not is_rated(self._transport):
            raise StateError("this link has no baud rate: it is no serial line")
        self._transport.check_rate(baud)
        self._rate.ask(baud, session)

    def statistics(self) -> LinkStatistics:
        """Our end's figures since the link was opened."""
        from serial_runtime.rpc.board.common import LinkStatistics

        counters = self._counters
        return LinkStatistics(
            received_bytes=self.received_bytes,
            sent_bytes=self.sent_bytes,
            frames=counters.frames,
            untrusted_frames=counters.untrusted,
            header_errors=counters.header_errors,
            body_errors=counters.body_errors,
            discarded_bytes=counters.discarded_bytes,
            sessions=self._sessions.count,
            baud=self._rate.baud,
            home_baud=self._rate.home,
            driver=self._driver_counters(),
        )

    def _driver_counters(self) -> list[int]:
        fd = getattr(self._transport, "fd", -1)
        if self._transport.reliable or fd < 0:
            return []
        from serial_runtime.transport import tty_ioctl

        try:
            return list(tty_ioctl.counters_of(fd))
        except OSError:
            return []  # a pty, or a driver that keeps none
