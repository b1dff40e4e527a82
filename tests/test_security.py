# SPDX-License-Identifier: MIT
"""The policy of a board as its users meet it: a runtime process, its line, its TCP port."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serial_codegen.build import build
from serial_runtime import get_include, identities
from serial_runtime.errors import CallRefused, CallUnsupported, ImageError
from serial_runtime.line import VirtualCable
from serial_runtime.plc import audit, identity, signature
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status

ROOT = Path(__file__).resolve().parent.parent
EMPTY = ROOT / "tests" / "board" / "images" / "empty.c"


class Board:
    """A runtime on one end of a cable, and on TCP."""

    def __init__(self, folder: Path, cable: VirtualCable, policy: str) -> None:
        self.store = folder / "plc"
        self.line = f"ERPC://{cable.host_end}"
        self.tcp = ""
        self._profile = folder / "board.toml"
        self._profile.write_text(
            f'[serial]\nport = "{cable.board_end}"\n[tcp]\nlisten = "127.0.0.1:0"\n'
            f'[store]\ndir = "{self.store}"\n[policy]\n{policy}\n'
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", "serve", "--profile", str(self._profile)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.tcp = self.process.stdout.readline().split()[2]

    def end(self) -> None:
        self.process.terminate()
        assert self.process.communicate(timeout=60) == ("", "")
        assert self.process.returncode == 0

    def on_board(self, *words: str) -> str:
        command = [sys.executable, "-m", "serial_runtime", *words, "--dir", str(self.store)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Board]]:
    started: list[Board] = []
    with VirtualCable(None, tmp_path) as cable:

        def one(policy: str = "") -> Board:
            started.append(Board(tmp_path, cable, policy))
            return started[-1]

        yield one
        for board in started:
            board.end()


def image(folder: Path, *flags: str) -> bytes:
    build([EMPTY], folder / "image.so", include_dirs=[get_include()], flags=flags)
    return (folder / "image.so").read_bytes()


def test_pairing_over_the_line_and_in_a_window(
    start: Callable[..., Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(identities.VARIABLE, str(tmp_path / "psk"))
    board = start()
    own = identity.read(str(board.store))[0]
    with connect(board.line) as line, connect(board.tcp) as tcp:
        assert line.capabilities().id == own.id == line.identity().ID
        with pytest.raises(CallUnsupported, match="window"):
            tcp.identity()
        board.on_board("identity", "pair", "--minutes", "1")
        subprocess.run(
            [sys.executable, "-m", "serial_runtime", "pair", board.tcp],
            check=True,
            capture_output=True,
        )
        assert identities.secret_of(own.id) == own.secret.encode()
        with pytest.raises(CallUnsupported, match="window"):
            tcp.identity()
        board.on_board("identity", "rotate")
        assert line.identity().PSK == identity.read(str(board.store))[0].secret != own.secret


def test_a_way_in_that_may_only_look(start: Callable[..., Board], tmp_path: Path) -> None:
    board = start('tcp = "view"')
    program = image(tmp_path)
    with connect(board.line) as line, connect(board.tcp) as tcp:
        line.download(program)
        with pytest.raises(CallRefused, match="needs the role operate"):
            tcp.start()
        line.start()
        assert tcp.status().status == Status.Started
    board.end()
    rows = [(row["way"], row["call"]) for row in audit.read(str(board.store))]
    assert rows == [("serial", "NewPLC"), ("tcp", "StartPLC"), ("serial", "StartPLC")]
    board.start()


def test_signed_programs_only(start: Callable[..., Board], tmp_path: Path) -> None:
    private, public = signature.new_key(signature.ED25519, "office")
    (tmp_path / "keys").write_text(str(public))
    board = start(f'programs = "signed"\nprogram_keys = "{tmp_path}/keys"')
    program = image(tmp_path)
    with connect(board.tcp) as tcp:
        with pytest.raises(ImageError, match="is not signed"):
            tcp.download(program)
        message = signature.manifest(str(tmp_path / "image.so"), ())
        line = str(signature.sign(private, message)).encode()
        tcp.download(program, extra_files=[(signature.FILE, line)])
        tcp.start()
    board.end()
    board.start()
    with connect(board.tcp) as tcp:
        assert tcp.program().loaded


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_file_is_one_and_a_cage(tmp_path: Path) -> None:
    unit = tmp_path / "serial-runtime.service"
    text = (ROOT / "board" / "packaging" / "debian" / unit.name).read_text()
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    text = text.replace(command.split()[0], "ExecStart=/bin/true").replace(
        "User=serial-runtime", "User=root"
    )
    unit.write_text(text)
    for words in (["verify"], ["security", "--offline=true", "--threshold=30"]):
        subprocess.run(["systemd-analyze", *words, str(unit)], check=True, capture_output=True)
