# SPDX-License-Identifier: MIT
"""A real WAMP router in the form of the example."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tls_peers import free_port

ROOT = Path(__file__).parents[1]
CROSSBAR = ROOT / ".router" / "bin" / "crossbar"
SECRET = "a secret of some length, "


class WampRouter:
    """crossbar, with the configuration of examples/router but for its ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "psk"
        self.certificate = folder / "router.crt"
        self.ports = secure, plain = free_port(), free_port()
        self.secure = f"WAMPS://localhost:{secure}#Automation"
        self.plain = f"WAMP://127.0.0.1:{plain}#Automation"
        self.secrets.mkdir()
        shutil.copy(ROOT / "examples" / "router" / "boards.py", folder)
        config = json.loads((ROOT / "examples" / "router" / "config.json").read_text())
        for transport, port in zip(config["workers"][0]["transports"], self.ports, strict=True):
            transport["endpoint"]["port"] = port
            transport["endpoint"]["interface"] = "127.0.0.1"
        (folder / "config.json").write_text(json.dumps(config))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", "2", "-subj", "/CN=router", "-keyout", folder / "router.key"]
            + ["-out", self.certificate, "-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, identity: str, secret: str = "") -> str:
        """Let somebody in; returns the secret."""
        secret = secret or SECRET + identity
        (self.secrets / f"{identity}.secret").write_text(f"{identity}:{secret}")
        return secret

    def start(self) -> None:
        words = [CROSSBAR, "start", "--cbdir", self.folder, "--loglevel", "warn"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return all(self._listens(port) for port in self.ports)

    def stop(self) -> None:
        """As if the power had failed."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def _listens(port: int) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0
