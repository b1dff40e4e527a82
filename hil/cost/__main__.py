# SPDX-License-Identifier: MIT
"""The cost of the runtime on an emulated board: ``python -m hil.cost``.

The board counts instructions: its clock goes on by one nanosecond with each (QEMU's icount), so
the figures are those of a processor of 1000 MIPS and the same on a busy host. They are to be
compared with each other, as ratios; of a board's seconds they say nothing. With ``--wall`` the
clock is the host's, noise and all.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from hil.cost.disk import Extra, make
from hil.image.kernel import archive
from hil.image.machine import MACHINES, Machine
from serial_runtime.errors import PackagingError, SerialRuntimeError
from serial_runtime.protocol.frame import encode_frame

# GetPLCstatus as any stock client sends it.
REQUEST = encode_frame(bytes.fromhex("0004010101000000")).hex()
MACHINE = "virt-arm64"  # the one with a second disk
_COUNTED = ("-icount", "shift=0,sleep=on")
_LIMIT_S = 900.0
_STAGE = """\
#!/bin/sh
exec </dev/null >/dev/console 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
mkdir -p /dev/pts; mount -t devpts pts /dev/pts
mount -o ro /dev/vdb /mnt
export PYTHONPATH=/mnt/modules LD_LIBRARY_PATH=/mnt/lib
python3 /mnt/probe.py {runs} {request} /mnt/cost.so
dpkg-query --show --showformat 'package: ${{Installed-Size}}\\n' serial-runtime
systemctl poweroff -ff
"""


def measure(machine: Machine, runs: int, wall: bool) -> dict[str, float]:
    """Boot a new board, measure, switch off. PackagingError with the console's end."""
    with tempfile.TemporaryDirectory(prefix="cost-") as scratch:
        folder = Path(scratch)
        extra = make(machine, folder)
        machine.make_disk(folder)
        stage = _STAGE.format(runs=runs, request=REQUEST).encode()
        initrd = (machine.images / "initrd.cpio").read_bytes()
        initrd += archive({"stage/stage": stage}, ["stage"])
        (folder / "initrd.cpio").write_bytes(initrd)
        (folder / "vmlinuz").symlink_to(machine.images / "vmlinuz")
        options = [
            *("-drive", f"file={extra.disk},format=raw,if=none,id=extra,readonly=on"),
            *("-device", "virtio-blk-pci,drive=extra"),
            *(() if wall else _COUNTED),
        ]
        command = machine.arguments(
            folder, append="init=/stage/stage", images=folder, extra=options
        )
        try:
            subprocess.run(command, timeout=_LIMIT_S, capture_output=True, check=True)
        except subprocess.SubprocessError as error:
            raise PackagingError(f"the emulator: {error}") from error
        console = (folder / "console.log").read_text(errors="replace")
        return _figures(console, extra)


def _figures(console: str, extra: Extra) -> dict[str, float]:
    found = re.search(r"^cost: (\{.*\})\s*$", console, re.MULTILINE)
    package = re.search(r"^package: (\d+)\s*$", console, re.MULTILINE)
    if not found or not package:
        raise PackagingError("the board has not measured:\n" + console[-2000:])
    figures: dict[str, float] = json.loads(found[1])
    own = int(package[1])
    return {
        **figures,
        "flash_kb": own,
        "flash_all_kb": own + extra.ours_kb,
        "flash_peer_kb": extra.peer_kb,
    }


def report(found: dict[str, float]) -> list[str]:
    """The figures as a table of text: ours, the reference beside it, the ratio and its target."""

    def row(name: str, value: float, unit: str, reference: float = 0.0, target: str = "") -> str:
        ratio = f"{value / reference:8.2f}" if reference else " " * 8
        beside = f"{reference:10.1f}" if reference else " " * 10
        return f"{name:<44}{value:9.1f}{beside}{ratio}  {unit:<4}{target}".rstrip()

    bare, peer = found["reference_s"] * 1e3, found["peer_s"] * 1e3
    return [
        f"{'':<44}{'':>9}{'reference':>10}{'ratio':>8}",
        row("python3 alone", found["python_s"] * 1e3, "ms"),
        row("start to READY / import serial, erpc", found["ready_s"] * 1e3, "ms", bare, "<= 1.5"),
        row("start to first reply / the same", found["reply_s"] * 1e3, "ms", bare, "<= 1.5"),
        row("start to READY / imports of Beremiz", found["ready_s"] * 1e3, "ms", peer),
        row(
            "resident, idle / the same",
            found["resident_kb"] / 1e3,
            "MB",
            found["peer_kb"] / 1e3,
            "<= 25",
        ),
        row("resident, 1 ms task and trace", found["used_kb"] / 1e3, "MB", 0.0, "<= 25"),
        row("processor, 1 ms task", found["cycle_share"] * 100, "%"),
        row("processor, 1 ms task, 8 variables traced", found["trace_share"] * 100, "%"),
        row("flash, our package", found["flash_kb"] / 1e3, "MB"),
        row(
            "flash, with Python / that of Beremiz",
            found["flash_all_kb"] / 1e3,
            "MB",
            found["flash_peer_kb"] / 1e3,
        ),
    ]


def main() -> int:
    """The command line; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m hil.cost", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each start (default: 5)")
    parser.add_argument("--wall", action="store_true", help="the host's clock, no instructions")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        found = measure(MACHINES[MACHINE], options.runs, options.wall)
    except SerialRuntimeError as error:
        print(f"hil.cost: error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if options.json else "\n".join(report(found)))
    start = max(found["ready_s"], found["reply_s"]) / found["reference_s"]
    return int(start > 1.5 or max(found["resident_kb"], found["used_kb"]) > 25_000)


if __name__ == "__main__":
    sys.exit(main())
