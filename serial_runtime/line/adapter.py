# SPDX-License-Identifier: MIT
"""The receiving half of a USB serial adapter: it hands over bytes in packets.

As FTDI documents its chips (AN232B-04, "Small Amounts of Data and End of Buffer Conditions"): what
has arrived goes to the host when a packet is full (64 bytes, of which 2 are status), or when the
latency timer runs out. The timer measures the time since anything was sent to the host, and at its
end a packet is sent even if it holds nothing but the status. So it runs freely on an idle line:
the end of a burst waits up to the timer's length (16 ms by default, 1 ms with the low latency flag
of the port).
"""

from __future__ import annotations

PACKET_BYTES = 62


class Adapter:
    """Bytes in, packets out. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.timer_s = 0.0
        """0: there is no adapter, bytes pass at once."""
        self.held = bytearray()
        self._sent_s = 0.0  # when the last packet went, with or without bytes

    def next_s(self) -> float:
        """When the timer hands over what is held."""
        return self._sent_s + self.timer_s

    def pass_on(self, data: bytes, now_s: float) -> bytes:
        """What goes to the host now that ``data`` (may be empty) has arrived."""
        if not self.timer_s:
            data, self.held = bytes(self.held) + data, bytearray()
            return data
        ready = b""
        periods = (now_s - self._sent_s) // self.timer_s
        if periods >= 1:
            self._sent_s += periods * self.timer_s
            ready, self.held = bytes(self.held), bytearray()
        self.held += data
        full = len(self.held) - len(self.held) % PACKET_BYTES
        if full:
            self._sent_s = now_s
            ready += self.held[:full]
            del self.held[:full]
        return ready
