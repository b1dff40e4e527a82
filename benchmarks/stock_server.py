# SPDX-License-Identifier: MIT
"""The reference peer: PyPI's eRPC server classes on a serial port.

It answers GetPLCstatus, and GetTraceVariables with one sample of 100 DINT for each millisecond
that passed since the call before. The samples are made beforehand: what is measured is what it
takes to send them.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any, cast

import erpc

from serial_runtime.rpc.ide import common, server

_MOST_SAMPLES = 150  # a reply has at most 65535 bytes


class Handler:
    def __init__(self) -> None:
        self._values = [random.randbytes(400) for _ in range(1000)]
        self._tick = 0
        self._born_s = time.monotonic()

    def GetPLCstatus(self, status: Any) -> int:
        status.value = common.PlcStatus(common.Status.Empty, [0, 0, 0, 0])
        return 0

    def SetTraceVariablesList(self, orders: Any, token: Any) -> int:
        self._tick = self._now()
        token.value = 1
        return 0

    def GetTraceVariables(self, token: int, traces: Any) -> int:
        end = min(self._now(), self._tick + _MOST_SAMPLES)
        samples = [
            common.TraceSample(tick, self._values[tick % 1000]) for tick in range(self._tick, end)
        ]
        self._tick = end
        traces.value = common.TraceReply(common.Status.Started, samples)
        return 0

    def _now(self) -> int:
        return int((time.monotonic() - self._born_s) * 1000)


if __name__ == "__main__":
    transport = erpc.transport.SerialTransport(sys.argv[1], 115200)
    simple = erpc.simple_server.SimpleServer(transport, erpc.basic_codec.BasicCodec)
    simple.add_service(server.BeremizPLCObjectServiceService(cast(Any, Handler())))
    print("READY", flush=True)
    simple.run()
