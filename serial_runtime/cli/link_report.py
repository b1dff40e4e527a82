# SPDX-License-Identifier: MIT
"""The last messages of a link that failed, decoded, for whoever has to find out why.

They go to a file of the user's state directory, which the next report replaces, and with
SERIAL_RUNTIME_DEBUG in the environment to standard error as well.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEBUG_VARIABLE = "SERIAL_RUNTIME_DEBUG"
_NAME = "last-link-error.txt"


def report(sentence: str, uri: str, recent: Iterable[tuple[float, str, bytes, str]]) -> str:
    """Leave the messages behind; returns what to add to the error's sentence, "" for nothing."""
    from serial_runtime.rpc.message_text import lines

    shown = lines(recent, time.monotonic())
    if not shown:
        return ""
    if os.environ.get(DEBUG_VARIABLE):
        print("\n".join(shown), file=sys.stderr)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S %z")
    head = [f"{stamp}  {uri}", sentence, "times are seconds before the end; > sent, < received"]
    path = os.path.join(_directory(), _NAME)
    try:
        os.makedirs(_directory(), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join([*head, "", *shown, ""]))
    except OSError:
        return ""  # the error itself matters more
    return f" (the last messages: {path})"


def _directory() -> str:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "serial-runtime")
