# SPDX-License-Identifier: MIT
"""The IDE's service as procedures of WAMP and Pyro, in the forms of its WAMP connector.

Arguments are positional, tuples arrive as lists, an enumeration is its name, a log line that is
not there is nil. There is no RemoteExec.

A call of service 1 is made for each, on a link of this process that the board's server serves like
any other, so what is allowed and what is recorded is decided in one place. A refusal is the value
that means it to the IDE, and a line in the log: an error would break the IDE's connector, which
looks for a default value that it does not have. Errors are for wrong arguments and a link that is
gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from serial_runtime.errors import CallRefused, LinkError, ProtocolError, SerialRuntimeError
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.client import BeremizPLCObjectServiceClient
from serial_runtime.rpc.ide.common import ExtraFile, Status, TraceOrder
from serial_runtime.rpc.stub_api import Reference

_UNSUPPORTED = 2  # return value of service 1

Ide = BeremizPLCObjectServiceClient


def call_natively(
    client: Client, name: str, arguments: tuple[Any, ...], note: Callable[[str], object]
) -> Any:
    """Make a call and return its result in native form.

    `note` takes a line for the log, why a call was refused. ProtocolError for wrong arguments.
    """
    try:
        return _PROCEDURES[name](client.ide, *arguments)
    except LinkError:
        raise
    except ProtocolError as error:
        raise ProtocolError(f"{name}: {error}") from error
    except SerialRuntimeError as error:
        if name not in _REFUSED:
            raise
        if name not in _LOGGED or isinstance(error, CallRefused):
            note(str(error))
        return _REFUSED[name]
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"{name}: wrong arguments: {error}") from error


def _value(name: str, call: Callable[[Reference], int]) -> Any:
    result = Reference()
    value = call(result)
    if value:
        reason = "is not supported" if value == _UNSUPPORTED else f"was refused (error {value})"
        raise SerialRuntimeError(f"{name} {reason}; the log of the runtime may tell why")
    return result.value


def _done(name: str, value: int) -> None:
    _value(name, lambda _: value)


def _status(ide: Ide) -> list[Any]:
    found = _value("GetPLCstatus", ide.GetPLCstatus)
    return [Status(found.status).name, list(found.logcounts)]


def _plc_id(ide: Ide) -> list[str]:
    found = _value("GetPLCID", ide.GetPLCID)
    return [found.ID, found.PSK]


def _log_message(ide: Ide, level: int, number: int) -> list[Any]:
    found = _value("GetLogMessage", lambda line: ide.GetLogMessage(level, number, line))
    return [found.msg, found.tick, found.sec, found.nsec]


def _new_plc(ide: Ide, md5: str, blob: bytes, files: list[tuple[str, bytes]]) -> bool:
    extra = [ExtraFile(name, one) for name, one in files]
    return bool(_value("NewPLC", lambda done: ide.NewPLC(md5, blob, extra, done)))


def _set_trace(ide: Ide, orders: list[tuple[int, bytes | None]]) -> int:
    wanted = [TraceOrder(index, force or b"") for index, force in orders]
    token: int = _value("SetTraceVariablesList", lambda t: ide.SetTraceVariablesList(wanted, t))
    return token


def _traces(ide: Ide, token: int) -> list[Any]:
    if token < 0:  # what a client got that has suspended its trace
        return [Status.Broken.name, []]
    found = _value("GetTraceVariables", lambda traces: ide.GetTraceVariables(token, traces))
    samples = [[one.tick, bytes(one.TraceBuffer)] for one in found.traces]
    return [Status(found.status).name, samples]


_PROCEDURES: dict[str, Callable[..., Any]] = {
    "AppendChunkToBlob": lambda ide, data, blob: bytes(
        _value("AppendChunkToBlob", lambda new: ide.AppendChunkToBlob(data, blob, new))
    ),
    "GetLogMessage": _log_message,
    "GetPLCID": _plc_id,
    "GetPLCstatus": _status,
    "GetTraceVariables": _traces,
    "MatchMD5": lambda ide, md5: bool(_value("MatchMD5", lambda same: ide.MatchMD5(md5, same))),
    "NewPLC": _new_plc,
    "PurgeBlobs": lambda ide: _done("PurgeBlobs", ide.PurgeBlobs()),
    "RepairPLC": lambda ide: _done("RepairPLC", ide.RepairPLC()),
    "ResetLogCount": lambda ide: _done("ResetLogCount", ide.ResetLogCount()),
    "SeedBlob": lambda ide, seed: bytes(_value("SeedBlob", lambda new: ide.SeedBlob(seed, new))),
    "SetTraceVariablesList": _set_trace,
    "StartPLC": lambda ide: _done("StartPLC", ide.StartPLC()),
    "StopPLC": lambda ide: bool(_value("StopPLC", ide.StopPLC)),
}
PROCEDURES = tuple(_PROCEDURES)
_REFUSED: dict[str, Any] = {
    "AppendChunkToBlob": None,
    "GetLogMessage": None,
    "GetTraceVariables": [Status.Broken.name, []],
    "NewPLC": False,
    "PurgeBlobs": None,
    "RepairPLC": None,
    "ResetLogCount": None,
    "SeedBlob": None,
    "SetTraceVariablesList": -4,
    "StartPLC": None,
    "StopPLC": False,
}
# Nothing to tell, or the PLC object has logged it.
_LOGGED = ("GetLogMessage", "GetTraceVariables", "NewPLC", "RepairPLC", "StartPLC", "StopPLC")
