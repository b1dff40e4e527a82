# SPDX-License-Identifier: MIT
"""The tables of process I/O in a profile: what they mean, and what each refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.config import Io, Profile, override
from serial_runtime.errors import ConfigError
from serial_runtime.iec.location import Location, parse_location
from serial_runtime.process_io.modbus_profile import Bus
from serial_runtime.profile_file import parse_profile

PANEL = """
[[io.gpio]]
name = "panel"
chip = "/dev/gpiochip0"
poll_us = 500
bias = "pull-up"
debounce_us = 3000
on_loss = "zero"
quality = "%IX100.0"
[io.gpio.inputs]
"%IX0.0" = 17
"%IX0.1" = { line = 18, bias = "off", active_low = true, debounce_us = 0, on_loss = "hold" }
[io.gpio.outputs]
"%QX0.0" = 22
"%qx0.1" = { line = 23, safe = true, active_low = true, drive = "open-drain" }
[io.gpio.counts]
"%IW4" = 17
"%ID4" = { line = 30, edges = "both", quality = "%IX100.1" }
"""
DRIVE = """
[[io.modbus]]
uri = "rtu:/dev/ttyS2:9600,8N2"
unit = 3
poll_ms = 50
timeout_ms = 200
quality = "%IX101.0"
[io.modbus.coils]
"%QX10.0" = { address = 100, count = 8, safe = true }
"%IX10.0" = 100
[io.modbus.holding_registers]
"%QW20" = { address = 7, safe = -2 }
"%QD20" = { address = 8, count = 2, safe = "hold", words = "low-first" }
"%IW60" = { address = 30, count = 3, on_loss = "zero", quality = "%IX101.1" }
[io.modbus.input_registers]
"%IL10" = 0
[io.modbus.discrete_inputs]
"%IX12.6" = { address = 5, count = 4 }
"""


def io(text: str) -> Io:
    return parse_profile(text).io


def bits(area: bytes) -> set[str]:
    return {
        str(Location("I", 1, byte, bit))
        for byte, content in enumerate(area)
        for bit in range(8)
        if content >> bit & 1
    }


def test_a_gpio_table() -> None:
    (table,) = io(PANEL).gpio
    lines = {line.line: line for line in table.lines}
    pull_up, off, active_low, rising, falling = 4, 16, 2, 128, 256  # board/io/gpio.h
    assert lines[17] == (17, pull_up | rising, 3000, 0, 1, 2, 8)
    assert lines[18] == (18, off | active_low, 0, 0, 2, 0, 0)
    assert lines[30] == (30, pull_up | rising | falling, 3000, 0, 0, 4, 16)
    assert lines[22] == (22, 1, 0, 0, 1, 0, 0)
    assert lines[23] == (23, 1 | 32 | active_low, 0, 0, 2, 0, 0)
    part = table.part()
    assert part.gpio is not None
    assert part.gpio[:1] + part.gpio[2:4] == ("/dev/gpiochip0", 500_000, 0)
    assert bits(part.gpio.quality) == {"%IX100.0", "%IX100.1"}
    assert part.outputs[:1] == b"\3"
    assert part.safe[:1] == b"\2"
    assert {"%IX0.0", "%IX0.1", "%IX8.0", "%IX19.7", "%IX100.0"} <= bits(part.inputs)
    assert len(bits(part.inputs)) == 2 + 16 + 32 + 2
    assert bits(part.lost) == bits(part.inputs) - {"%IX0.1"}
    assert [point.source for point in table.points] == [
        "line 17",
        "line 18",
        "rising edges of line 17",
        "edges of line 30",
        "line 22",
        "line 23",
    ]


def test_a_modbus_table() -> None:
    (table,) = io(DRIVE).modbus
    assert table[:5] == (
        "modbus 1",
        Bus("rtu:/dev/ttyS2:9600,8N2", device="/dev/ttyS2", baud=9600, parity="N", stop_bits=2),
        3,
        50,
        200,
    )
    assert [
        (block.kind, block.address, block.size, block.point.source, block.point.safe)
        for block in table.blocks
    ] == [
        ("coils", 100, 8, "coils 100 to 107", 1),
        ("coils", 100, 1, "coil 100", None),
        ("discrete_inputs", 5, 4, "discrete inputs 5 to 8", None),
        ("holding_registers", 7, 1, "holding register 7", 0xFFFE),
        ("holding_registers", 8, 4, "holding registers 8 to 11", None),
        ("holding_registers", 30, 3, "holding registers 30 to 32", None),
        ("input_registers", 0, 4, "input registers 0 to 3", None),
    ]
    assert not table.blocks[4].high_first
    part = table.part(1.0)
    assert bits(part.lost) == {"%IX101.0", "%IX101.1"} | {
        f"%IX{byte}.{bit}" for byte in range(120, 126) for bit in range(8)
    }
    assert part.safe[10:11] + part.safe[40:42] + part.safe[80:88] == b"\xff\xfe\xff" + bytes(8)
    assert part.outputs[80:88] == b"\xff" * 8
    assert bits(part.inputs) > {"%IX10.0", "%IX12.6", "%IX13.1", "%IX80.0", "%IX87.7"}


@pytest.mark.parametrize(
    ("uri", "bus"),
    [
        ("tcp://drive.local", ("drive.local", 502, "")),
        ("TCP://10.0.0.5:1502/", ("10.0.0.5", 1502, "")),
        ("tcp://[fe80::1]:503", ("fe80::1", 503, "")),
        ("rtu:/dev/ttyS2", ("", 502, "/dev/ttyS2", 19200, 8, "E", 1)),
        ("rtu:/dev/serial/a:b:115200,7o2", ("", 502, "/dev/serial/a:b", 115200, 7, "O", 2)),
    ],
)
def test_modbus_uris(uri: str, bus: tuple[object, ...]) -> None:
    (table,) = io(f"[[io.modbus]]\nuri = '{uri}'\nunit = 1\ncoils = {{ '%IX0.0' = 1 }}").modbus
    assert table.bus[1 : 1 + len(bus)] == bus


def gpio(text: str) -> str:
    return f"[[io.gpio]]\nchip = '/dev/gpiochip0'\n{text}\n"


def modbus(text: str, uri: str = "tcp://host", unit: int = 1) -> str:
    return f"[[io.modbus]]\nuri = '{uri}'\nunit = {unit}\n{text}\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[io]\ngpio = 3", ["io.gpio = 3", "[[io.gpio]]", "docs/io.md"]),
        ("[io.gpio]\nchip = 'x'", ["expected a table for each chip, [[io.gpio]]"]),
        ("[io]\ngpio = [3]", ["io.gpio[1] = 3", "expected a table"]),
        ("[[io.gpio]]\ninputs = {}", ["io.gpio[1] has no chip"]),
        (gpio(""), ["io.gpio[1] maps no line", "inputs, outputs or counts"]),
        (gpio("inptus = {}"), ["io.gpio[1].inptus", "keys are name, chip, inputs"]),
        (gpio("inputs = 3"), ["io.gpio[1].inputs = 3", '{ "%IX0.0" = 1 }']),
        (gpio("inputs = { '%IX0' = 3 }"), ['io.gpio[1].inputs."%IX0"', "a bit needs its byte"]),
        (gpio("inputs = { '%QX0.0' = 3 }"), ["%QX0.0 does not fit", "address of %IX"]),
        (gpio("inputs = { '%IW0' = 3 }"), ["%IW0 does not fit", "address of %IX"]),
        (gpio("outputs = { '%IX0.0' = 3 }"), ["address of %QX"]),
        (gpio("counts = { '%IX0.0' = 3 }"), ["address of %IW or %ID or %IL"]),
        (gpio("inputs = { '%IX0.0' = true }"), ['"%IX0.0".line = True', "0 to 65535"]),
        (gpio("inputs = { '%IX0.0' = {} }"), ["has no line"]),
        (gpio("inputs = { '%IX0.0' = { line = 1, bias = 'up' } }"), [".bias = 'up'", '"pull-up"']),
        (gpio("inputs = { '%IX0.0' = { line = 1, safe = true } }"), ["unknown key", ".safe"]),
        (gpio("outputs = { '%QX0.0' = { line = 1, safe = 1 } }"), [".safe = 1", "true or false"]),
        (gpio("inputs = { '%IX0.0' = 1, '%IX0.1' = 1 }"), ["line 1 is mapped already", "%IX0.0"]),
        (gpio("inputs = { '%IX0.0' = 1 }\noutputs = { '%QX0.1' = 1 }"), ["mapped already"]),
        (gpio("outputs = { '%QX0.0' = 1, '%QX0.1' = 1 }"), ["line 1 is mapped already"]),
        (gpio("counts = { '%IW0' = 1, '%IW1' = 1 }"), ["line 1 is counted twice"]),
        (
            gpio(
                "inputs = { '%IX0.0' = { line = 1, bias = 'off' } }\n"
                "counts = { '%IW1' = { line = 1, bias = 'pull-up' } }"
            ),
            ['counts."%IW1".bias', "'off'", "give it once"],
        ),
        (gpio("inputs = { '%IX0.0' = 1, '%ix00.00' = 2 }"), ["line 2", "line 1", "one source"]),
        (gpio("inputs = { '%IX0.3' = 1 }\ncounts = { '%IW0' = 2 }"), ["%IW0", "at %IX0.3"]),
        (gpio("quality = '%IX0.0'\ninputs = { '%IX0.0' = 1 }"), ["(quality)", "(line 1)"]),
        (gpio("quality = '%QX0.0'\ninputs = { '%IX0.0' = 1 }"), [".quality = '%QX0.0'", "%IX"]),
        (gpio("quality = 3\ninputs = { '%IX0.0' = 1 }"), [".quality = 3", "no address"]),
        (gpio("inputs = { '%IX0.0' = 1 }") + gpio("inputs = { '%IX1.0' = 2 }"), ["two tables"]),
        (
            gpio("name = 'a'\ninputs = { '%IX0.0' = 1 }")
            + modbus("name = 'a'\ncoils = { '%IX1.0' = 1 }"),
            ["the name 'a'"],
        ),
        (
            gpio("inputs = { '%IX0.7' = 1 }") + modbus("coils = {'%IX0.0' = {address=0, count=8}}"),
            ["%IX0.7 is filled by modbus 1 (coils 0 to 7) and by gpio 1 (line 1)"],
        ),
        (gpio("priority = 80\ninputs = { '%IX0.0' = 1 }"), ["gpio 1", "80", "below rt.priority"]),
        ("[[io.modbus]]\nuri = 'tcp://h'", ["io.modbus[1] has no unit"]),
        (modbus(""), ["maps nothing", "coils, discrete_inputs"]),
        (modbus("", uri="udp://h"), [".uri = 'udp://h'", "rtu:/dev/ttyS2:19200,8E1"]),
        (modbus("", uri="tcp://h:70000"), ["tcp://host:502"]),
        (modbus("", uri="rtu:/dev/x:19200,9E1"), ["/dev/ttyS2:19200,8E1"]),
        (modbus("", uri="rtu:/dev/x:100,8E1"), ["/dev/ttyS2:19200,8E1"]),
        (modbus("coils = {'%IX0.0' = 1}", unit=256), [".unit = 256", "0 to 255"]),
        (modbus("coils = {'%IX0.0' = 1}", "rtu:/dev/x", 0), [".unit = 0", "1 to 247 on a line"]),
        (modbus("discrete_inputs = {'%QX0.0' = 1}"), ["%QX0.0 does not fit", "of %IX"]),
        (modbus("coils = {'%IW0' = 1}"), ["%IW0 does not fit", "%IX or %QX"]),
        (modbus("holding_registers = {'%IB0' = 1}"), ["%IB0", "%IW or %ID or %IL or %QW"]),
        (modbus("coils = {'%IX0.0' = {address = 1, count = 2001}}"), [".count", "1 to 2000"]),
        (modbus("coils = {'%QX0.0' = {address = 1, count = 1969}}"), ["1969 coils", "1968"]),
        (modbus("input_registers = {'%ID0' = {address = 1, count = 63}}"), ["126 input", "125"]),
        (modbus("coils = {'%IX0.0' = {address = 65535, count = 2}}"), ["coil 65536"]),
        (modbus("coils = {'%IX1023.0' = {address = 0, count = 9}}"), ["beyond the process image"]),
        (modbus("coils = {'%QX0.0' = {address = 0, on_loss = 'zero'}}"), ["slave's own matter"]),
        (modbus("coils = {'%IX0.0' = {address = 0, safe = 0}}"), ["an input has no safe value"]),
        (modbus("coils = {'%QX0.0' = {address = 0, safe = 2}}"), [".safe = 2", "0 to 1"]),
        (modbus("coils = {'%QX0.0' = {address = 0, safe = 'x'}}"), [".safe = 'x'", '"hold"']),
        (
            modbus("holding_registers = {'%QW0' = {address = 0, safe = 70000}}"),
            ["-32768 to 65535", "%QW0"],
        ),
        (
            modbus("coils = {'%QX0.0' = {address = 0, count = 4}, '%QX1.0' = 3}"),
            ["coil 3 of unit 1 at host:502 is written by modbus 1 (from %QX1.0 on)", "%QX0.0"],
        ),
        (
            modbus("coils = {'%QX0.0' = 1}", "rtu:/dev/x:9600,8E1")
            + modbus("coils = {'%QX0.1' = 1}", "rtu:/dev/x:9600,8N1", 2),
            ["modbus 2", "/dev/x", "one rate and form"],
        ),
        (
            "[serial]\nport = '/dev/ttyS1'\n" + modbus("coils = {'%IX0.0' = 1}", "rtu:/dev/ttyS1"),
            ["/dev/ttyS1 is the line to the host"],
        ),
    ],
)
def test_a_refusal_names_the_key_and_what_is_accepted(text: str, named: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_profile(text, "board.toml")
    assert str(refusal.value).startswith("board.toml:")
    for word in named:
        assert word in str(refusal.value)


def test_the_same_coil_of_two_slaves_or_read_twice_is_no_conflict() -> None:
    found = io(
        modbus("coils = { '%QX0.0' = 1, '%IX0.0' = 1, '%IX0.1' = 1 }")
        + modbus("coils = { '%QX0.0' = 1 }", unit=2)
        + gpio("outputs = { '%QX0.0' = 5 }")
    )
    assert [table.name for table in (*found.gpio, *found.modbus)] == [
        "gpio 1",
        "modbus 1",
        "modbus 2",
    ]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.sampled_from(["", "zero", "%IX0.0", "%QW1", "tcp://h", "/dev/gpiochip0"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["chip", "uri", "unit", "inputs", "outputs", "counts", "coils", "quality", "line"]
                + ["address", "count", "safe", "holding_registers", "%IX0.0", "%QX0.1", "%IW3"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def refusal(kind: str, value: object) -> str:
    """The text of the ConfigError; what it would name when there is none."""
    try:
        override(Profile(), f"io.{kind}", [value])
    except ConfigError as error:
        return str(error)
    return f"io.{kind}[1]"


@given(st.sampled_from(["gpio", "modbus"]), values)
def test_any_value_is_accepted_or_a_config_error(kind: str, value: object) -> None:
    assert f"io.{kind}[1]" in refusal(kind, value)


def test_places_of_the_examples_are_real() -> None:
    for table in (*io(PANEL).gpio, *io(DRIVE).modbus):
        for point in table.points:
            for place in point.places:
                assert parse_location(str(place)) == place
