# SPDX-License-Identifier: MIT
"""The trace of a stock board, with the interface of ``rpc.trace.Trace`` that `traces` uses."""

from __future__ import annotations

from collections.abc import Sequence

from serial_runtime.errors import CallRefused, TraceError
from serial_runtime.rpc.client import Client, Snapshot
from serial_runtime.rpc.ide.common import Status, TraceOrder
from serial_runtime.rpc.stub_api import Reference

Orders = Sequence[tuple[int, bytes]]


class StockTrace:
    """One list; its end is not told before it is polled."""

    def __init__(self, client: Client, orders: Orders) -> None:
        """Set the list. CallRefused; a refusal may also be a negative `token`."""
        self._ide = client.ide
        self.more = False
        self.lost = self.decimated = self.since = 0  # it does not tell
        self.decimation = 1
        self.plc = int(Status.Stopped)
        reference = Reference()
        value = self._ide.SetTraceVariablesList([TraceOrder(*one) for one in orders], reference)
        if value:
            raise CallRefused(f"SetTraceVariablesList was refused (error {value})")
        self.token: int = reference.value

    def poll(self) -> list[Snapshot]:
        """The samples since the last poll. TraceError when the board has ended the trace."""
        reference = Reference()
        value = self._ide.GetTraceVariables(self.token, reference)
        self.plc = reference.value.status
        if value or self.plc == Status.Broken:
            raise TraceError("the board has ended it")
        return [Snapshot(one.tick, bytes(one.TraceBuffer)) for one in reference.value.traces]

    def close(self) -> None:
        """Suspend it."""
        self._ide.SetTraceVariablesList([], Reference())
