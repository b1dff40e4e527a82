# SPDX-License-Identifier: MIT
"""How often each call may have been executed, against how often it was.

The board writes exactly one log line for each execution of a call that must not execute twice,
whether it did something or was refused. So the lines can be counted against the calls: a call that
was answered was executed once, one whose outcome is not known once or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

# Kind of call -> what the line of an execution begins and ends with.
SIGNS: dict[str, tuple[tuple[str, str], ...]] = {
    "start": (("program ", " started"), ("start refused: ", "")),
    "stop": (("PLC stopped", ""), ("stop refused: ", "")),
    "download": (("program ", " loaded"), ("new program refused: ", "")),
    "repair": (("program and extra files deleted", ""), ("repair refused: ", "")),
}


class Violation(Exception):
    """An invariant of the link does not hold."""


@dataclass
class _Account:
    least: int = 0
    most: int = 0
    executed: int = 0


class Ledger:
    """Counts per kind of call, over boots and clients."""

    def __init__(self) -> None:
        self._accounts = {kind: _Account() for kind in SIGNS}

    def called(self, kind: str) -> None:
        """A call begins, or may be sent once more as one of its own."""
        self._accounts[kind].most += 1

    def answered(self, kind: str) -> None:
        """The board has answered it: it was executed."""
        self._accounts[kind].least += 1

    def refused_unexecuted(self, kind: str) -> None:
        """The board said that it was not executed."""
        self._accounts[kind].most -= 1

    def seen(self, lines: list[str]) -> None:
        """New lines of the log. Violation when a call was executed too often."""
        for line in lines:
            for kind, signs in SIGNS.items():
                if any(line.startswith(head) and line.endswith(tail) for head, tail in signs):
                    self._accounts[kind].executed += 1
        for kind, account in self._accounts.items():
            if account.executed > account.most:
                raise Violation(
                    f"{kind} was executed {account.executed} times, called {account.most} times"
                )

    def unseen(self, kind: str) -> None:
        """Lines were lost with a board: an execution of this call may be among them."""
        self._accounts[kind].least -= 1

    def check(self) -> None:
        """All lines there are were seen. Violation when an answered call was not executed."""
        for kind, account in self._accounts.items():
            if account.executed < account.least:
                raise Violation(
                    f"{account.least} calls of {kind} were answered, {account.executed} executed"
                )

    def settle(self) -> None:
        """Nothing is under way any more: what was not executed by now never will be."""
        self.check()
        for account in self._accounts.values():
            account.least = account.most = account.executed
