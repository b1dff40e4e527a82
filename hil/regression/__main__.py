# SPDX-License-Identifier: MIT
"""``python -m hil.regression``: the cases, their figures, and what is out of bounds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hil.regression.experiment import broken, run
from serial_runtime.errors import SerialRuntimeError


def main() -> int:
    """0 when all figures of all runs are within their bounds."""
    parser = argparse.ArgumentParser(prog="python -m hil.regression", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, metavar="N")
    parser.add_argument("--seconds", type=float, default=5.0, help="virtual ones, of each case")
    parser.add_argument("--shim", type=Path, help="a C extension in place of the image's")
    options = parser.parse_args()
    failed = False
    try:
        for number in range(options.runs):
            cases = run(options.seconds, options.shim)
            print(json.dumps({"run": number + 1, "cases": cases}, indent=1), flush=True)
            for sentence in broken(cases, options.seconds):
                failed = True
                print(f"out of bounds: {sentence}", file=sys.stderr)
    except SerialRuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
