# SPDX-License-Identifier: MIT
"""How the manual page of a command is laid out."""

from __future__ import annotations

import argparse
import os


class _Formatter(argparse.HelpFormatter):
    """Wraps the description and leaves the epilog, which has lines of its own, as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def formatter(prog: str) -> argparse.HelpFormatter:
    # A given width keeps argparse from importing shutil and with it three compression libraries.
    try:
        width = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(1).columns
    except (OSError, ValueError):
        width = 80
    return _Formatter(prog, width=max(40, min(width, 100)))
