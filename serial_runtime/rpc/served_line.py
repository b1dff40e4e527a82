# SPDX-License-Identifier: MIT
"""What a served link tells of itself to its own client (`GetLinkStatistics`)."""

from __future__ import annotations

from serial_runtime.rpc.board import common as board_types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.protocol.frame import FrameCounters
    from serial_runtime.protocol.session import ServerSessions
    from serial_runtime.transport.base import Transport


class ServedLine:
    """The figures of one link; used by whatever thread serves it."""

    def __init__(
        self, transport: Transport, counters: FrameCounters, sessions: ServerSessions
    ) -> None:
        """`counters`: of the link's decoder."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self._transport = transport
        self._counters = counters
        self._sessions = sessions

    def statistics(self) -> board_types.LinkStatistics:
        """Our end's figures since the link was opened."""
        counters = self._counters
        return board_types.LinkStatistics(
            received_bytes=self.received_bytes,
            sent_bytes=self.sent_bytes,
            frames=counters.frames,
            untrusted_frames=counters.untrusted,
            header_errors=counters.header_errors,
            body_errors=counters.body_errors,
            discarded_bytes=counters.discarded_bytes,
            sessions=self._sessions.count,
            baud=getattr(self._transport, "baud", 0),
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
