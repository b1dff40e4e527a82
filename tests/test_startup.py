# SPDX-License-Identifier: MIT
"""What the daemon loads to start, and how much memory it takes: a small board pays for both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RESIDENT_MB = 25

# Each of these costs a small board one to ten per cent of the start, and none is needed for it.
TOO_HEAVY = {
    *("argparse", "asyncio", "dataclasses", "erpc", "gettext", "inspect", "json", "locale"),
    *("logging", "pathlib", "serial", "shutil", "socket", "subprocess", "tomllib", "traceback"),
    *("typing", "zstandard", "cryptography", "serial_codegen"),
    "serial_runtime.iec",
    "serial_runtime.plc.trace_coding",
    "serial_runtime.plc.trigger",
    "serial_runtime.rpc.board.common",
    "serial_runtime.rpc.board.server",
    "serial_runtime.rpc.client",
    "serial_runtime.transport.interface",
    "serial_runtime.transport.tcp",
}


def test_a_start_on_a_serial_line_loads_little(tmp_path: Path) -> None:
    controller, device = os.openpty()
    words = ["serve", "--port", os.ttyname(device), "--dir", str(tmp_path / "store")]
    code = (
        "import sys; before = set(sys.modules); from serial_runtime import cli, daemon, listeners\n"
        "def ready(*words, flush): print(*set(sys.modules) - before, flush=True)\n"
        f"daemon.print = ready; cli.main({words!r})"
    )
    # Without the modules of site, which differ between ways of installing this.
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        try:
            assert one.stdout is not None
            loaded = set(one.stdout.readline().split())
            status = Path(f"/proc/{one.pid}/status").read_text()
        finally:
            one.terminate()
    os.close(controller)
    os.close(device)
    assert "serial_runtime.plc.plc_object" in loaded
    assert sorted(TOO_HEAVY & loaded) == []
    resident_kb = int(status.partition("VmRSS:")[2].split()[0])
    assert resident_kb < RESIDENT_MB * 1000
