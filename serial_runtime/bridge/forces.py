# SPDX-License-Identifier: MIT
"""Who forces what: every force belongs to the client that set it, and the last writer wins.

A value that an owner merely repeats is not written anew: an IDE sends its whole list whenever a
variable is added to a view, and must not win over another client by that. When the winner lets go
of a variable, the value of the writer before holds again.

Plain values without a lock: a change makes a new book, which takes the place of the old one once
the board has accepted the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

from serial_runtime.named_tuple import NamedTuple


class Entry(NamedTuple):
    """One owner's value for a variable, in wire form."""

    owner: Hashable
    value: bytes


class Forces:
    """A book of forces; immutable."""

    def __init__(self, entries: Mapping[int, tuple[Entry, ...]] | None = None) -> None:
        self._entries = dict(entries or {})  # by index, the last writer last

    def replaced(self, owner: Hashable, values: Mapping[int, bytes]) -> Forces:
        """This owner forces these variables and no others."""
        entries = dict(self._entries)
        for index in self.of(owner).keys() - values.keys():
            _put(entries, index, tuple(e for e in entries[index] if e.owner != owner))
        for index, value in values.items():
            _write(entries, index, Entry(owner, value))
        return Forces(entries)

    def updated(self, owner: Hashable, values: Mapping[int, bytes]) -> Forces:
        """This owner forces these too; an empty value releases a variable, whoever forced it."""
        entries = dict(self._entries)
        for index, value in values.items():
            if value:
                _write(entries, index, Entry(owner, value))
            else:
                entries.pop(index, None)
        return Forces(entries)

    def of(self, owner: Hashable) -> dict[int, bytes]:
        """What this owner forces, whether it wins or not."""
        return {
            index: entry.value
            for index, stack in self._entries.items()
            for entry in stack
            if entry.owner == owner
        }

    @property
    def owners(self) -> set[Hashable]:
        """Who forces something, whether they win or not."""
        return {entry.owner for stack in self._entries.values() for entry in stack}

    def restricted(self, indices: Collection[int]) -> Forces:
        """Without those of other variables: the board has released them."""
        return Forces({i: stack for i, stack in self._entries.items() if i in indices})

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def effective(self) -> dict[int, bytes]:
        """The values that win."""
        return {index: stack[-1].value for index, stack in self._entries.items()}

    def changes(self, after: Forces) -> dict[int, bytes]:
        """What the board must be told to get from here to `after`; empty values release."""
        old, new = self.effective, after.effective
        changed = {index: value for index, value in new.items() if old.get(index) != value}
        return {**changed, **dict.fromkeys(sorted(old.keys() - new.keys()), b"")}

    def taken(self, after: Forces, writer: Hashable) -> list[tuple[int, Entry, bytes]]:
        """What `writer` takes from others by `after`: index, who loses, and the new value.

        The value is empty where the variable is released.
        """
        found: list[tuple[int, Entry, bytes]] = []
        for index, stack in self._entries.items():
            now = after._entries.get(index)
            if stack[-1].owner != writer and (now is None or now[-1].owner == writer):
                found.append((index, stack[-1], now[-1].value if now else b""))
        return found


def _put(entries: dict[int, tuple[Entry, ...]], index: int, stack: tuple[Entry, ...]) -> None:
    if stack:
        entries[index] = stack
    else:
        entries.pop(index, None)


def _write(entries: dict[int, tuple[Entry, ...]], index: int, entry: Entry) -> None:
    stack = entries.get(index, ())
    if entry not in stack:
        entries[index] = (*(e for e in stack if e.owner != entry.owner), entry)
