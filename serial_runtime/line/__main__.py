# SPDX-License-Identifier: MIT
"""``python -m serial_runtime.line``."""

from __future__ import annotations

from serial_runtime.line.process import main

if __name__ == "__main__":
    raise SystemExit(main())
