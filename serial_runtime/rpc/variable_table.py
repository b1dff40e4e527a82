# SPDX-License-Identifier: MIT
"""The variables of a board's program as the client keeps them: by index, and by path."""

from __future__ import annotations

from collections.abc import Iterable

from serial_runtime.errors import VariableError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.rpc.board.common import ProgramInfo, Variable
from serial_runtime.rpc.stub_api import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.rpc.board.client import BoardServiceClient


class VariableTable(NamedTuple):
    """The variable table of one program, of any thread's."""

    id: int
    rows: tuple[Variable, ...]
    places: dict[str, int]  # index by path in upper case

    def indices(self, names: Iterable[str]) -> list[int]:
        """Of variables by path; VariableError names those that come near."""
        found = []
        for name in names:
            index = self.places.get(name.upper())
            if index is None:
                raise VariableError(self._unknown(name))
            found.append(index)
        return found

    def _unknown(self, name: str) -> str:
        import difflib

        paths = [row.path for row in self.rows]
        near = difflib.get_close_matches(name.upper(), paths, 3)
        if not paths:
            return f"no variable {name!r}: no program is loaded"
        return f"no variable {name!r}; " + (
            f"did you mean {' or '.join(near)}?" if near else f"the program has {len(paths)} others"
        )


NO_TABLE = VariableTable(0, (), {})


def read_table(board: BoardServiceClient, info: ProgramInfo) -> VariableTable:
    """Of the program that `info` is of."""
    rows: list[Variable] = []
    while len(rows) < info.variables:
        page = Reference()
        board.GetVariables(info.table, len(rows), page)
        if not page.value:
            raise VariableError("the board sent an empty part of its variable table")
        rows += page.value
    places = {row.path.upper(): index for index, row in enumerate(rows)}
    return VariableTable(info.table, tuple(rows), places)
