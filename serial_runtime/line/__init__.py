# SPDX-License-Identifier: MIT
"""The line emulator: a virtual serial cable, as good or as bad as wanted.

Two pseudo terminals joined by a line of a real baud rate, for the demo, tests, benchmarks and
users' own programs. Each end is a tty that programs open like a UART; between them bytes take 10
bit times each (start, 8 data, stop), counted on an absolute clock, so the rate is exact however
irregularly the cable is scheduled. Delivery is in groups of up to a millisecond, the last bytes of
a burst at their own time.

Like on a real line, what arrives where nobody has the port open is lost. Unlike on one, an open
port whose reader is slow pushes back: the line waits, nothing is lost (a tty takes a few kB unread;
the cable itself holds back what the line carries in 50 ms). ``Conditions`` has an overrun for that,
and everything else a line can do to bytes; docs/line.md tells what is modelled and what is not.

``serial-runtime line``, or ``python -m serial_runtime.line``, runs a cable as a process, so that
its timing does not depend on anybody's GIL.
"""

from __future__ import annotations

from serial_runtime.line.cable import BOARD, BOTH, HOST, TO_BOARD, TO_HOST, VirtualCable
from serial_runtime.line.conditions import Conditions, Counters

__all__ = [
    "BOARD",
    "BOTH",
    "HOST",
    "TO_BOARD",
    "TO_HOST",
    "Conditions",
    "Counters",
    "VirtualCable",
]
