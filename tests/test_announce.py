# SPDX-License-Identifier: MIT
"""The announcement as a browsing zeroconf library sees it, on the loopback address."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ifaddr
import pytest
import zeroconf

from serial_runtime import announce
from serial_runtime.announce import SERVICE_TYPE, Announcement, ipv4_addresses
from serial_runtime.config import ListenAddress, Profile, Store, Tcp, Tls
from serial_runtime.errors import ConfigError
from serial_runtime.listeners import Listeners

LONG_S = 60.0


class Browser:
    """Notes what appears and vanishes, as the IDE's discovery does."""

    def __init__(self) -> None:
        self.seen: queue.Queue[tuple[str, str]] = queue.Queue()
        self.zeroconf = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
        zeroconf.ServiceBrowser(self.zeroconf, SERVICE_TYPE, listener=self)

    def add_service(self, _: zeroconf.Zeroconf, kind: str, name: str) -> None:
        self.seen.put(("added", name))

    def update_service(self, _: zeroconf.Zeroconf, kind: str, name: str) -> None:
        self.seen.put(("updated", name))

    def remove_service(self, _: zeroconf.Zeroconf, kind: str, name: str) -> None:
        self.seen.put(("removed", name))

    def next(self, what: str) -> str:
        """The name of the next service of which this is told."""
        while True:
            told, name = self.seen.get(timeout=LONG_S)
            if told == what:
                return name

    def uri(self, name: str) -> str:
        """What the IDE makes of it."""
        info = self.zeroconf.get_service_info(SERVICE_TYPE, name)
        assert info is not None
        scheme = (info.properties[b"protocol"] or b"").decode()
        uri = f"{scheme}://{info.parsed_addresses()[0]}:{info.port}"
        return f"{uri}#{name.split('.')[0]}" if scheme.endswith("S") else uri


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.zeroconf.close()


class Log:
    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()

    def next(self) -> str:
        return self.lines.get(timeout=LONG_S)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def announced(log: Log) -> Iterator[Callable[..., Announcement]]:
    """Announces a server on the loopback address; taken back at the end."""
    made: list[Announcement] = []

    def make(
        port: int = 3000,
        protocol: str = "ERPC",
        name: str = "board-7",
        addresses: Callable[[], list[str]] = lambda: ["127.0.0.1"],
    ) -> Announcement:
        made.append(Announcement(addresses, port, name, protocol, log.lines.put))
        return made[-1]

    yield make
    for announcement in made:
        announcement.close()


@pytest.mark.parametrize(
    ("protocol", "uri"),
    [("ERPC", "ERPC://127.0.0.1:3000"), ("ERPCS", "ERPCS://127.0.0.1:3000#board-7")],
)
def test_the_ide_finds_it_and_sees_it_go(
    announced: Any, browser: Browser, protocol: str, uri: str
) -> None:
    announcement = announced(protocol=protocol)
    name = browser.next("added")
    assert browser.uri(name) == uri
    announcement.close()
    assert browser.next("removed") == name


def test_boards_of_the_same_name(announced: Any, browser: Browser) -> None:
    first = announced()
    name = browser.next("added")
    announced(port=3001)
    other = browser.next("added")
    assert other != name
    assert browser.uri(other) == "ERPC://127.0.0.1:3001"
    first.close()
    assert browser.next("removed") == name


def test_a_board_with_and_without_encryption(
    browser: Browser, log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(announce, "ipv4_addresses", lambda host: ["127.0.0.1"])
    here = ListenAddress("127.0.0.1", 0)
    profile = Profile(tcp=Tcp(here, True), tls=Tls(here, announce=True))
    profile = profile._replace(store=Store(str(tmp_path)))
    plc = SimpleNamespace(log=lambda level, text: log.lines.put(text))
    server = SimpleNamespace(
        plc=plc, about=SimpleNamespace(board_id="board-7"), listen=lambda *_, **__: None
    )
    listeners = Listeners(profile)
    listeners.serve(server)  # type: ignore[arg-type]
    try:
        found = {browser.uri(browser.next("added")) for _ in range(2)}
        assert found == set(listeners.uris)
        assert {uri.partition("#")[2] for uri in found} == {"", "board-7"}
    finally:
        listeners.close()
    assert browser.next("removed").startswith("board-7")


def test_an_identity_that_is_taken_is_not_announced(
    announced: Any, browser: Browser, log: Log
) -> None:
    announced(protocol="ERPCS")
    browser.next("added")
    announced(protocol="ERPCS", port=4001)
    assert log.next() == "the runtime is not announced to IDEs: NonUniqueNameException"


def test_a_failure_is_logged_once_and_tried_again(
    announced: Any, browser: Browser, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "_LOOK_S", 0.01)
    failures = [OSError("no network")] * 3

    def addresses() -> list[str]:
        if failures:
            raise failures.pop()
        return ["127.0.0.1"]

    announced(addresses=addresses)
    assert browser.uri(browser.next("added")) == "ERPC://127.0.0.1:3000"
    assert log.next() == "the runtime is not announced to IDEs: OSError no network"
    assert log.lines.empty()


def test_a_network_that_comes_later(
    announced: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "_LOOK_S", 0.01)
    present: list[str] = []
    announced(addresses=lambda: list(present))
    present.append("127.0.0.1")
    name = browser.next("added")
    present.clear()
    assert browser.next("removed") == name


def test_a_missing_package_is_named_once(
    announced: Any, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    monkeypatch.setattr(announce, "_LOOK_S", 0.01)
    announcement = announced()
    assert "serial-runtime[zeroconf]" in log.next()
    announcement._thread.join(LONG_S)
    assert log.lines.empty()


def test_which_addresses_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        ifaddr.Adapter("lo", "lo", [ifaddr.IP("127.0.0.1", 8, "lo")]),
        ifaddr.Adapter("eth0", "eth0", [ifaddr.IP(("fe80::1", 0, 2), 64, "eth0")]),
        ifaddr.Adapter("usb0", "usb0", [ifaddr.IP("192.0.2.7", 24, "usb0")]),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    assert ipv4_addresses("0.0.0.0") == ipv4_addresses("") == ["192.0.2.7"]
    assert ipv4_addresses("192.0.2.9") == ["192.0.2.9"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "2001:db8::1"])
def test_what_no_ide_reaches_is_not_announced(announced: Any, log: Log, host: str) -> None:
    with pytest.raises(ConfigError, match=host):
        ipv4_addresses(host)
    announcement = announced(addresses=lambda: ipv4_addresses(host))
    assert "not announced to IDEs" in log.next()
    announcement._thread.join(LONG_S)


def test_the_library_is_imported_only_when_asked_for() -> None:
    code = "import sys, serial_runtime.announce; sys.exit('zeroconf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
