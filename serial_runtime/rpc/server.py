# SPDX-License-Identifier: MIT
"""The server: listeners, the links they bring, and their end.

One thread serves one link, see `link_server`: the serial line has one, each TCP connection has its
own. So a client that is slow or stuck holds up nobody. The sessions are shared by all links.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Hashable
from functools import partial

from serial_runtime.errors import LinkClosed, LinkError, WorkerBusy, WorkerStopped
from serial_runtime.plc.log import CRITICAL, WARNING
from serial_runtime.rpc.access import Access
from serial_runtime.rpc.link_server import LinkServer
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.refusals import Refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.protocol.session import ServerSessions
    from serial_runtime.rpc.about import About
    from serial_runtime.transport.interface import Listener, Transport
    from serial_runtime.worker import Worker

MAX_CONNECTIONS = 64  # of each listener, so that none can lock out the clients of another
_RETRY_S = 1.0  # after an error of a listener
_SETTLE_S = 1.0  # for a call that is being executed when the process ends


class Server:
    """Serves a PLC object on any number of listeners, each with a thread of its own."""

    def __init__(
        self,
        plc: PLC,
        sessions: ServerSessions,
        about: About,
        on_restart: Callable[[], None] = lambda: None,
        worker: Worker | None = None,
        access: Access | None = None,
    ) -> None:
        """`on_restart` is called after a reply when the PLC asks to execute the runtime anew.

        `worker`: the PLC's, to serve serial lines itself. `access`: who may do what; without it
        everybody may do everything, and is told no secret.
        """
        self.plc = plc
        self.sessions = sessions
        self.about = about
        self.on_restart = on_restart
        self.worker = worker
        self.access = access if access is not None else Access()
        self.refusals = Refusals(partial(plc.log, WARNING))
        self._listeners: list[Listener] = []
        self._links: set[LinkServer] = set()
        self._lock = threading.Lock()  # protects _links
        self._ended: deque[Hashable] = deque()  # owners of what is to be freed
        self._closing = threading.Event()
        self._keep_line = False

    def listen(self, listener: Listener, *, parallel: bool) -> None:
        """Serve a listener from now on. `parallel`: many links at a time (TCP), else one."""
        self._listeners.append(listener)
        name = f"rpc-{listener.name}"
        threading.Thread(
            target=self._accept, args=(listener, parallel), name=name, daemon=True
        ).start()

    def serve(self, transport: Transport) -> None:
        """Serve one link on this thread until it closes."""
        link = LinkServer(self, transport)
        with self._lock:
            if self._closing.is_set():
                transport.close()
                return
            self._links.add(link)
        try:
            link.run()
        finally:
            if transport.reliable or not self._keep_line:
                transport.close()
            with self._lock:
                self._links.discard(link)

    def release(self, owner: Hashable) -> None:
        """A connection or session has ended: free what it holds, now or with the next one."""
        self._ended.append(owner)
        while True:
            try:
                ended = self._ended.pop()
            except IndexError:
                return  # all are freed; other threads free some
            try:
                self.plc.owner_closed(ended)
            except WorkerStopped:
                return
            except WorkerBusy:
                self._ended.append(ended)
                return

    def adopt(self, transport: Transport) -> None:
        """Serve a link that is open already, on a thread of its own."""
        threading.Thread(
            target=self.serve, args=(transport,), name=f"rpc-{transport.name}", daemon=True
        ).start()

    def close(self) -> None:
        """Close all listeners and links."""
        for link in self._stop():
            link.transport.close()

    def hand_over(self) -> list[int]:
        """Close all but what the next process goes on with: serial lines, and connections.

        These are the TCP connections of stock clients that wait for no reply, which would take
        their end for an error; our own client comes back by itself. Returns their descriptors.
        """
        self._keep_line = True
        kept: list[int] = []
        for link in self._stop():
            transport = link.transport
            if link.is_stock and transport.kind == "tcp" and isinstance(transport, FdTransport):
                with contextlib.suppress(LinkClosed):
                    fd = transport.detach()
                    if link.settled.wait(_SETTLE_S) and link.between_calls:
                        kept.append(fd)
                    else:
                        os.close(fd)
            elif transport.reliable:
                transport.close()
        return kept

    def _stop(self) -> list[LinkServer]:
        self._closing.set()
        with self._lock:
            links = list(self._links)
        for listener in self._listeners:
            listener.close()
        return links

    def _accept(self, listener: Listener, parallel: bool) -> None:
        told = ""
        places = threading.Semaphore(MAX_CONNECTIONS)

        def serve(transport: Transport) -> None:
            try:
                self.serve(transport)
            finally:
                places.release()

        while not self._closing.is_set():
            try:
                transport = listener.accept(None)
            except LinkClosed:
                return
            except LinkError as error:
                # Not for a client to mend: permissions, no more descriptors.
                if str(error) != told:
                    told = str(error)
                    self.plc.log(CRITICAL, told)
                self._closing.wait(_RETRY_S)
                continue
            if not parallel:
                self.serve(transport)
            elif not places.acquire(blocking=False):
                transport.close()
            else:
                thread = threading.Thread(
                    target=serve, args=(transport,), name=f"rpc-{transport.name}", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError:  # no more threads; there will be some again
                    transport.close()
                    places.release()
