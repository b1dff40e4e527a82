# SPDX-License-Identifier: MIT
"""What clients watch and hold: the trace list and the forces, of both services.

Service 1 sets both with one call and reads failures from a negative token; service 2 has a call
for each and gets exceptions. Worker thread only, but for what `Trace` allows.
"""

from __future__ import annotations

from serial_runtime.errors import BoardError, TraceError, VariableError
from serial_runtime.plc.trace import Trace, TraceOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serial_runtime.board import Board, Image

# Negated error codes of SetTraceVariablesList, as the IDE knows them.
LIST_OVERFLOW, FORCE_OVERFLOW, WRONG_SIZE, INVALID, SUSPENDED = -1, -2, -3, -4, -5

# A reply of service 1 holds at most 65535 bytes, and a sample must fit one.
MAX_SAMPLE_BYTES = 65_000
MAX_FORCES = 4096


class Watch:
    """The one trace list and the one set of forces."""

    def __init__(self, board: Board, trace: Trace) -> None:
        self._board = board
        self._forces: dict[int, bytes] = {}
        self.trace = trace

    @property
    def forced(self) -> list[int]:
        """Indices of the forced variables, ascending."""
        return sorted(self._forces)

    @property
    def forces(self) -> dict[int, bytes]:
        """The forced variables and their values."""
        return dict(self._forces)

    def replace_forces(self, forces: Mapping[int, bytes]) -> None:
        """The board forces these now, by other means than ours."""
        self._forces = dict(forces)

    def set_list(
        self, image: Image, orders: Sequence[tuple[int, bytes]], keep_forces: bool = False
    ) -> tuple[int, str]:
        """Service 1: trace these variables, force those with a value; at least one order.

        Replaces all forces, or keeps them and takes none. Returns the token and "", or a negative
        code and why; nothing is changed then.
        """
        indices = [index for index, _ in orders]
        try:
            _check_list(image, indices)
        except VariableError as error:
            return INVALID, str(error)
        except TraceError as error:
            return LIST_OVERFLOW, str(error)
        forces = {index: value for index, value in orders if value}
        if keep_forces:
            forces = self._forces
        if len(forces) > MAX_FORCES:
            return FORCE_OVERFLOW, f"{len(forces)} forces: at most {MAX_FORCES}"
        try:
            self._board.set_forces(forces)
        except VariableError as error:
            return WRONG_SIZE, str(error)
        except BoardError as error:
            return FORCE_OVERFLOW, str(error)
        try:
            generation = self._board.set_trace(indices)
        except (VariableError, TraceError, BoardError) as error:
            self._board.set_forces(self._forces)
            return LIST_OVERFLOW, str(error)
        self._forces = forces
        return self.trace.open(generation, len(indices), keep=False), ""

    def suspend(self) -> None:
        """Trace nothing; forces stay. The token becomes invalid."""
        self.trace.close()
        self._board.set_trace(())

    def open(self, image: Image, indices: Sequence[int], options: TraceOptions) -> int:
        """Service 2: trace these variables. VariableError, TraceError: nothing is changed then."""
        if not indices:
            raise TraceError("no variables to trace: name at least one")
        _check_list(image, indices)
        variables = [image.variables[index] for index in indices]
        trigger = self.trace.prepare(variables, options)
        return self.trace.open(
            self._board.set_trace(indices),
            len(indices),
            keep=True,
            kinds=[variable.type for variable in variables],
            options=options,
            trigger=trigger,
        )

    def force(self, values: Mapping[int, bytes]) -> None:
        """Service 2: force these too; an empty value releases. VariableError: nothing changed."""
        merged = {**self._forces, **values}
        merged = {index: value for index, value in merged.items() if value}
        if len(merged) > MAX_FORCES:
            raise VariableError(f"{len(merged)} forces: at most {MAX_FORCES}; release some")
        self._board.set_forces(merged)
        self._forces = merged

    def release(self) -> None:
        """Release every force."""
        if self._forces:
            self._board.set_forces({})
            self._forces = {}

    def forget(self, *, tainted: bool) -> None:
        """No list and no forces any more, as before another program. The trace thread ends."""
        self.trace.close()
        self.trace.quiesce()
        if tainted:
            self._forces = {}
            return
        self._board.set_trace(())
        self.release()


def _check_list(image: Image, indices: Sequence[int]) -> None:
    """VariableError: an index that does not exist. TraceError: the sample would be too long."""
    from serial_runtime.iec import IecType, wire_size

    size = 0
    for index in indices:
        if not 0 <= index < len(image.variables):
            raise VariableError(
                f"variable {index} does not exist: the program has {len(image.variables)}"
            )
        variable = image.variables[index]
        size += wire_size(variable.type)
        if variable.type == IecType.STRING:
            size += variable.capacity
    if size > MAX_SAMPLE_BYTES:
        raise TraceError(
            f"{len(indices)} variables make samples of up to {size} bytes, at most "
            f"{MAX_SAMPLE_BYTES} are possible: trace fewer"
        )
