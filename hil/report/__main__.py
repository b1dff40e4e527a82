# SPDX-License-Identifier: MIT
"""`python -m hil.report JUNIT.xml [JUNIT.xml ...] -o REPORT.html`: one page of all sessions."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from hil.report.junit import ReportError, read
from hil.report.page import page
from serial_runtime import __version__


def main() -> int:
    """The command. 1: something failed in one of the sessions; 2: no report was made."""
    parser = argparse.ArgumentParser(prog="python -m hil.report", description=__doc__)
    parser.add_argument(
        "junit", nargs="+", type=Path, help="JUnit files of sessions with hil.plugin"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(".hil/report/report.html"))
    parser.add_argument("--title", default="Hardware-in-the-loop report")
    options = parser.parse_args()
    try:
        sessions = [read(path) for path in options.junit]
        made = f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by serial-runtime {__version__}"
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(page(sessions, options.title, made))
    except (ReportError, OSError) as error:
        print(f"report: error: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 1 if any(session.count("failed") for session in sessions) else 0


if __name__ == "__main__":
    sys.exit(main())
