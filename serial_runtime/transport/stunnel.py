# SPDX-License-Identifier: MIT
"""ERPCS by way of stunnel, which the runtime configures, starts and looks after.

stunnel does TLS with the identities' secrets and passes its clients on to a Unix socket that only
this user can open. Which identity a client has proven, stunnel does not tell.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque

from serial_runtime.errors import ConfigError, LinkError, SerialRuntimeError
from serial_runtime.transport.refusals import Refusals
from serial_runtime.transport.tcp import SocketListener, place
from serial_runtime.transport.tls_handshake import CIPHERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# No session is resumed: it would outlive the secret. The DH group is stunnel's own.
_CONFIGURATION = """\
foreground = yes
pid =
syslog = no
debug = notice
socket = a:SO_KEEPALIVE=1
socket = l:TCP_NODELAY=1

[serial-runtime]
accept = {address}
connect = {folder}/socket
sslVersion = TLSv1.2
ciphers = {ciphers}
PSKsecrets = {folder}/psk.txt
sessionResume = no
renegotiation = no
TIMEOUTbusy = 10
"""
_FILES = ("stunnel.conf", "psk.txt", "socket")
_SECRETS_CHECK_S = 2.0
_START_S = 10.0
_END_S = 3.0
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # before it is started again
# What it complains about, with a log and before it has one.
_COMPLAINT = re.compile(r".* LOG[0-4]\[[^]]*\]: (.*)|\[[!.]\] (.*)")
_HARMLESS = "No trusted certificates found"  # there are none with pre-shared keys
_STARTED = "]: Configuration successful"  # in the log, which is opened after the socket
_NOT_RELOADED = "Failed to reload the configuration file"


class StunnelListener(SocketListener):
    """The clients of an stunnel process, which ends with this listener or with the runtime."""

    def __init__(
        self,
        folder: str,
        host: str,
        port: int,
        secrets: Callable[[], Mapping[str, bytes]],
        log: Callable[[str], object],
    ) -> None:
        """Start stunnel, for clients at `host` and `port`.

        `folder` is its own, for its configuration and the secrets. `secrets` returns identity and
        secret of all who may come in; it is asked every 2 s, and stunnel loads what has changed.
        `log` is told what stunnel complains about, and its end; both on a thread of this object.
        Raises ConfigError without stunnel, LinkError when it does not start, and as `secrets`.
        """
        self._folder = os.path.abspath(folder)
        self._secrets = secrets
        self._log = log
        self._refusals = Refusals(log)
        self._command = _command(self._folder)
        self._said: deque[str] = deque(maxlen=2)  # its last complaints
        self._rest = b""  # of its last line
        self._known: Mapping[str, bytes] | None = None  # what it has been given
        self._closed = threading.Event()
        self._starting = threading.Lock()  # protects _process against close()
        address = f"{host}:{port}" if host else str(port)  # no brackets for IPv6
        configuration = _CONFIGURATION.format(address=address, folder=self._folder, ciphers=CIPHERS)
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            os.chmod(self._folder, 0o700)
            self._write(_FILES[0], configuration)
            self._renew_secrets()
        except OSError as error:
            raise LinkError(f"{self._folder}: cannot be written: {error.strerror}") from error
        name = f"stunnel on {place(host, port)}"
        super().__init__(_unix_socket(os.path.join(self._folder, _FILES[2])), name, "tls")
        self._process = self._start()
        try:
            self._wait_for_start()
        except BaseException:
            with self._process:  # closes its pipe
                self.close()
            raise
        threading.Thread(target=self._supervise, name="stunnel", daemon=True).start()

    def close(self) -> None:
        """See :class:`~serial_runtime.transport.base.Listener`. Ends stunnel."""
        self._closed.set()
        with self._starting:
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._process.kill()
        super().close()
        for name in _FILES:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._folder, name))

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at a terminal is for the runtime.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _wait_for_start(self) -> None:
        limit_s = time.monotonic() + _START_S
        while (left_s := limit_s - time.monotonic()) > 0:
            try:
                lines = self._lines(left_s)
            except EOFError:
                raise LinkError(f"{self.name} does not start: {'; '.join(self._said)}") from None
            if any(line.endswith(_STARTED) for line in lines):
                return
        raise LinkError(f"{self.name} does not start within {_START_S:g} s")

    def _supervise(self) -> None:
        pause_s = _PAUSE_S
        while True:
            began_s = time.monotonic()
            self._follow()
            if self._closed.is_set():
                return
            if time.monotonic() - began_s > _LONGEST_PAUSE_S:
                pause_s = _PAUSE_S
            self._log(
                f"{self.name} has ended ({'; '.join(self._said)}); "
                f"it is started again in {pause_s:g} s"
            )
            if self._closed.wait(pause_s):
                return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            with self._starting:
                if self._closed.is_set():
                    return
                try:
                    self._renew_secrets()
                    self._process = self._start()
                except (OSError, SerialRuntimeError) as error:
                    self._said.append(str(error))

    def _follow(self) -> None:
        """Pass on what it complains about, and new secrets to it, until it ends."""
        with self._process, contextlib.suppress(EOFError):
            while True:
                for line in self._lines(_SECRETS_CHECK_S):
                    complaint = _COMPLAINT.fullmatch(line)
                    if complaint and complaint[1] and complaint[1] != _HARMLESS:
                        self._refusals.tell(f"{self.name}: {complaint[1]}")
                    if line.endswith(_NOT_RELOADED):
                        self._process.terminate()  # or who was removed could still come in
                try:
                    if self._renew_secrets():
                        self._process.send_signal(signal.SIGHUP)
                except (OSError, SerialRuntimeError) as error:
                    self._refusals.tell(f"{self.name}: its secrets are not renewed: {error}")

    def _lines(self, timeout_s: float) -> list[str]:
        """What it has said since, after at most `timeout_s`. EOFError: it has ended."""
        assert self._process.stderr is not None
        if self._process.stderr.closed:  # it could not be started again
            raise EOFError
        fd = self._process.stderr.fileno()
        if not select.select([fd], [], [], timeout_s)[0]:
            return []
        data = os.read(fd, 65536)
        if not data:
            raise EOFError
        *lines, self._rest = (self._rest + data).split(b"\n")
        texts = [line.decode("utf-8", "replace") for line in lines]
        self._said.extend(hit[1] or hit[2] for hit in map(_COMPLAINT.fullmatch, texts) if hit)
        return texts

    def _renew_secrets(self) -> bool:
        """Write them down; whether they have changed."""
        secrets = self._secrets()
        if secrets == self._known:
            return False
        lines = [f"{identity}:{secret.decode()}\n" for identity, secret in secrets.items()]
        self._write(_FILES[1], "".join(lines))
        self._known = secrets
        return True

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self._folder, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w") as file:
            file.write(text)


def _command(folder: str) -> list[str]:
    program = shutil.which("stunnel") or shutil.which("stunnel4")
    if program is None:
        raise ConfigError('tls.by = "stunnel" needs stunnel: apt install stunnel4')
    # Ends stunnel when the runtime is killed; a part of util-linux.
    guard = shutil.which("setpriv")
    lead = [guard, "--pdeathsig", "TERM", "--"] if guard else []
    return [*lead, program, os.path.join(folder, _FILES[0])]


def _unix_socket(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a runtime that was killed
        listening.bind(path)
        listening.listen()
    except OSError as error:
        listening.close()
        raise LinkError(f"cannot listen on {path}: {error.strerror or error}") from error
    return listening
