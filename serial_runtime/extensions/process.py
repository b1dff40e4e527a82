# SPDX-License-Identifier: MIT
"""The child process of a program's Python, seen from the runtime: start, messages, end.

It is started by ``subprocess`` without a function to run before exec: that is a vfork, and costs
the real-time thread nothing. Nothing here waits for the child, but for its end after a kill.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PACKET_BYTES = 1 << 17  # as child.py


class PythonProcess:
    """One child process. The Python thread only."""

    def __init__(self, folder: str, files: Sequence[str]) -> None:
        """Start it, to execute `files` of `folder` when it is told to. OSError."""
        self.calls, their_calls = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.variables, their_variables = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs = (their_calls, their_variables)
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-u", "-P", "-m", "serial_runtime.extensions.child"),
                    *(str(end.fileno()) for end in theirs),
                    folder,
                    *files,
                ],
                stdin=subprocess.DEVNULL,
                stdout=2,  # the runtime's own standard output says READY and nothing else
                pass_fds=[end.fileno() for end in theirs],
                start_new_session=True,
            )
        except OSError:
            self.calls.close()
            self.variables.close()
            raise
        finally:
            for end in theirs:
                end.close()
        for end in (self.calls, self.variables):
            end.setblocking(False)

    @staticmethod
    def send(connection: socket.socket, *message: object) -> None:
        """A message. OSError when the child does not take it: it has ended, or misbehaves."""
        connection.send(json.dumps(message).encode())

    @staticmethod
    def receive(connection: socket.socket) -> list[Any] | None:
        """The next message, None when there is none. EOFError: the child has ended.

        ValueError: not a message of ours; user code may write to any descriptor.
        """
        try:
            data = connection.recv(PACKET_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            raise EOFError
        message = json.loads(data)
        if not isinstance(message, list) or not message:
            raise ValueError(f"a message of {len(data)} bytes is not one")
        return message

    def end(self, wait_s: float = 0.0) -> str:
        """Let it end within `wait_s`, else kill it, with what it has started. How it ended."""
        self.calls.close()
        self.variables.close()
        killed = False
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Also what it has left behind in its session.
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        if killed:
            return "killed"
        if status < 0:
            try:
                return signal.Signals(-status).name
            except ValueError:
                return f"signal {-status}"
        return f"exit status {status}"
