# SPDX-License-Identifier: MIT
"""Variables by name: from what a user types to rows of the board's table, and values to text."""

from __future__ import annotations

from collections.abc import Sequence

from serial_runtime import iec
from serial_runtime.errors import StateError
from serial_runtime.iec import IecType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.iec.text import Value
    from serial_runtime.rpc.board.common import Variable
    from serial_runtime.rpc.client import Client


class Selection:
    """The variables a command was asked for, in that order. No names: all of the program."""

    def __init__(self, board: Client, names: Sequence[str]) -> None:
        """VariableError with the nearest names when one is unknown."""
        self.table = table = board.variables()
        if not table:
            raise StateError("the board has no program, so there are no variables; load one first")
        rows = [table[i] for i in board.indices(names)] if names else list(table)
        self.rows: list[Variable] = list({row.path: row for row in rows}.values())
        self.names = [row.path for row in self.rows]
        self.kinds: list[IecType] = [iec.iec_type(row.iec_type) for row in self.rows]

    def values(self, packed: bytes) -> list[Value]:
        """The values of one cycle. ProtocolError when they do not fit the selection."""
        return iec.unpack_all(self.kinds, packed)

    def texts(self, packed: bytes) -> list[str]:
        """The same as IEC literals."""
        pairs = zip(self.kinds, self.values(packed), strict=True)
        return [iec.format(kind, value) for kind, value in pairs]


def json_value(kind: IecType, value: Value) -> Value:
    """Numbers, booleans and strings as they are; times and dates as IEC literals.

    So are NaN and infinity, which JSON does not have. REAL gets the digits that 32 bits have.
    """
    if kind in (IecType.TIME, IecType.DATE, IecType.TOD, IecType.DT):
        return iec.format(kind, value)
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return iec.format(kind, value)
    return iec.shortest(value) if kind == IecType.REAL and isinstance(value, float) else value
