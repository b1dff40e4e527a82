# SPDX-License-Identifier: MIT
"""The probe: a plain call that tells who is there. A stock server says, harmlessly, no to it."""

from __future__ import annotations

import os

from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

PROBE = "serial-runtime/2?nonce="  # begins the digest that no program has; our answer is True


def probe_call() -> tuple[int, int, bytes]:
    """Service, method and arguments."""
    digest = (PROBE + os.urandom(8).hex()).encode()
    return Ide.SERVICE_ID, Ide.MATCHMD5_ID, len(digest).to_bytes(4, "little") + digest
