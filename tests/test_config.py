# SPDX-License-Identifier: MIT
"""The board profile: what is accepted, and that every refusal names the key and the remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.config import (
    KEYS,
    ListenAddress,
    Profile,
    override,
    parse_listen,
)
from serial_runtime.errors import ConfigError
from serial_runtime.profile_file import load_profile, parse_profile

FULL = """
[serial]
port = "/dev/ttyS1"
baud = 921600
rs485 = "driver"
rs485_rts_high = false
rs485_turnaround_ms = 2
[tcp]
listen = "127.0.0.1:3000"
announce = true
[tls]
listen = "0.0.0.0"
by = "stunnel"
announce = true
[wamp]
router = "WAMPS://router.example#Automation"
ca = "/etc/plc/ca.pem"
[rt]
priority = 70
cpu = 1
tasks = "single"
task_cpu = 2
watchdog_ms = 250
watchdog_sensitivity = 4
overrun = "fault"
overrun_limit = 7
trace_ring_kib = 512
cpu_latency_us = -1
[io]
driver = "sim:tank-1"
[store]
dir = "/var/lib/plc"
autostart = true
max_program_kib = 100
blob_quota_kib = 200
trace_buffer_kib = 300
[policy]
serial = "operate"
tcp = "view"
tls = "view"
wamp = "operate"
pyro = "view"
pairing = "window"
programs = "signed"
program_keys = "/etc/keys"
audit_kib = 0
"""


def test_every_key_arrives() -> None:
    profile = parse_profile(FULL)
    assert profile.serial == ("/dev/ttyS1", 921600, "driver", False, 2)
    assert profile.tls == (ListenAddress("0.0.0.0", 4000), "stunnel", True)
    assert profile.tcp == (ListenAddress("127.0.0.1", 3000), True)
    assert profile.wamp == ("WAMPS://router.example#Automation", "/etc/plc/ca.pem")
    assert profile.rt == (70, 1, "single", 2, 250, 4, "fault", 7, 512, -1)
    assert profile.io.driver == "sim:tank-1"
    assert profile.store == ("/var/lib/plc", True, 100, 200, 300)
    roles = ("operate", "view", "view", "operate", "view")
    assert profile.policy == (*roles, "window", "signed", "/etc/keys", 0)


def test_every_key_can_be_left_out() -> None:
    assert parse_profile("") == Profile()
    assert parse_profile("[rt]\ncpu = 2") == Profile(rt=Profile().rt._replace(cpu=2))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "[sreial]",
            ["sreial", "wamp, rt, io, beremiz, store, supervision, retain, policy, python"],
        ),
        ("baud = 1", ["key 'baud'", "sections are"]),
        ("serial = 3", ["serial", "[serial]"]),
        ("[serial]\nbuad = 9600", ["serial.buad", "port, baud"]),
        ("[serial]\nbaud = '9600'", ["serial.baud", "'9600'", "integer from 300"]),
        ("[serial]\nbaud = true", ["serial.baud", "integer"]),
        ("[serial]\nbaud = 9600.5", ["serial.baud", "integer"]),
        ("[serial]\nport = 1", ["serial.port", "/dev/ttyS1"]),
        ('[serial]\nport = "a\\u0000b"', ["serial.port"]),
        ("[serial]\nrs485 = true", ["serial.rs485", '"off", "driver" or "adapter"']),
        ("[tcp]\nlisten = 3000", ["tcp.listen", "HOST:PORT"]),
        ("[tcp]\nlisten = 'host:99999'", ["tcp.listen", "65535"]),
        ("[tls]\nby = 'openssl'", ["tls.by", '"runtime" or "stunnel"']),
        ("[pyro]\nlisten = 'host:99999'", ["pyro.listen", "65535"]),
        ("[rt]\npriority = 100", ["rt.priority", "0 to 98"]),
        ("[rt]\ntasks = 'many'", ["rt.tasks", '"threads" or "single"']),
        ("[rt]\ntask_cpu = -3", ["rt.task_cpu", "-2: as rt.cpu"]),
        ("[rt]\nwatchdog_sensitivity = 0", ["rt.watchdog_sensitivity", "1 to 100"]),
        ("[rt]\noverrun = 'ignore'", ["rt.overrun", '"skip" or "fault"']),
        ("[rt]\ntrace_ring_kib = 100", ["rt.trace_ring_kib", "64 or 128"]),
        ("[rt]\ntrace_ring_kib = 8", ["rt.trace_ring_kib", "16 to", "power of two"]),
        ("[rt]\ncpu = -2", ["rt.cpu", "-1 to"]),
        ("[io]\ndriver = 'gpio'", ["io.driver", "none", "sim:NAME"]),
        ("[io]\ndriver = 'sim:'", ["io.driver"]),
        ("[io]\ndriver = 'sim:../x'", ["io.driver"]),
        ("[store]\ndir = ''", ["store.dir", "not empty"]),
        ("[store]\nautostart = 1", ["store.autostart", "true or false"]),
        ("[store]\nmax_program_kib = 0", ["store.max_program_kib", "from 1"]),
        ("[policy]\ntcp = 'admin'", ["policy.tcp", '"view", "operate" or "program"']),
        ("[policy]\ntcp = ['view']", ["policy.tcp", '"view", "operate" or "program"']),
        ("[serial", ["TOML"]),
        ("a = " + "[" * 10_000, ["TOML"]),
        ("[rt]\ncpu = " + "9" * 5000, ["TOML", "digits"]),
        ("[rt]\ncpu = 0x" + "f" * 5000, ["rt.cpu", "digits"]),
    ],
)
def test_a_refusal_names_the_key_and_what_is_accepted(text: str, named: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_profile(text, "board.toml")
    assert str(refusal.value).startswith("board.toml:")
    for word in named:
        assert word in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_profile(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"[io]\n# \xe9")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_profile(str(tmp_path / "latin.toml"))
    (tmp_path / "good.toml").write_text(FULL)
    assert load_profile(str(tmp_path / "good.toml")) == parse_profile(FULL)


def test_options_override_and_are_checked_alike() -> None:
    profile = override(parse_profile(FULL), "serial.baud", 9600)
    assert profile.serial[:2] == ("/dev/ttyS1", 9600)
    with pytest.raises(ConfigError, match=r"serial\.baud"):
        override(profile, "serial.baud", 1)
    for unknown in ("serial.speed", "x.y", "serial"):
        with pytest.raises(ConfigError, match="unknown"):
            override(profile, unknown, 1)


def test_the_manual_lists_every_key_with_its_default_and_what_it_accepts() -> None:
    page = (Path(__file__).parents[1] / "docs" / "board.md").read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]]
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    expected = []
    for section, keys in KEYS.items():
        for name in keys:
            with pytest.raises(ConfigError) as refused:
                override(Profile(), f"{section}.{name}", object())
            default = getattr(getattr(Profile(), section), name)
            shown = "" if default is None else f"`{json.dumps(default)}`"
            accepted = str(refused.value).partition("expected ")[2]
            expected.append([f"`{section}.{name}`", shown, accepted])
    assert rows == expected


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000)),
        ("plc.local", ("plc.local", 3000)),
        (":0", ("", 0)),
        ("[::1]:4000", ("::1", 4000)),
        ("[::1]", ("::1", 3000)),
    ],
)
def test_listen_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address
    assert parse_listen(str(parse_listen(text))) == address


@pytest.mark.parametrize(
    "text", ["", "3000", "::1:3000", "h:", "h:-1", "h:70000", "h:3\u00b2", "h:x"]
)
def test_bad_listen_addresses(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(text)


def refusal(attempt: Callable[[], Profile], accepted: str = "profile:") -> str:
    """The text of the ConfigError; `accepted` when there is none. Anything else is a bug."""
    try:
        attempt()
    except ConfigError as error:
        return str(error)
    return accepted


@given(st.text(max_size=80))
def test_any_text_is_a_profile_or_a_config_error(text: str) -> None:
    assert refusal(lambda: parse_profile(text)).startswith("profile:")


@given(
    st.sampled_from(["serial.baud", "serial.port", "rt.cpu", "tcp.listen", "io.driver"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
)
def test_any_value_is_accepted_or_a_config_error(key: str, value: object) -> None:
    assert key in refusal(lambda: override(Profile(), key, value), accepted=key)


def test_the_toml_parser_is_only_loaded_for_a_profile() -> None:
    code = "import sys, serial_runtime.config; sys.exit('tomllib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
