# SPDX-License-Identifier: MIT
"""What a transport is, and what brings one. For type checkers: the daemon does not load this."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Transport(Protocol):
    """An open byte stream to one peer. One thread may read while another writes."""

    @property
    def name(self) -> str:
        """For messages: ``/dev/ttyS0 at 115200 baud``, ``192.0.2.7:40000``."""

    @property
    def kind(self) -> str:
        """``serial``, ``tcp``, ``tls``, ``wamp``, ``pyro`` or ``loop``: what policy goes by."""

    @property
    def identity(self) -> str:
        """The ID whose secret the peer has proven to know, ``""`` where none was asked for."""

    @property
    def line_rate_Bps(self) -> float | None:
        """Bytes per second the line carries (UART: baud / 10), None when not bounded."""

    @property
    def reliable(self) -> bool:
        """Whether bytes arrive unchanged and in order or not at all (TCP), or may be damaged."""

    @property
    def turnaround_s(self) -> float | None:
        """None where both ends may send at a time.

        Else (RS-485) one sends while the other listens, and lets so many seconds pass first.
        """

    def read(self, timeout_s: float | None) -> bytes:
        """Return at least one byte as soon as there is any, ``b""`` after ``timeout_s`` seconds.

        None waits for ever. ``interrupt`` ends the waiting too. Raises LinkClosed on hang-up,
        unplug or ``close``.
        """

    def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the line.

        Raises LinkClosed, or LinkTimeout when the line takes it much too slowly; then a part may
        have been sent.
        """

    def interrupt(self) -> None:
        """End a blocked ``read``, or else the next one, without bytes. Any thread, any time."""

    def close(self) -> None:
        """Close; idempotent, any thread. A blocked ``read`` or ``write`` ends with LinkClosed."""


@runtime_checkable
class RatedTransport(Transport, Protocol):
    """A line whose rate can be changed while it is open."""

    baud: int
    """At which it runs now."""

    home_baud: int
    """At which it was opened, and both ends begin."""

    def check_rate(self, baud: int) -> None:
        """Try whether it can run at a rate, while nothing is sent or received.

        Raises ConfigError for a rate nobody has, LinkError for one that this line has not.
        """

    def switch_rate(self, baud: int) -> None:
        """Send what was written, then run at another rate. For the thread that reads.

        Bytes not read yet stay. Raises LinkClosed, and as ``check_rate``.
        """


@runtime_checkable
class StartedTransport(Transport, Protocol):
    """A connection to a peer that was started for it: the peer ends when it is closed."""

    def another(self, timeout_s: float) -> Transport:
        """Connect to the same peer once more, for instance when this connection was lost.

        Raises LinkError when that is not possible yet, SerialRuntimeError when the peer has ended.
        """


class Listener(Protocol):
    """Where peers come from: a device or a listening socket."""

    @property
    def name(self) -> str:
        """For messages."""

    def accept(self, timeout_s: float | None) -> Transport:
        """Wait for the next peer.

        Raises LinkTimeout after ``timeout_s`` seconds (None: wait for ever), LinkClosed after
        ``close``, LinkError when waiting longer cannot help.
        """

    def close(self) -> None:
        """Close; idempotent, any thread. A blocked ``accept`` ends with LinkClosed."""
