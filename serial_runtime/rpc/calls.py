# SPDX-License-Identifier: MIT
"""Executes calls: from the arguments on the wire to a method of the PLC, and its answer back.

What a client sends wrong comes back as an answer too: a call in an envelope gets a refusal with the
reason; a plain service 1 call gets `plain_refusal`, and the reason goes to the PLC's log.
"""

from __future__ import annotations

from collections.abc import Hashable
from struct import Struct

from serial_runtime.errors import AccessDenied, ProtocolError, SerialRuntimeError
from serial_runtime.plc.log import CRITICAL, WARNING
from serial_runtime.protocol import envelope
from serial_runtime.protocol.codec import Codec
from serial_runtime.protocol.refusal import encode_refusal
from serial_runtime.rpc.board.interface import IBoardService
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.ide.server import BeremizPLCObjectServiceService, UnknownMethod
from serial_runtime.rpc.ide_service import IdeHandler, encode_status
from serial_runtime.rpc.plain_refusal import plain_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.rpc.about import About
    from serial_runtime.rpc.access import Caller
    from serial_runtime.rpc.board_calls import BoardCalls
    from serial_runtime.rpc.limits import Limits
    from serial_runtime.rpc.served_line import ServedLine

_MESSAGE = Struct("<II")
_CODEC_VERSION = 1
_INVOCATION, _ONEWAY, _REPLY = 0, 1, 2
_UNKNOWN = plain_refusal(0)  # there is no method 0
_MAY_RESTART = (Ide.NEWPLC_ID, Ide.REPAIRPLC_ID, Ide.STARTPLC_ID)
# A refusal of these is nothing to tell anybody, or the PLC object has logged it.
_SILENT = (
    Ide.GETPLCID_ID,
    Ide.GETLOGMESSAGE_ID,
    Ide.GETTRACEVARIABLES_ID,
    Ide.NEWPLC_ID,
    Ide.REPAIRPLC_ID,
    Ide.STARTPLC_ID,
    Ide.STOPPLC_ID,
)
# These decode, wait for the disk or for a trial load, off the worker.
_SLOW = frozenset(
    {
        (Ide.SERVICE_ID, Ide.NEWPLC_ID),
        (IBoardService.SERVICE_ID, IBoardService.FINISHUPLOAD_ID),
        (IBoardService.SERVICE_ID, IBoardService.PREPARECHANGE_ID),
    }
)


def is_slow(service: int, method: int) -> bool:
    """Whether a call works so long that others must not wait for it."""
    return (service, method) in _SLOW


class Calls:
    """Executes the calls of one link. For one thread at a time."""

    def __init__(
        self,
        plc: PLC,
        limits: Limits,
        about: About,
        owner: Hashable,
        line: ServedLine,
        caller: Caller,
    ) -> None:
        """`owner`: whose blobs plain calls mean; those in envelopes mean their session's."""
        self.restarts = False  # a call was answered by a restart of the runtime
        self._plc = plc
        self._owner = owner
        self._caller = caller
        self._ide_handler = IdeHandler(plc, limits, caller)
        self._ide = BeremizPLCObjectServiceService(self._ide_handler)
        self._board: BoardCalls | None = None  # many clients need none of it
        self._board_arguments = (plc, limits, about, line, caller)
        self._codec = Codec()

    def execute(self, call: envelope.Envelope) -> tuple[int, bytes]:
        """Run a call in an envelope; the status and the payload of its reply."""
        codec = self._codec
        codec.buffer = call.payload
        try:
            if call.method == Ide.GETPLCSTATUS_ID and call.service == Ide.SERVICE_ID:
                return envelope.DONE, encode_status(self._plc)  # anybody may
            with self._caller.calling(call.service, call.method, call.session):
                if call.service == Ide.SERVICE_ID:
                    self._call_ide(call.session, call.method, 0)
                elif call.service == IBoardService.SERVICE_ID:
                    self._call_board(call.session, call.method)
                else:
                    return envelope.UNSUPPORTED, b""
        except UnknownMethod:
            return envelope.UNSUPPORTED, b""
        except SerialRuntimeError as error:
            return envelope.REFUSED, encode_refusal(error)
        except Exception as error:
            return envelope.REFUSED, encode_refusal(log_internal(self._plc, error))
        status = envelope.DONE | envelope.RESTARTS if self.restarts else envelope.DONE
        return status, bytes(codec.buffer[_MESSAGE.size :])

    def execute_plain(self, body: bytes) -> bytes:
        """Run a plain call, of service 1 only; the reply, or nothing where none is due."""
        if len(body) < _MESSAGE.size:
            return b""
        word, sequence = _MESSAGE.unpack_from(body)
        kind, method, service = word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF
        if word >> 24 != _CODEC_VERSION or kind not in (_INVOCATION, _ONEWAY):
            return b""
        codec = self._codec
        codec.buffer = body[_MESSAGE.size :]
        try:
            if service != Ide.SERVICE_ID:
                raise UnknownMethod(f"there is no service {service}")
            with self._caller.calling(service, method):
                self._call_ide(self._owner, method, sequence)
            reply = bytes(codec.buffer)
        except UnknownMethod as error:
            refusal = _UNKNOWN
            self._note(f"a client called what is not there: {error.args[0]}")
        except ProtocolError as error:
            refusal = plain_refusal(method, malformed=True)
            self._note(f"a client sent wrong arguments for method {method}: {error}")
        except SerialRuntimeError as error:
            refusal = plain_refusal(method)
            if method not in _SILENT or isinstance(error, AccessDenied):
                self._note(str(error))
        except Exception as error:
            refusal = plain_refusal(method)
            log_internal(self._plc, error)
        else:
            return b"" if kind == _ONEWAY else reply
        head = _MESSAGE.pack(word & 0xFFFFFF00 | _REPLY, sequence)
        return b"" if kind == _ONEWAY else head + refusal

    def _call_board(self, owner: Hashable, method: int) -> None:
        if self._board is None:
            from serial_runtime.rpc.board_calls import BoardCalls

            self._board = BoardCalls(*self._board_arguments)
        self._board.call(owner, method, self._codec)

    def _call_ide(self, owner: Hashable, method: int, sequence: int) -> None:
        self._ide_handler.owner = owner
        self._ide.dispatch(method, sequence, self._codec)
        self.restarts |= method in _MAY_RESTART and self._plc.restart is not None

    def _note(self, text: str) -> None:
        self._plc.log(WARNING, text)


def log_internal(plc: PLC, error: Exception) -> SerialRuntimeError:
    """An error that should not be: a bug. Where it happened goes to the log."""
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"internal error: {type(error).__name__}: {error} ({place.name}:{place.lineno})"
    plc.log(CRITICAL, text)
    return SerialRuntimeError(text)
