# SPDX-License-Identifier: MIT
"""``python -m serial_runtime``: the same as the console script ``serial-runtime``."""

from __future__ import annotations

import sys

from serial_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
