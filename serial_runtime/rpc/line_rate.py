# SPDX-License-Identifier: MIT
"""The client's half of an agreed rate, on a link: see ``protocol.baud_switch``."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from serial_runtime.errors import CallRefused, LinkClosed, LinkTimeout, SerialRuntimeError
from serial_runtime.protocol import baud_switch
from serial_runtime.protocol.baud_switch import ClientRate
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.transport.base import is_rated
from serial_runtime.transport.interface import RatedTransport, Transport

_ATTEMPTS = 2  # one may lose its answer
_MARGIN_S = 2.0

Call = Callable[[int, int, bytes, float], bytes]
"""Service, method, arguments, seconds it may take; raises as a call does."""


class LineRate:
    """Runs a line at `fast` baud (0: never) while it is used. For the thread that drives the link.

    `switched` is told when the transport runs at another rate, `tell` what the user should know.
    """

    def __init__(
        self, fast: int, switched: Callable[[], object], tell: Callable[[str], object]
    ) -> None:
        self._fast = fast
        self._switched = switched
        self._tell = tell
        self._transport: RatedTransport | None = None
        self._rate = ClientRate(0)
        self.active = False  # else nothing below is ever due
        self.heard_s = 0.0  # when a frame of the board arrived last

    def opened(self, transport: Transport) -> None:
        """The link was opened, at its home rate."""
        self._transport = transport if is_rated(transport) else None
        home = self._transport.baud if self._transport else 0
        self._rate = ClientRate(home, self._fast if home and home != self._fast else 0)
        self.active = self._rate.fast > 0

    @property
    def lost_s(self) -> float:
        """When `go_home` is due, if nothing is heard while calls are under way."""
        return self._rate.lost_s(self.heard_s)

    def prepare(self, call: Call) -> None:
        """Before a call, while none is under way: agree on the rate, or again. LinkClosed."""
        now_s = time.monotonic()
        if self._rate.is_forgotten(now_s, self.heard_s):
            self.go_home()
        if not self._rate.wants_fast(now_s):
            return
        try:
            self.run_at(self._fast, call)
        except LinkClosed:
            raise
        except SerialRuntimeError as error:
            self._rate.failed(time.monotonic())
            self._tell(f"staying at {self._rate.home} baud: {error}")

    def run_at(self, baud: int, call: Call) -> None:
        """Agree with the board on a rate and go there.

        Raises LinkTimeout when the line does not carry it (then it is at home again), CallRefused
        when this end has no rates, what the board says when it refuses, LinkClosed.
        """
        transport = self._transport
        if transport is None:
            raise CallRefused("this link has no baud rate: it is no serial line")
        transport.check_rate(baud)
        arguments = struct.pack("<I", baud)
        # Longer than the board stays away when its answer is lost.
        ask_s = baud_switch.TRIAL_S + _MARGIN_S
        for _ in range(_ATTEMPTS):
            call(IBoardService.SERVICE_ID, IBoardService.SETBAUD_ID, arguments, ask_s)
            self._switch(baud)
            try:
                call(Ide.SERVICE_ID, Ide.GETPLCSTATUS_ID, b"", baud_switch.CONFIRM_S)
                return
            except LinkTimeout:
                self.go_home()
                transport.read(0.0)  # what came at another rate
                # The board comes home.
                time.sleep(baud_switch.TRIAL_S - baud_switch.CONFIRM_S)
        raise LinkTimeout(f"{transport.name}: the line or the board does not carry {baud} baud")

    def go_home(self) -> None:
        """Run at the rate that the board falls back to. LinkClosed."""
        self._switch(self._rate.home)

    def leave(self) -> None:
        """Nothing more is sent: let it leave, and the port be as it was. LinkClosed."""
        if self._rate.is_away:
            self.go_home()

    def _switch(self, baud: int) -> None:
        assert self._transport is not None
        if baud != self._transport.baud:
            self._transport.switch_rate(baud)
        self.heard_s = time.monotonic()
        self._rate.baud = baud
        self.active = self._rate.fast > 0 or self._rate.is_away
        self._switched()
