# SPDX-License-Identifier: MIT
"""Refusals on the wire: an exception of ours travels as a code and its sentence.

The codes are part of the wire format: they are never renumbered or used again. A peer that
meets a code it does not know raises CallRefused with the sentence.

A refusal is: u16 code, u16 errno (of BoardError, else 0), string (u32 length, UTF-8).
"""

from __future__ import annotations

from struct import Struct

from serial_runtime import errors
from serial_runtime.errors import BoardError, CallRefused, ProtocolError, SerialRuntimeError

CODES: dict[int, type[SerialRuntimeError]] = {
    1: errors.SerialRuntimeError,
    2: errors.ConfigError,
    3: errors.StateError,
    4: errors.StoreError,
    5: errors.BlobError,
    6: errors.ImageError,
    7: errors.ProgramFault,
    8: errors.VariableError,
    9: errors.TraceError,
    10: errors.BoardError,
    11: errors.ProtocolError,
    12: errors.CallRefused,
    13: errors.CallUnsupported,
    14: errors.LinkTimeout,
    15: errors.WorkerStopped,
    16: errors.OutcomeUnknown,
    17: errors.WorkerBusy,
    18: errors.TableChanged,
    19: errors.LinkError,
}
_CODE_OF = {kind: code for code, kind in CODES.items()}
_HEAD = Struct("<HHI")
_MAX_SENTENCE = 1000


def encode_refusal(error: SerialRuntimeError) -> bytes:
    """An exception to bytes; one without a code travels as its nearest base class."""
    code = next(_CODE_OF[kind] for kind in type(error).__mro__ if kind in _CODE_OF)
    errno = error.errno & 0xFFFF if isinstance(error, BoardError) else 0
    sentence = str(error).encode("utf-8", "replace")[:_MAX_SENTENCE]
    return _HEAD.pack(code, errno, len(sentence)) + sentence


def decode_refusal(payload: bytes) -> SerialRuntimeError:
    """Bytes to the exception to raise."""
    if len(payload) < _HEAD.size:
        return ProtocolError(f"a refusal of {len(payload)} bytes, the least is {_HEAD.size}")
    code, errno, length = _HEAD.unpack_from(payload)
    sentence = payload[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")
    kind = CODES.get(code, CallRefused)
    if issubclass(kind, BoardError):
        return kind(errno, sentence)
    return kind(sentence)
