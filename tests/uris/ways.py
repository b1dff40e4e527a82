# SPDX-License-Identifier: MIT
"""Every way in, with real processes: what a URI needs to be running, and the URI.

A new one is a function that yields a `Way` while its board runs, and a line of `WAYS`, or of
`AT_A_ROUTER` if it leads through the WAMP router that all tests share.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tls_peers import SECRETS, free_port, stunnel
from waiting import wait_for
from wamp_router import WampRouter

from serial_runtime.errors import LinkError
from serial_runtime.identities import VARIABLE
from serial_runtime.line import VirtualCable
from serial_runtime.plc.identity import load_all, load_or_create
from serial_runtime.rpc.client import Client, connect
from serial_runtime.transport import Transport
from serial_runtime.transport import connect as open_transport

BAUD = 921600


class Way(NamedTuple):
    """One way to a board that runs."""

    uri: str
    forgives: bool = False  # a line: what is no frame is skipped; else the connection is closed
    parallel: bool = True  # more than one connection at a time
    stays: bool = True  # the board outlives its client

    def connect(self) -> Client:
        """A client."""
        return connect(self.uri, timeout_s=20)

    def open(self) -> Transport:
        """A connection of bytes, for what no client sends."""
        return open_transport(self.uri)


@contextmanager
def process(*words: str) -> Iterator[str]:
    """A command of ours that says READY, and the URI behind it, and ends in good order."""
    with subprocess.Popen(
        [sys.executable, "-m", "serial_runtime", *words], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        ready = running.stdout.readline().split()
        try:
            assert ready[:1] == ["READY"], f"serial-runtime {' '.join(words)} ended"
            yield ready[1]
        finally:
            running.send_signal(signal.SIGTERM)
            status = running.wait(60)
        assert status == 0


@contextmanager
def tcp(folder: Path) -> Iterator[Way]:
    with process("serve", "--tcp", "127.0.0.1:0", "--dir", str(folder)) as uri:
        yield Way(uri)


@contextmanager
def short(folder: Path) -> Iterator[Way]:
    with tcp(folder) as way:
        yield way._replace(uri=way.uri.removeprefix("ERPC://"))


@contextmanager
def pyserial(folder: Path) -> Iterator[Way]:
    with tcp(folder) as way:
        yield way._replace(uri=way.uri.replace("ERPC", "socket"))


@contextmanager
def serial(folder: Path) -> Iterator[Way]:
    with VirtualCable(BAUD, folder / "cable") as cable:
        line = ("--port", cable.board_end, "--baud", str(BAUD))
        with process("serve", *line, "--dir", str(folder / "plc")):
            yield Way(f"ERPC://{cable.host_end}:{BAUD}", forgives=True, parallel=False)


@contextmanager
def bridge(folder: Path) -> Iterator[Way]:
    with serial(folder) as line, process("bridge", line.uri, "--listen", "127.0.0.1:0") as uri:
        yield Way(uri)


@contextmanager
def known(secrets: Mapping[str, bytes], folder: Path) -> Iterator[None]:
    """This process is a client that knows these secrets."""
    folder.mkdir(exist_ok=True)
    for identity, secret in secrets.items():
        (folder / f"{identity}.secret").write_bytes(identity.encode() + b":" + secret)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(VARIABLE, str(folder))
        yield


@contextmanager
def tls(folder: Path) -> Iterator[Way]:
    board = str(folder / "plc")
    with (
        process("serve", "--tls", "127.0.0.1:0", "--dir", board) as uri,
        known(load_all(board), folder / "psk"),
    ):
        yield Way(uri)


@contextmanager
def tls_by_stunnel(folder: Path) -> Iterator[Way]:
    need_stunnel()
    board, profile = folder / "plc", folder / "board.toml"
    listen = f'[tls]\nlisten = "127.0.0.1:{free_port()}"\nby = "stunnel"\n'
    profile.write_text(f'{listen}[store]\ndir = "{board}"\n')
    with (
        process("serve", "--profile", str(profile)) as uri,
        known(load_all(str(board)), folder / "psk"),
    ):
        yield Way(uri)


@contextmanager
def pyro(folder: Path) -> Iterator[Way]:
    with process("serve", "--pyro", "127.0.0.1:0", "--dir", str(folder)) as uri:
        yield Way(uri)


@contextmanager
def pyros(folder: Path) -> Iterator[Way]:
    """As documented: an stunnel before the daemon."""
    need_stunnel()
    place = f"127.0.0.1:{free_port()}"
    with pyro(folder / "plc") as way, known(SECRETS, folder / "psk"):
        psk = "ciphers = PSK\nsslVersion = TLSv1.2"
        service = f"accept = {place}\nconnect = {way.uri.removeprefix('PYRO://')}\n{psk}"
        with stunnel(folder, service):
            yield Way(f"PYROS://{place}#guest")


@contextmanager
def local(folder: Path) -> Iterator[Way]:
    yield Way("LOCAL://", stays=False)


@contextmanager
def wamps(folder: Path, router: WampRouter) -> Iterator[Way]:
    board = str(folder / "plc")
    own = load_or_create(board, "press")
    router.add(own.id, own.secret)
    profile = folder / "board.toml"
    at = f'[wamp]\nrouter = "{router.secure}"\nca = "{router.certificate}"\n'
    profile.write_text(f'{at}[store]\ndir = "{board}"\n')
    wait_for(router.is_up)
    with (
        process("serve", "--profile", str(profile)) as uri,
        known(load_all(board), folder / "psk"),
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("SSL_CERT_FILE", str(router.certificate))
        wait_for(lambda: answers(uri))
        yield Way(uri)


@contextmanager
def wamp(folder: Path, router: WampRouter) -> Iterator[Way]:
    """The way of an IDE: anonymous, where the router lets those in."""
    with wamps(folder, router) as way, known({}, folder / "nothing"):
        yield Way(f"{router.plain}#{way.uri.rpartition('#')[2]}")


def answers(uri: str) -> bool:
    """Whether the board has joined already."""
    try:
        open_transport(uri).close()
    except LinkError:
        return False
    return True


def need_stunnel() -> None:
    if shutil.which("stunnel") is None:
        pytest.skip("stunnel is not installed (Debian: stunnel4)")


WAYS: dict[str, Callable[[Path], AbstractContextManager[Way]]] = {
    "ERPC://host": tcp,
    "host:port": short,
    "socket://host": pyserial,
    "ERPC:///dev/tty": serial,
    "ERPC://bridge": bridge,
    "ERPCS://host#ID": tls,
    "ERPCS://stunnel#ID": tls_by_stunnel,
    "PYRO://host": pyro,
    "PYROS://host#ID": pyros,
    "LOCAL://": local,
}
AT_A_ROUTER: dict[str, Callable[[Path, WampRouter], AbstractContextManager[Way]]] = {
    "WAMP://router#realm#ID": wamp,
    "WAMPS://router#realm#ID": wamps,
}
