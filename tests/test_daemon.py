# SPDX-License-Identifier: MIT
"""The daemon as a process: its READY line, its ends, and the log that outlives a re-execution."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import beremiz_object
import pytest
from tls_peers import free_port, needs_stunnel

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import CallRefused, LinkError
from serial_runtime.line import VirtualCable
from serial_runtime.plc.identity import Identity, changing, load_or_create
from serial_runtime.rpc.client import connect
from serial_runtime.rpc.ide.common import Status
from serial_runtime.transport.serial import open_serial

CRASH = Path(__file__).parent / "board" / "images" / "crash.c"


class Daemon:
    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", "serve", "--dir", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().split()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "plc", "--tcp", "127.0.0.1:0")
    yield daemon
    if daemon.process.poll() is None:
        daemon.end(signal.SIGKILL)


def test_says_where_it_is_reached(daemon: Daemon) -> None:
    word, uri = daemon.ready
    assert word == "READY"
    with connect(uri) as client:
        assert client.status().status == Status.Empty


def test_the_profile_says_who_runs_the_cycle_of_an_object(tmp_path: Path) -> None:
    profile = tmp_path / "board.toml"
    profile.write_text('[tcp]\nlisten = "127.0.0.1:0"\n[beremiz]\ncycle = "own"\n')
    daemon = Daemon(tmp_path / "plc", "--profile", str(profile))
    with connect(daemon.ready[1]) as client:
        client.download(beremiz_object.content("__run=elsewhere"))  # cannot be hosted
        client.start()
        assert "runs its own cycle" in client.board_status().scheduling
    assert daemon.end() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(daemon: Daemon, number: int) -> None:
    with connect(daemon.ready[1]) as client:
        client.status()
        assert daemon.end(number) == (0, "")


def test_serves_a_line_and_tcp(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path) as cable:
        both = ("--port", cable.board_end, "--tcp", "127.0.0.1:0")
        daemon = Daemon(tmp_path / "plc", *both)
        line = f"ERPC://{cable.board_end}:115200"
        assert daemon.ready[:2] == ["READY", line]
        with connect(f"ERPC://{cable.host_end}") as one, connect(daemon.ready[2]) as other:
            assert one.plc_id() == other.plc_id()
        assert daemon.end() == (0, "")


def test_what_is_not_asked_for_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VirtualCable(None, tmp_path) as cable:
        monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # to standard error
        both = ("--port", cable.board_end, "--tcp", "127.0.0.1:0")
        daemon = Daemon(tmp_path / "plc", *both)
        for uri in (f"ERPC://{cable.host_end}", daemon.ready[2]):
            with connect(uri) as client:
                client.capabilities()
        status, errors = daemon.end()
    assert status == 0
    imported = {line.rpartition("|")[2].strip() for line in errors.splitlines()}
    assert "serial_runtime.rpc.server" in imported
    assert not {name for name in imported if name.startswith("serial_runtime.connectors")}
    optional = {"autobahn", "cryptography", "msgpack", "pymodbus", "Pyro5", "sslpsk3", "zeroconf"}
    heavy = {"asyncio", "http", "logging", "sqlite3", "ssl", "subprocess", "tomllib"}
    optional |= {f"serial_runtime.{name}" for name in ("board_io", "process_io.tables")}
    assert not imported & (optional | heavy)


def test_an_address_that_others_reach_is_warned_of(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "plc", "--tcp", "127.0.0.2:0")
    assert daemon.end() == (0, "")
    profile = tmp_path / "board.toml"
    profile.write_text('[policy]\ntcp = "operate"\n')
    # Loopback in truth; written as no address that is known to be one.
    daemon = Daemon(tmp_path / "plc", "--tcp", "127.1:0", "--profile", str(profile))
    _, errors = daemon.end()
    assert "can start, stop and force this PLC, without a password" in errors


@pytest.fixture
def board_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The board's ID; this process knows its secret."""
    own = load_or_create(str(tmp_path / "plc"), "press")
    monkeypatch.setenv("SERIAL_RUNTIME_PSK", str(tmp_path))
    (tmp_path / f"{own.id}.secret").write_text(f"{own.id}:{own.secret}")
    return own.id


def test_tls(tmp_path: Path, board_secret: str) -> None:
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()])
    daemon = Daemon(tmp_path / "plc", "--tcp", "127.0.0.1:0", "--tls", "127.0.0.1:0")
    _, plain, secure = daemon.ready
    place, _, identity = secure.removeprefix("ERPCS://").partition("#")
    assert identity == board_secret
    with connect(secure) as client:
        assert client.plc_id() == board_secret
        client.download((tmp_path / "crash.so").read_bytes())
        client.start()
        while client.status().status != Status.Broken:
            pass
        client.repair()
        assert client.status().status == Status.Empty
        assert client.link.reconnects == 1  # another process on the same port
    with pytest.raises(LinkError, match="a TLS port has the URI ERPCS://"):
        connect(f"ERPC://{place}", timeout_s=5, reconnect_s=0)
    with pytest.raises(LinkError, match="Without TLS the URI is ERPC:// or PYRO://"):
        connect(f"{plain.replace('ERPC', 'ERPCS')}#{board_secret}")
    with connect(plain) as client:
        texts = " ".join(line.text for line in client.log())
        assert "it does not speak TLS" in texts
        assert "does not speak eRPC" in texts
    assert daemon.end() == (0, "")


def test_an_identity_brings_its_role(tmp_path: Path, board_secret: str) -> None:
    panel = Identity("panel", "the-secret-of-the-panel", "view")
    with changing(str(tmp_path / "plc")) as known:
        known.append(panel)
    (tmp_path / "panel.secret").write_text(f"panel:{panel.secret}")
    daemon = Daemon(tmp_path / "plc", "--tls", "127.0.0.1:0")
    uri = daemon.ready[1]
    with connect(uri.replace(board_secret, "panel")) as client:
        assert client.plc_id() == board_secret
        with pytest.raises(CallRefused, match=r"needs the role operate, panel at .* has view"):
            client.start()
    with changing(str(tmp_path / "plc")) as known:
        known.remove(panel)
    with pytest.raises(LinkError, match="the identity panel is not known there"):
        connect(uri.replace(board_secret, "panel"))
    assert daemon.end() == (0, "")


@needs_stunnel
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stunnel_ends_with_the_runtime(
    tmp_path: Path, board_secret: str, number: int, wait_for: Callable[[Callable[[], object]], None]
) -> None:
    port = free_port()
    profile = tmp_path / "profile.toml"
    profile.write_text(f"[tls]\nlisten = '127.0.0.1:{port}'\nby = 'stunnel'\n")
    daemon = Daemon(tmp_path / "plc", "--profile", str(profile))
    assert daemon.ready == ["READY", f"ERPCS://127.0.0.1:{port}#{board_secret}"]
    with connect(daemon.ready[1]) as client:
        assert client.plc_id() == board_secret
    assert daemon.end(number) == (0 if number == signal.SIGTERM else -number, "")

    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return True
        return False

    wait_for(refused)


def test_without_tls_nothing_of_it_is_loaded(daemon: Daemon) -> None:
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "libc.so" in maps
    assert "libssl" not in maps


def test_says_what_it_waits_for(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path) as cable, closing(open_serial(cable.board_end, 115200)):
        for device, says in ((cable.board_end, "is in use by "), ("/dev/none", "does not exist; ")):
            daemon = Daemon(tmp_path / "plc", "--port", device)
            assert daemon.process.stderr is not None
            line = daemon.process.stderr.readline()
            assert line.startswith(f"serial-runtime: waiting for {device}: it {says}")
            assert daemon.end() == (0, "")


def test_an_address_in_use_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        daemon = Daemon(tmp_path / "plc", "--tcp", f"127.0.0.1:{taken.getsockname()[1]}")
        assert daemon.ready == []
        _, errors = daemon.process.communicate(timeout=60)
        assert "cannot listen on 127.0.0.1" in errors
        assert "Traceback" not in errors
        assert daemon.process.returncode != 0


def test_a_server_for_this_computer_is_not_announced(tmp_path: Path) -> None:
    profile = tmp_path / "board.toml"
    profile.write_text('[tcp]\nlisten = "127.0.0.1:0"\nannounce = true')
    daemon = Daemon(tmp_path / "plc", "--profile", str(profile))
    with connect(daemon.ready[1]) as client:
        while not client.log():
            pass
        assert client.log()[0].text == "not announced to IDEs: only this computer reaches 127.0.0.1"
    assert daemon.end() == (0, "")


def test_the_log_is_carried_over_a_reexecution(daemon: Daemon, tmp_path: Path) -> None:
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()])
    with connect(daemon.ready[1]) as client:
        client.download((tmp_path / "crash.so").read_bytes())
        client.start()
        while client.status().status != Status.Broken:
            pass
        broken = [line for line in client.log() if "broken" in line.text]
        client.repair()
        texts = [line.text for line in client.log()]
        assert client.link.reconnects == 1  # another process, the same pid
        assert daemon.process.poll() is None
        assert broken[0].text in texts
        stamps = [(line.sec, line.nsec) for line in client.log() if line.text == broken[0].text]
        assert stamps == [(broken[0].sec, broken[0].nsec)]
        assert client.status().status == Status.Empty


def test_load_and_start_after_a_fault_over_tcp(daemon: Daemon, tmp_path: Path) -> None:
    """The connection ends with the process; the call that follows must not be lost with it."""
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()])
    image = (tmp_path / "crash.so").read_bytes()
    with connect(daemon.ready[1]) as client:
        for _ in range(4):
            client.download(image)
            client.start()
            while client.status().status != Status.Broken:
                pass


def test_safe_mode_after_three_deaths_while_the_program_ran(tmp_path: Path) -> None:
    build([CRASH], tmp_path / "crash.so", include_dirs=[get_include()], flags=["-DUNTIL_SEEN"])
    options = ("--tcp", "127.0.0.1:0", "--io", f"sim:deaths-{os.getpid()}", "--autostart")
    daemon = Daemon(tmp_path / "plc", *options)
    with connect(daemon.ready[1]) as client:
        client.download((tmp_path / "crash.so").read_bytes())
        client.start()
    for _ in range(3):
        assert len(daemon.ready) == 2
        with connect(daemon.ready[1]) as client:
            while client.status().status != Status.Started:
                pass
        assert daemon.end(signal.SIGKILL)[0] == -signal.SIGKILL
        daemon = Daemon(tmp_path / "plc", *options)
    assert daemon.ready[2:] == ["SAFE-MODE"]
    with connect(daemon.ready[1]) as client:
        assert client.supervision().safe_mode
        assert client.supervision().guarded
        assert client.status().status == Status.Stopped
        client.start()
        assert not client.supervision().safe_mode
    assert daemon.end() == (0, "")
