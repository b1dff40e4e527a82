# SPDX-License-Identifier: MIT
"""A byte stream through a system of calls: what WAMP and Pyro connections have in common.

Such a system (the carrier) has no streams, only procedures. A client opens a channel, sends bytes
with one procedure and fetches the board's with another one, which answers as soon as there are any.
Each end has a `Tunnel`: the transport of whoever speaks eRPC on one side, two bounded queues for
the carrier on the other::

    read()  ◀── input  ◀── feed()      what the carrier received
    write() ──▶ output ──▶ collect()   what the carrier is to send

A full queue holds up the one who fills it, and so the other end. The board's carrier keeps its
tunnels in a `TunnelListener`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.interface import Transport

MESSAGE_BYTES = 65536  # the most that a carrier moves at a time
POLL_S = 20.0  # a procedure that waits for bytes answers, without any, after this time
_QUEUE_BYTES = 262144
_WRITE_S = 10.0  # without a byte taken
_SILENT_S = 3 * POLL_S  # a client that has not fetched for so long is gone
_MAX_TUNNELS = 64


class Tunnel:
    """One end; see :class:`~serial_runtime.transport.base.Transport`.

    The carrier's methods are `feed`, `collect` and `hang_up`, from any thread. With a timeout of 0
    they never wait; `on_change` is called, on the thread of the change and outside of any lock,
    when what they would answer may have changed.
    """

    reliable = True
    line_rate_Bps: float | None = None
    turnaround_s: float | None = None

    def __init__(self, name: str, kind: str, identity: str = "") -> None:
        self.name = name
        self.kind = kind
        self.identity = identity
        self.on_change: Callable[[], object] = lambda: None
        self._input = bytearray()
        self._output = bytearray()
        self._changed = threading.Condition()  # protects all that follows, and the queues
        self._closed = False  # by this end
        self._ended = ""  # by the other end: why
        self._interrupted = False
        self._fetched_s = time.monotonic()

    def __repr__(self) -> str:
        return f"<Tunnel {self.name}{' closed' if self._closed else ''}>"

    def read(self, timeout_s: float | None) -> bytes:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._input or self._ended or self._interrupted, timeout_s
            )
            self._interrupted = False
            if self._closed:
                raise LinkClosed(f"{self.name} is closed")
            if not self._input:
                if self._ended:
                    raise LinkClosed(f"{self.name}: {self._ended}")
                return b""
            data = bytes(self._input)
            self._input.clear()
            self._changed.notify_all()
        self.on_change()
        return data

    def write(self, data: bytes) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        rest = memoryview(data)
        while True:
            with self._changed:
                if not self._changed.wait_for(
                    lambda: self._closed or self._ended or len(self._output) < _QUEUE_BYTES,
                    _WRITE_S,
                ):
                    raise LinkTimeout(
                        f"{self.name}: {len(rest)} of {len(data)} bytes not taken by the other "
                        f"end within {_WRITE_S:g} s"
                    )
                if self._closed or self._ended:
                    raise LinkClosed(f"{self.name}: {self._ended or 'it is closed'}")
                room = _QUEUE_BYTES - len(self._output)
                self._output += rest[:room]
                rest = rest[room:]
                self._changed.notify_all()
            self.on_change()
            if not rest:
                return

    def interrupt(self) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`.

        What was written before can still be collected.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.on_change()

    def feed(self, data: bytes, timeout_s: float | None = 0.0) -> bool:
        """Bytes of the other end; False if there was no room within the timeout (None: for ever).

        Raises LinkClosed when nobody reads any more, ProtocolError for more than MESSAGE_BYTES.
        """
        if len(data) > MESSAGE_BYTES:
            raise ProtocolError(f"{len(data)} bytes at a time: at most {MESSAGE_BYTES} are allowed")
        with self._changed:
            has_room = self._changed.wait_for(
                lambda: self._closed or self._ended or len(self._input) < _QUEUE_BYTES, timeout_s
            )
            if self._closed or self._ended:
                raise LinkClosed(f"{self.name}: {self._ended or 'it is closed'}")
            if has_room:
                self._input += data
                self._changed.notify_all()
        return bool(has_room)

    def collect(self, timeout_s: float | None = 0.0) -> bytes:
        """Bytes for the other end, at most MESSAGE_BYTES, ``b""`` if none within the timeout.

        Raises LinkClosed when there will be none any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._output or self._closed or self._ended, timeout_s)
            self._fetched_s = time.monotonic()
            if self._ended or (self._closed and not self._output):
                raise LinkClosed(f"{self.name}: {self._ended or 'it is closed'}")
            data = bytes(self._output[:MESSAGE_BYTES])
            del self._output[:MESSAGE_BYTES]
            self._changed.notify_all()
        return data

    def hang_up(self, reason: str = "the other end hung up") -> None:
        """The other end has gone; what it sent before can still be read. Idempotent."""
        with self._changed:
            self._ended = self._ended or reason
            self._changed.notify_all()
        self.on_change()

    @property
    def is_over(self) -> bool:
        """Whether the carrier can forget it."""
        with self._changed:
            return bool(self._ended) or (self._closed and not self._output)

    @property
    def has_output(self) -> bool:
        """Whether there is something to collect."""
        with self._changed:
            return bool(self._output) and not self._ended

    @property
    def silent_s(self) -> float:
        """Seconds since `collect` was called last."""
        with self._changed:
            return time.monotonic() - self._fetched_s


class TunnelListener:
    """The board's tunnels of one carrier, by channel; a Listener for the server."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self._kind = kind
        self._changed = threading.Condition()  # protects all that follows
        self._tunnels: dict[str, Tunnel] = {}
        self._waiting: deque[Transport] = deque()
        self._closed = False

    def open(self, peer: str, identity: str = "") -> tuple[str, Tunnel]:
        """A client asks for a channel; `peer` and `identity` say who. For the carrier.

        The channel's name is a secret between the two ends. LinkError when there are too many.
        """
        self._forget()
        tunnel = Tunnel(f"{self._kind} {peer}", self._kind, identity)
        channel = secrets.token_hex(16)
        with self._changed:
            if len(self._tunnels) >= _MAX_TUNNELS:
                raise LinkError(f"{self.name} has {_MAX_TUNNELS} clients, which is all it takes")
            self._tunnels[channel] = tunnel
        self.lead(tunnel)
        return channel, tunnel

    def lead(self, transport: Transport) -> None:
        """Lead to a peer of the carrier by another transport. LinkClosed."""
        with self._changed:
            if self._closed:
                raise LinkClosed(f"{self.name} is closed")
            self._waiting.append(transport)
            self._changed.notify_all()

    def link(self, peer: str, identity: str = "") -> Transport:
        """The near end of a link within this process, for what a peer asks for without a tunnel.

        The server serves its far end as it does a tunnel of that peer. For the carrier. LinkClosed.
        """
        from serial_runtime.transport.loop import loop_pair

        near, far = loop_pair()
        far.kind, far.identity, far.name = self._kind, identity, f"{self._kind} {peer}"
        self.lead(far)
        return near

    def tunnel(self, channel: str) -> Tunnel:
        """Which an open channel leads to; LinkClosed when there is none. For the carrier."""
        with self._changed:
            found = self._tunnels.get(channel)
        if found is None:
            raise LinkClosed(f"{self.name}: the channel is closed")
        return found

    def hang_up(self, reason: str) -> None:
        """The carrier has lost its clients, all of them."""
        with self._changed:
            tunnels = list(self._tunnels.values())
            self._tunnels.clear()
        for tunnel in tunnels:
            tunnel.hang_up(reason)

    def accept(self, timeout_s: float | None) -> Transport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        limit_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._forget()
            rest_s = POLL_S if limit_s is None else min(POLL_S, limit_s - time.monotonic())
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting, max(0.0, rest_s))
                if self._closed:
                    raise LinkClosed(f"listener on {self.name} is closed")
                if self._waiting:
                    return self._waiting.popleft()
            if limit_s is not None and time.monotonic() >= limit_s:
                raise LinkTimeout(f"nobody connected to {self.name}")

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.hang_up("the runtime ends")

    def _forget(self) -> None:
        """Drop the tunnels that are over, or whose client is not heard any more."""
        with self._changed:
            for channel, tunnel in list(self._tunnels.items()):
                if tunnel.silent_s > _SILENT_S:
                    tunnel.hang_up(f"not heard for {_SILENT_S:g} s")
                if tunnel.is_over:
                    del self._tunnels[channel]
