# SPDX-License-Identifier: MIT
"""serial_runtime: a PLC runtime that is downloaded to, run and watched over a serial line."""

from __future__ import annotations

import os

__version__ = "0.1.0"


def get_include() -> str:
    """The directory of ``plc_abi.h``, for the compiler's ``-I``."""
    return os.path.join(os.path.dirname(__file__), "include")
