# SPDX-License-Identifier: MIT
"""The one client on the serial line that all connections of the bridge use.

*When the line is gone.* The link repeats and reopens by itself for a few seconds, so a call that
is under way survives a loose plug or a restart of the board. After that its caller is told; a
stock IDE waits for ever in the thread of its windows, so no call may hang on. While nothing has
been heard of the board for `absent_s` every call fails at once, and only `check`, which
the mirror calls again and again, tries the line; when it succeeds everything goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from serial_runtime.errors import LinkClosed, LinkError, OutcomeUnknown, SerialRuntimeError
from serial_runtime.rpc.client import Client

T = TypeVar("T")

TIMEOUT_S = 4.0  # of a call that meets silence; slow operations have their own
RECONNECT_S = 3.0  # for a line that vanished under a call
ABSENT_S = 6.0  # without a sign of the board: it counts as disconnected


class SharedClient:
    """A client for any number of threads, made when the board is reached for the first time."""

    def __init__(self, open_client: Callable[[], Client], absent_s: float) -> None:
        """`open_client` connects; LinkError when that fails."""
        self._open_client = open_client
        self._absent_s = absent_s
        self._client: Client | None = None
        self._lock = threading.Lock()  # protects _closed and _busy
        self._heard_s = float("-inf")
        self._busy = 0  # long operations under way
        self._closed = False
        self.reason = "it was not reached yet"

    @property
    def present(self) -> bool:
        """Whether the board was heard lately. Never waits."""
        since_s = time.monotonic() - self._absent_s
        if self._heard_s > since_s:
            return True
        client = self._client
        # Other answers wait behind a long operation: then any byte is a sign of the board, and a
        # stock one gives none.
        return (
            self._busy > 0
            and client is not None
            and (not client.ours or client.link.heard_s > since_s)
        )

    @property
    def boot(self) -> int:
        """Counts the board's sessions: changes when it has restarted. 0 without a client."""
        client = self._client
        return client.link.boot if client is not None else 0

    @property
    def ours(self) -> bool:
        """Whether the board is a serial runtime, or else a stock server of the IDE's service."""
        client = self._client
        return client is None or client.ours

    @property
    def line_rate_Bps(self) -> float | None:
        """Bytes per second of the line, None when it is not bounded or unknown."""
        client = self._client
        return client.link.transport.line_rate_Bps if client is not None else None

    def connect(self) -> None:
        """Open the line. LinkError."""
        client = self._open_client()
        with self._lock:
            if self._closed:
                client.close()
                raise LinkClosed("the bridge is closed")
            self._client, self._heard_s = client, time.monotonic()

    def check(self, work: Callable[[Client], T]) -> T:
        """Call, even when the board seems to be away; for one thread. LinkError."""
        if self._client is None:
            self.connect()
        return self._run(work)

    def call(self, work: Callable[[Client], T]) -> T:
        """Call `work` with the client; whatever it raises, LinkError when the board is away."""
        if not self.present or self._client is None:
            raise LinkClosed(f"the board is not connected: {self.reason}")
        return self._run(work)

    def operate(self, work: Callable[[Client], T]) -> T:
        """As `call`, for what may take long (a download, init of a program)."""
        if not self.present:
            return self.call(work)
        with self._lock:
            self._busy += 1
        try:
            return self.call(work)
        finally:
            with self._lock:
                self._busy -= 1

    def give_up(self) -> None:
        """The board is away: end the calls that wait for it."""
        client = self._client
        if client is not None:
            client.link.give_up()

    def close(self) -> None:
        """Close session and line; calls under way fail. Idempotent."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _run(self, work: Callable[[Client], T]) -> T:
        client = self._client
        if client is None:
            raise LinkClosed(f"the board is not connected: {self.reason}")
        try:
            answer = work(client)
        except OutcomeUnknown:
            self._heard_s = time.monotonic()
            raise
        except LinkError as error:
            self.reason = str(error).partition("; the call")[0]  # it was the bridge's own
            raise
        except SerialRuntimeError:
            self._heard_s = time.monotonic()  # a refusal is an answer
            raise
        self._heard_s = time.monotonic()
        return answer
