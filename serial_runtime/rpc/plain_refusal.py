# SPDX-License-Identifier: MIT
"""What a plain call of service 1 is answered when it is refused: it has no place for a sentence."""

from __future__ import annotations

from struct import pack

from serial_runtime.errors import CallRefused
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

UNSUPPORTED, _FAILED, _INVALID = 2, 1, 22  # return values; 2 keeps the IDE connected

# What stands for the outputs of a plain call that is refused, and its return value.
_NO_TEXT = bytes(4)
_BROKEN = pack("<iI", Status.Broken, 0)
_REFUSED: dict[int, tuple[bytes, int]] = {
    Ide.APPENDCHUNKTOBLOB_ID: (_NO_TEXT, 0),
    Ide.GETLOGMESSAGE_ID: (bytes(16), UNSUPPORTED),
    Ide.GETPLCID_ID: (bytes(8), UNSUPPORTED),
    Ide.GETPLCSTATUS_ID: (pack("<i16x", Status.Broken), _FAILED),
    Ide.GETTRACEVARIABLES_ID: (_BROKEN, 0),
    Ide.MATCHMD5_ID: (b"\0", 0),
    Ide.NEWPLC_ID: (b"\0", 0),
    Ide.PURGEBLOBS_ID: (b"", _FAILED),
    Ide.REPAIRPLC_ID: (b"", _FAILED),
    Ide.RESETLOGCOUNT_ID: (b"", _FAILED),
    Ide.SEEDBLOB_ID: (_NO_TEXT, 0),
    Ide.SETTRACEVARIABLESLIST_ID: (pack("<i", -4), 0),
    Ide.STARTPLC_ID: (b"", _FAILED),
    Ide.STOPPLC_ID: (b"\0", 0),
}


def plain_refusal(method: int, *, malformed: bool = False) -> bytes:
    """Outputs and return value of a service 1 call that is refused.

    A method that is not there is answered by the return value 2 alone: its client fails to
    decode the outputs it expects, instead of waiting for ever. The same holds for another
    service. Malformed arguments get the outputs of a refusal and EINVAL.
    """
    outputs, value = _REFUSED.get(method, (b"", UNSUPPORTED))
    if malformed and method in _REFUSED:
        value = _INVALID
    return outputs + pack("<I", value)


def check_value(method: str, value: int) -> None:
    """At the other end: raise for a return value that tells of an error."""
    if value:
        raise CallRefused(f"{method} was refused (error {value}); the runtime's log may tell why")
