# SPDX-License-Identifier: MIT
"""Peers for TLS: identities, and a stunnel of Debian's."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

SECRETS = {"board-1": b"the-secret-of-board-1", "guest": b"the-secret-of-the-guest"}

needs_stunnel = pytest.mark.skipif(
    not shutil.which("stunnel"), reason="stunnel is not installed (Debian: stunnel4)"
)


def keep_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be a client that knows the secrets."""
    folder.mkdir(exist_ok=True)
    for identity, secret in SECRETS.items():
        (folder / f"{identity}.secret").write_text(f"{identity}:{secret.decode()}")
    monkeypatch.setenv("SERIAL_RUNTIME_PSK", str(folder))


def free_port() -> int:
    """For a program that cannot choose one by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def stunnel(folder: Path, service: str) -> Iterator[None]:
    """Run an stunnel with one service, given by lines of its configuration."""
    (folder / "psk.txt").write_text("".join(f"{i}:{s.decode()}\n" for i, s in SECRETS.items()))
    (folder / "psk.txt").chmod(0o600)
    (folder / "stunnel.conf").write_text(
        f"foreground = yes\npid =\nsyslog = no\noutput = {folder}/log\n"
        f"[service]\n{service}\nPSKsecrets = {folder}/psk.txt\n"
    )
    process = subprocess.Popen(["stunnel", str(folder / "stunnel.conf")], stderr=subprocess.DEVNULL)
    try:
        pause, log = threading.Event(), folder / "log"
        for _ in range(1000):
            if log.exists() and "Configuration successful" in log.read_text():
                break
            assert process.poll() is None, log.read_text()
            pause.wait(0.01)
        yield
    finally:
        process.terminate()
        process.wait(60)
