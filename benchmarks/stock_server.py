# SPDX-License-Identifier: MIT
"""The reference peer: PyPI's eRPC server classes on a serial port, answering GetPLCstatus."""

from __future__ import annotations

import sys
from typing import Any, cast

import erpc

from serial_runtime.rpc.ide import common, server


class Handler:
    def GetPLCstatus(self, status: Any) -> int:
        status.value = common.PlcStatus(common.Status.Empty, [0, 0, 0, 0])
        return 0


if __name__ == "__main__":
    transport = erpc.transport.SerialTransport(sys.argv[1], 115200)
    simple = erpc.simple_server.SimpleServer(transport, erpc.basic_codec.BasicCodec)
    simple.add_service(server.BeremizPLCObjectServiceService(cast(Any, Handler())))
    print("READY", flush=True)
    simple.run()
