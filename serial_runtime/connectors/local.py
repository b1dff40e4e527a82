# SPDX-License-Identifier: MIT
"""LOCAL://: a runtime of this computer that is started for a client and ends with it.

It is `serial-runtime serve --temporary` on a port of 127.0.0.1 that the kernel chooses. Its
standard input is a pipe whose other end this process keeps, so it sees the end of this process
however that comes, and after it has executed itself anew too. (A death signal, PR_SET_PDEATHSIG,
would come with the end of the thread that started it.) It removes its folder itself; if it was
killed, `close` does.

A process forked off this one without executing another program holds the pipe too.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from serial_runtime.errors import LinkError, LinkTimeout, SerialRuntimeError
from serial_runtime.transport.base import FdTransport
from serial_runtime.transport.tcp import open_tcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.uri import LocalEndpoint

_HOST = "127.0.0.1"
_START_S = 20.0  # on a slow computer; what is wrong is told at once
_END_S = 15.0  # more than the runtime gives a call that executes
_TAIL_BYTES = 2000


def open_endpoint(endpoint: LocalEndpoint, timeout_s: float) -> LocalTransport:
    """Start a runtime and connect to it. LinkError tells what it said when it does not start."""
    runtime = _Runtime(max(timeout_s, _START_S))
    try:
        return LocalTransport(runtime, timeout_s)
    except BaseException:
        runtime.close()
        raise


class LocalTransport(FdTransport):
    """A connection to a runtime that ends when it is closed; a `StartedTransport`."""

    def __init__(self, runtime: _Runtime, timeout_s: float) -> None:
        connection = socket.create_connection((_HOST, runtime.port), timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"the local runtime at {_HOST}:{runtime.port}"
        super().__init__(connection.detach(), name, kind="tcp", on_close=runtime.close)
        self._runtime = runtime

    def another(self, timeout_s: float) -> FdTransport:
        """See :class:`~serial_runtime.transport.base.StartedTransport`."""
        self._runtime.check()
        return open_tcp(_HOST, self._runtime.port, timeout_s)


class _Runtime:
    """The process, its port and its folder."""

    def __init__(self, timeout_s: float) -> None:
        name = f"serial-runtime-{secrets.token_hex(8)}"
        self._folder = os.path.join(tempfile.gettempdir(), name)
        self._errors = os.memfd_create("serial-runtime-errors")
        serve = ("serve", "--tcp", f"{_HOST}:0", "--dir", self._folder, "--temporary")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "serial_runtime", *serve],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                process_group=0,  # Ctrl-C is for the client, which ends it in order
            )
        except OSError as error:
            os.close(self._errors)
            raise LinkError(f"the local runtime cannot be started: {error}") from error
        try:
            self.port = self._wait_for_port(time.monotonic() + timeout_s)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """SerialRuntimeError when it has ended, which no waiting mends."""
        code = self._process.poll()
        if code is not None:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise SerialRuntimeError(f"the local runtime has ended by {how}: {self._said()}")

    def close(self) -> None:
        """End it, and leave nothing behind. Once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        os.close(self._errors)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_for_port(self, limit_s: float) -> int:
        """The number in its line ``READY ERPC://127.0.0.1:PORT``."""
        assert self._process.stdout is not None
        fd, line = self._process.stdout.fileno(), b""
        while not line.endswith(b"\n"):
            if not select.select((fd,), (), (), max(0.0, limit_s - time.monotonic()))[0]:
                raise LinkTimeout(f"the local runtime does not come up: {self._said()}")
            data = os.read(fd, 1000)
            if not data:
                raise LinkError(f"the local runtime does not start: {self._said()}")
            line += data
        return int(line.rpartition(b":")[2])

    def _said(self) -> str:
        """The last of its standard error, as one line."""
        end = os.fstat(self._errors).st_size
        tail = os.pread(self._errors, _TAIL_BYTES, max(0, end - _TAIL_BYTES))
        lines = tail.decode(errors="replace").splitlines()
        text = " / ".join(lines[-3:]).removeprefix("serial-runtime: error: ")
        return text or "it said nothing"
