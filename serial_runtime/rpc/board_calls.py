# SPDX-License-Identifier: MIT
"""Service 2 of one link: the generated stub over its handler. Loaded with the first call of it."""

from __future__ import annotations

from serial_runtime.rpc.board.server import BoardServiceService
from serial_runtime.rpc.board.server import UnknownMethod as UnknownBoardMethod
from serial_runtime.rpc.ide.server import UnknownMethod
from serial_runtime.rpc.service import BoardHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.protocol.codec import Codec
    from serial_runtime.rpc.about import About
    from serial_runtime.rpc.access import Caller
    from serial_runtime.rpc.limits import Limits
    from serial_runtime.rpc.served_line import ServedLine


class BoardCalls:
    """Executes them. For one thread at a time."""

    def __init__(
        self, plc: PLC, limits: Limits, about: About, line: ServedLine, caller: Caller
    ) -> None:
        self._handler = BoardHandler(plc, limits, about, line, caller)
        self._service = BoardServiceService(self._handler)

    def call(self, owner: Hashable, method: int, codec: Codec) -> None:
        """Run one, whose arguments and then reply are in `codec`. UnknownMethod: there is none.

        `owner`: whose uploads it means. What the handler raises passes.
        """
        self._handler.owner = owner
        try:
            self._service.dispatch(method, 0, codec)
        except UnknownBoardMethod as error:
            raise UnknownMethod(*error.args) from error
