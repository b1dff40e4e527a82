# SPDX-License-Identifier: MIT
"""Loads a program on trial in a child process, before this process lets it in.

Loading runs the image's constructors, resolves its symbols and checks its table. What crashes,
hangs, exits or is refused there costs a child; here it would cost the runtime, or at least the
running program, which has to stop before another one can be loaded.

The child is spawned, never forked: fork copies page tables under the real-time thread (see
"RT rules for C" in the architecture notes: thousands of page faults), while glibc's posix_spawn
shares memory until exec. The child is the bare interpreter (-I -S: no site, no environment) with
nothing but the C extension: it imports that alone, in a millisecond, and not board.py.
"""

from __future__ import annotations

import os
import sys
import time

from serial_runtime.board_native import EXTENSION_FOLDERS
from serial_runtime.errors import ImageError

# fd 3 takes the verdict; the constructors may print to 1 and 2 as they like.
_CHILD = """
import sys, os
sys.path[:0] = sys.argv[3:]
from serial_runtime._board import ffi, lib
why = ffi.new("char[]", 512)
good = lib.board_check(os.fsencode(sys.argv[1]), sys.argv[2] == "own", why, len(why)) == 0
os.write(3, b"loaded" if good else ffi.string(why) or b"out of memory")
os._exit(0)
"""
_POLL_S = 0.002


def load_on_trial(path: str, timeout_s: float = 10.0, *, own_cycle: bool = False) -> None:
    """Load the image in a child process. ImageError says what went wrong there.

    `own_cycle` as the board will load it (``board.Options``).
    Blocks the caller up to `timeout_s`; then the child and what it started are killed.
    """
    cycle = "own" if own_cycle else "hosted"
    reading, writing = os.pipe()
    try:
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _CHILD, path, cycle, *EXTENSION_FOLDERS],
                os.environ,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, writing, 3),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_RDWR, 0),
                ),
                setsid=True,
            )
        except OSError as error:
            raise ImageError(f"the trial load cannot be started: {error}") from error
        finally:
            os.close(writing)
        in_time = _ended(pid, time.monotonic() + timeout_s)
        # Before the child is reaped its number cannot be another's. Ends also what a
        # constructor may have started.
        _kill_group(pid)
        _, status = os.waitpid(pid, 0)
        if not in_time:
            raise ImageError(
                f"the program does not come back from loading within {timeout_s:g} s: "
                "a constructor or initialiser in it hangs"
            )
        os.set_blocking(reading, False)
        try:
            verdict = os.read(reading, 2000).decode("utf-8", "replace")
        except BlockingIOError:
            verdict = ""
    finally:
        os.close(reading)
    if os.WIFSIGNALED(status):
        raise ImageError(
            f"the program crashes while it is loaded ({_signal_name(os.WTERMSIG(status))}): "
            "look at its constructors and initialisers"
        )
    if verdict == "":
        raise ImageError(
            "a constructor of the program ended the process "
            f"(exit status {os.waitstatus_to_exitcode(status)})"
        )
    if verdict != "loaded":
        raise ImageError(f"the program cannot be loaded: {verdict.replace(path, 'it')}")


def _ended(pid: int, deadline_s: float) -> bool:
    """True when the child has ended (it is not reaped), False at the deadline."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _kill_group(pid: int) -> None:
    import signal

    try:
        os.killpg(pid, signal.SIGKILL)  # setsid made the child a group of its own
    except (ProcessLookupError, PermissionError):
        return  # nobody left in it, or nobody of ours


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
