# SPDX-License-Identifier: MIT
"""URIs: the accepted forms, and a sentence for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import UriError
from serial_runtime.transport.uri import (
    AUTO_BAUD,
    LocalEndpoint,
    LoopEndpoint,
    PyroEndpoint,
    SerialEndpoint,
    TcpEndpoint,
    TlsEndpoint,
    WampEndpoint,
    parse,
)

BY_PATH = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0"


@pytest.mark.parametrize(
    ("uri", "endpoint"),
    [
        ("ERPC://plc", TcpEndpoint("plc", 3000)),
        ("erpc://plc:4001", TcpEndpoint("plc", 4001)),
        ("Erpc://192.0.2.7:1", TcpEndpoint("192.0.2.7", 1)),
        ("ERPC://[::1]", TcpEndpoint("::1", 3000)),
        ("ERPC://[fe80::1%eth0]:3001", TcpEndpoint("fe80::1%eth0", 3001)),
        ("ERPC:///dev/ttyS0", SerialEndpoint("/dev/ttyS0", 115200)),
        ("ERPC:///dev/ttyUSB0:921600", SerialEndpoint("/dev/ttyUSB0", 921600)),
        (f"ERPC://{BY_PATH}", SerialEndpoint(BY_PATH, 115200)),
        (f"ERPC://{BY_PATH}:9600", SerialEndpoint(BY_PATH, 9600)),
        ("ERPC:///dev/odd:7", SerialEndpoint("/dev/odd", 7)),
        ("ERPC:///dev/odd%3A7", SerialEndpoint("/dev/odd:7", 115200)),
        ("ERPC:///dev/odd%3A7:300", SerialEndpoint("/dev/odd:7", 300)),
        ("ERPC:///dev/tty-größe%C3%9F", SerialEndpoint("/dev/tty-größeß", 115200)),
        ("ERPC:///dev/50%25", SerialEndpoint("/dev/50%", 115200)),
        ("ERPC:///dev/ttyUSB0:auto", SerialEndpoint("/dev/ttyUSB0", AUTO_BAUD)),
        ("/dev/ttyUSB0?fast=921600", SerialEndpoint("/dev/ttyUSB0", 115200, 921600)),
        ("/dev/ttyUSB0:auto?fast=9600", SerialEndpoint("/dev/ttyUSB0", AUTO_BAUD, 9600)),
        ("/dev/odd%3Ffast=1", SerialEndpoint("/dev/odd?fast=1", 115200)),
        ("/dev/ttyS1?rs485", SerialEndpoint("/dev/ttyS1", 115200, 0, "high")),
        ("/dev/ttyS1?rs485=low&fast=9600", SerialEndpoint("/dev/ttyS1", 115200, 9600, "low")),
        ("ERPC://:COM4:9600?fast=57600", SerialEndpoint("COM4", 9600, 57600)),
        ("COM4:auto", SerialEndpoint("COM4", AUTO_BAUD)),
        ("ERPC://:COM4", SerialEndpoint("COM4", 115200)),
        ("ERPC://:COM4:57600", SerialEndpoint("COM4", 57600)),
        ("/dev/ttyUSB0", SerialEndpoint("/dev/ttyUSB0", 115200)),
        ("/dev/ttyUSB0:9600", SerialEndpoint("/dev/ttyUSB0", 9600)),
        ("COM4:57600", SerialEndpoint("COM4", 57600)),
        ("plc:3000", TcpEndpoint("plc", 3000)),
        ("[::1]:3000", TcpEndpoint("::1", 3000)),
        ("ERPCS://plc#board-1", TlsEndpoint("plc", 4000, "board-1")),
        ("erpcs://[::1]:4001#b_2", TlsEndpoint("::1", 4001, "b_2")),
        ("WAMP://router#r#b", WampEndpoint(False, "router", 80, "/", "r", "b")),
        (
            "WAMPS://router:8888/ws/a%20b?x=1#plant.hall-1#b",
            WampEndpoint(True, "router", 8888, "/ws/a%20b?x=1", "plant.hall-1", "b"),
        ),
        ("WAMPS://[::1]#r#b", WampEndpoint(True, "::1", 443, "/", "r", "b")),
        ("PYRO://plc", PyroEndpoint("plc", 3000)),
        ("PYROS://plc:3001#b", PyroEndpoint("plc", 3001, "b")),
        ("LOCAL://", LocalEndpoint()),
        ("loop://test", LoopEndpoint("test")),
        ("socket://127.0.0.1:7000", SerialEndpoint("socket://127.0.0.1:7000", 115200)),
    ],
)
def test_accepted(uri: str, endpoint: object) -> None:
    assert parse(uri) == endpoint


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "is empty"),
        ("ERPC://a b", "white space"),
        ("ERPC:///dev/tty\x00", "control"),
        ("ERPC://", "host name is missing"),
        ("ERPC://plc:", "port '' is not"),
        ("ERPC://plc:0", "port '0' is not"),
        ("ERPC://plc:65536", "port '65536' is not"),
        ("ERPC://plc:+1", r"port '\+1' is not"),
        ("ERPC://plc:\u0663", "port .* is not"),
        ("/dev/ttyUSB0?", "'' is no option of a serial line"),
        ("/dev/ttyUSB0?slow=9600", "no option of a serial line.* there are fast=BAUD, rs485 and"),
        ("/dev/ttyUSB0?rs485=up", "'rs485=up' is no option"),
        ("/dev/ttyUSB0?rs485&rs485=low", "'rs485=low' is no option of a serial line, or there tw"),
        ("/dev/ttyUSB0?fast", "'' is not a baud rate"),
        ("/dev/ttyUSB0?fast=0", "'0' is not a baud rate"),
        ("/dev/ttyUSB0?fast=auto", "the fast rate must be a number"),
        ("/dev/ttyUSB0?fast=9600&x=1", "'x=1' is no option"),
        ("ERPC://::1", "IPv6 addresses go in brackets"),
        ("ERPC://fe80::1", "IPv6 addresses go in brackets"),
        ("ERPC://[::1", "no IPv6 address in the brackets"),
        ("ERPC://[plc]", "no IPv6 address in the brackets"),
        ("ERPC://[::1]3000", "only :port may follow"),
        ("ERPC://user@plc", "character that does not belong"),
        ("ERPC://plc/x", "character that does not belong"),
        ("ERPC://plc#ID", "#ID belongs to ERPCS://"),
        ("ERPC://:COM4:fast", "'fast' is not a baud rate"),
        ("ERPC://:COM4:0", "'0' is not a baud rate"),
        ("ERPC://:", "a port name such as COM4"),
        ("ERPC:///dev/x:0", "'0' is not a baud rate"),
        ("ERPC:///dev/x%zz", "is written %25"),
        ("ERPC:///dev/x%00", "no device path"),
        ("ERPC:///dev/", "no device path"),
        ("ERPCS://plc", "identity is missing"),
        ("ERPCS://plc#", "'' is no ID"),
        ("ERPCS://plc#../evil", "'../evil' is no ID"),
        ("ERPCS://plc#a#b", "'a#b' is no ID"),
        ("ERPCS://plc#" + 65 * "x", "is no ID"),
        ("ERPCS:///dev/ttyS0#ID", "host name is missing"),
        ("WAMP://plc", "#realm#ID must follow"),
        ("WAMP://plc#realm", "#realm#ID must follow"),
        ("WAMP://plc#realm#ID#x", "#realm#ID must follow"),
        ("WAMP://plc##ID", "'' is no realm"),
        ("WAMP://plc#a..b#ID", "'a..b' is no realm"),
        ("WAMP://plc/a\\b#realm#ID", "path has a character"),
        ("WAMP://plc/%zz#realm#ID", "path has a character"),
        ("PYRO://plc:1#ID", "#ID belongs to PYROS://"),
        ("PYROS://plc", "identity is missing"),
        ("LOCAL://plc", "nothing follows LOCAL://"),
        ("http://plc", "unknown scheme http://"),
        ("plc", "neither host:port nor a device path"),
        ("tty/0", "neither host:port nor a device path"),
        ("loop://", "the name is missing"),
    ],
)
def test_refused(uri: str, reason: str) -> None:
    with pytest.raises(UriError, match=reason) as caught:
        parse(uri)
    scheme = uri.partition("://")[0]
    forms = str(caught.value).partition("Accepted: ")[2].split(", ")
    if scheme in ("ERPCS", "PYRO", "PYROS", "LOCAL"):
        assert [form.partition("://")[0] for form in forms] == [scheme]
    elif scheme.startswith("WAMP"):
        assert forms == ["WAMP[S]://host[:port][/path]#realm#ID"]
    else:
        assert forms[:2] == ["ERPC://host[:port]", "ERPC:///dev/ttyX[:baud]"]
        assert ("LOCAL://" in forms) == (scheme != "ERPC")


@given(st.text(max_size=30) | st.text("ERPC:/[]%.a0", max_size=20).map("ERPC://".__add__))
def test_any_text_parses_or_is_a_uri_error(text: str) -> None:
    try:
        endpoint = parse(text)
    except UriError:
        return
    if isinstance(endpoint, TcpEndpoint):
        assert 1 <= endpoint.port <= 65535
        assert endpoint.host
    elif isinstance(endpoint, SerialEndpoint):
        assert endpoint.baud > 0
        assert endpoint.device
