# SPDX-License-Identifier: MIT
"""An in-memory line for tests, with faults on demand.

``loop_pair()`` returns the two ends. Each end's ``damage`` changes what that end sends::

    near, far = loop_pair(reliable=False)
    near.damage.flip(12)             # byte 12 of what near writes, counted from now
    near.damage.drop(20)
    near.damage.insert(30, b"\\xff")  # before byte 30
    near.cut()                       # both ends: LinkClosed
"""

from __future__ import annotations

import threading
import zlib
from collections import deque

from serial_runtime.damage import Damage
from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.uri import LoopEndpoint


class _Line:
    """What the two ends share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.closed = False


class LoopTransport:
    """One end of a pair; see :class:`~serial_runtime.transport.base.Transport`."""

    kind = "loop"
    identity = ""

    def __init__(self, line: _Line, name: str, reliable: bool, line_rate_Bps: float | None) -> None:
        self.name = name
        self.reliable = reliable
        self.line_rate_Bps = line_rate_Bps
        self.turnaround_s: float | None = None
        self.damage = Damage()
        self._line = line
        self._input: deque[bytes] = deque()
        self._peer = self
        self._closed = False
        self._interrupted = False

    def join(self, peer: LoopTransport) -> None:
        """Connect the two ends; once, by ``loop_pair``."""
        self._peer, peer._peer = peer, self

    def read(self, timeout_s: float | None) -> bytes:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._line.changed:
            self._line.changed.wait_for(self._readable, timeout_s)
            self._interrupted = False
            if self._closed:
                raise LinkClosed(f"{self.name} is closed")
            if self._input:
                data = b"".join(self._input)
                self._input.clear()
                return data
            if self._line.closed:
                raise LinkClosed(f"{self.name}: the other end hung up")
            return b""

    def write(self, data: bytes) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._line.changed:
            if self._closed or self._line.closed:
                raise LinkClosed(f"{self.name} is closed")
            arriving = self.damage.apply(data)
            if arriving:
                self._peer._input.append(arriving)
                self._line.changed.notify_all()

    def interrupt(self) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._line.changed:
            self._interrupted = True
            self._line.changed.notify_all()

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        with self._line.changed:
            self._closed = True
            self._line.closed = True
            self._line.changed.notify_all()

    def cut(self) -> None:
        """Unplug: bytes under way are lost, both ends get LinkClosed."""
        with self._line.changed:
            self._input.clear()
            self._peer._input.clear()
            self._line.closed = True
            self._line.changed.notify_all()

    def _readable(self) -> bool:
        return bool(self._closed or self._input or self._line.closed or self._interrupted)


class RatedLoop(LoopTransport):
    """An end with a baud rate: what it sends arrives as garbage at an end with another one."""

    def __init__(self, line: _Line, name: str, baud: int) -> None:
        super().__init__(line, name, reliable=False, line_rate_Bps=None)
        self.baud = self.home_baud = baud
        self.lacks: set[int] = set()
        """Rates this end cannot run at."""

    def check_rate(self, baud: int) -> None:
        """See :class:`~serial_runtime.transport.base.RatedTransport`."""
        if baud in self.lacks:
            raise LinkError(f"{self.name} cannot run at {baud} baud")

    def switch_rate(self, baud: int) -> None:
        """See :class:`~serial_runtime.transport.base.RatedTransport`."""
        self.check_rate(baud)
        with self._line.changed:
            if self._closed:
                raise LinkClosed(f"{self.name} is closed")
            self.baud = baud

    def write(self, data: bytes) -> None:
        """See :class:`~serial_runtime.transport.base.Transport`."""
        peer = self._peer
        if isinstance(peer, RatedLoop) and peer.baud != self.baud:
            # As many bit times as it takes; what is in them depends on all that was sent.
            count = max(1, len(data) * peer.baud // self.baud)
            mixed = zlib.crc32(data).to_bytes(4, "little") + bytes(data)
            data = bytes((mixed[i % len(mixed)] * 5 + i * 7 + 3) & 0xFF for i in range(count))
        super().write(data)


def loop_line(baud: int) -> tuple[RatedLoop, RatedLoop]:
    """Return the two ends of a serial line that run at ``baud`` and can change it."""
    line = _Line()
    near, far = RatedLoop(line, "loop near", baud), RatedLoop(line, "loop far", baud)
    near.join(far)
    return near, far


def loop_pair(
    reliable: bool = True, line_rate_Bps: float | None = None
) -> tuple[LoopTransport, LoopTransport]:
    """Return two connected ends. ``reliable=False`` says what a serial line says of itself."""
    line = _Line()
    near = LoopTransport(line, "loop near", reliable, line_rate_Bps)
    far = LoopTransport(line, "loop far", reliable, line_rate_Bps)
    near.join(far)
    return near, far


_listeners: dict[str, LoopListener] = {}
_listeners_lock = threading.Lock()


class LoopListener:
    """Accepts what ``connect("loop://name")`` opens in this process.

    Raises LinkError when the name is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._changed = threading.Condition()
        self._waiting: deque[LoopTransport] = deque()
        self._closed = False
        with _listeners_lock:
            if name in _listeners:
                raise LinkError(f"loop://{name} is taken")
            _listeners[name] = self

    def accept(self, timeout_s: float | None) -> LoopTransport:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting, timeout_s)
            if self._closed:
                raise LinkClosed(f"listener on loop://{self.name} is closed")
            if not self._waiting:
                raise LinkTimeout(f"nobody connected to loop://{self.name}")
            return self._waiting.popleft()

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`."""
        with _listeners_lock:
            if _listeners.get(self.name) is self:
                del _listeners[self.name]
        with self._changed:
            self._closed = True
            for one in self._waiting:
                one.close()
            self._changed.notify_all()

    def open(self) -> LoopTransport:
        """Return the client's end of a new connection."""
        near, far = loop_pair()
        with self._changed:
            if self._closed:
                raise LinkError(f"nobody listens on loop://{self.name}")
            self._waiting.append(far)
            self._changed.notify_all()
        return near


def open_endpoint(endpoint: LoopEndpoint, timeout_s: float) -> LoopTransport:
    """Connect to the listener of that name. Raises LinkError when there is none."""
    with _listeners_lock:
        listener = _listeners.get(endpoint.name)
    if listener is None:
        raise LinkError(f"nobody listens on loop://{endpoint.name}")
    return listener.open()
