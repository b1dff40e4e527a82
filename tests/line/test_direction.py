# SPDX-License-Identifier: MIT
"""One direction with ends of paper: what arrives when, and what is counted."""

from __future__ import annotations

from typing import cast

import pytest

from serial_runtime.line.conditions import Conditions
from serial_runtime.line.direction import Direction
from serial_runtime.line.end import TTY_HOLDS, End

RATE_BPS = 1000.0


class PaperEnd:
    """What a direction needs of an end; a tty that keeps ``space`` bytes for its reader."""

    master = 77

    def __init__(self, space: int = 10_000) -> None:
        self.space = space
        self.sent = bytearray()
        self.kept = bytearray()
        self.opened = True
        self.rate = 9600

    def baud(self) -> int:
        return self.rate

    def is_open(self) -> bool:
        return self.opened

    def read(self, size: int) -> bytes:
        data = bytes(self.sent[:size])
        del self.sent[:size]
        return data

    def write(self, data: bytes | bytearray) -> int:
        taken = min(len(data), self.space - len(self.kept))
        self.kept += data[:taken]
        return taken

    def unread(self) -> int:
        return len(self.kept)

    def heard(self) -> bytes:
        data = bytes(self.kept)
        self.kept.clear()
        return data


class Scene:
    """A direction, its ends, and a clock that only moves when told to."""

    def __init__(self, follow: bool = False, **conditions: float) -> None:
        self.line = Direction("from", "to", 10 * RATE_BPS, "seed", follow)
        self.sender, self.receiver = PaperEnd(), PaperEnd()
        self.now_s = 50.0
        self.set(**conditions)

    def set(self, **conditions: float) -> None:
        self.line.set_conditions(Conditions(**conditions), self.now_s)  # type: ignore[arg-type]

    def passes(self, ms: float, step_ms: float = 1.0) -> bytes:
        """Let time pass; what the reader, who reads all, has got."""
        heard, until_s = b"", self.now_s + ms / 1000
        while self.now_s < until_s - 1e-9:
            self.now_s = min(self.now_s + step_ms / 1000, until_s)
            self.carry()
            heard += self.receiver.heard()
        return heard

    def carry(self) -> int | None:
        self.line.upset(self.now_s)
        return self.line.carry(cast(End, self.sender), cast(End, self.receiver), self.now_s)

    def send(self, data: bytes) -> None:
        self.sender.sent += data
        self.carry()


def test_a_faultless_line() -> None:
    scene = Scene()
    scene.send(b"abcdefgh")
    assert scene.passes(3.5) == b"abc"
    assert scene.passes(10) == b"defgh"
    counters = scene.line.counters()
    assert (counters.carried, counters.delivered, counters.faults) == (8, 8, 0)


def test_latency_delays_and_takes_no_rate() -> None:
    scene = Scene(latency_s=0.1)
    scene.send(b"abcd")
    assert scene.passes(100) == b""
    assert scene.passes(2.5) == b"ab"
    scene.send(b"efgh")  # while the first are under way
    assert scene.passes(1.6) == b"cd"
    assert scene.passes(97) == b""
    assert scene.passes(10) == b"efgh"


def test_an_adapter_hands_over_packets() -> None:
    scene = Scene(turnaround_s=10.0)
    scene.send(bytes(100))
    assert len(scene.passes(61.5)) == 0
    assert len(scene.passes(1)) == 62
    assert len(scene.passes(1000)) == 0
    assert scene.line.next_s() == pytest.approx(60.062, abs=0.002)
    assert len(scene.passes(9000, step_ms=100)) == 38


def test_damage_is_done_and_counted() -> None:
    scene = Scene()
    scene.line.damage.flip(1, 0x20)
    scene.line.damage.drop(2)
    scene.line.damage.insert(3, b"++")
    scene.send(b"abcd")
    assert scene.passes(10) == b"aB++d"
    counters = scene.line.counters()
    assert (counters.bit_errors, counters.dropped, counters.inserted) == (1, 1, 2)
    assert (counters.carried, counters.delivered, counters.faults) == (4, 5, 4)


def test_a_break_takes_the_byte_under_way() -> None:
    scene = Scene()
    scene.send(b"abc")
    assert scene.passes(1.5) == b"a"
    scene.line.send_break(scene.now_s)
    assert scene.passes(5) == b"\0c"
    assert scene.line.counters().breaks == 1


def test_a_break_on_an_idle_line() -> None:
    scene = Scene()
    scene.line.send_break(scene.now_s)
    assert scene.passes(1) == b"\0"
    scene.send(b"a")
    assert scene.passes(2) == b"a"


def test_a_stall() -> None:
    scene = Scene()
    scene.send(b"abcd")
    assert scene.passes(1.5) == b"a"
    scene.line.stall(0.5, scene.now_s)
    assert scene.passes(500) == b""
    assert scene.passes(3.1) == b"bcd"
    assert scene.line.counters().stalls == 1


def test_events_of_time_happen_as_often_as_said() -> None:
    scene = Scene(breaks_per_s=20, stalls_per_s=10, stall_s=0.001)
    heard = scene.passes(20_000)
    counters = scene.line.counters()
    assert counters.breaks == len(heard) == pytest.approx(400, rel=0.2)
    assert counters.stalls == pytest.approx(200, rel=0.25)
    scene.set()
    assert scene.passes(1000) == b""


def test_a_disconnect_is_told_to_the_cable() -> None:
    scene = Scene(disconnects_per_s=1)
    told = 0
    for _ in range(60_000):
        scene.now_s += 0.001
        told += scene.line.upset(scene.now_s)
    assert told == pytest.approx(60, rel=0.4)


def test_a_slow_reader_pushes_back() -> None:
    scene = Scene()
    scene.receiver.space = 3
    scene.send(b"abcdefgh")
    scene.now_s += 0.02
    assert scene.carry() == PaperEnd.master
    scene.now_s += 5
    scene.carry()
    assert scene.receiver.heard() == b"abc"
    got = b""
    while len(got) < 5:
        got += scene.passes(1)
    assert got == b"defgh"
    assert scene.line.counters().overrun == 0


@pytest.mark.parametrize("most", [5, TTY_HOLDS + 5])
def test_an_overrun_drops_what_is_beyond(most: int) -> None:
    scene = Scene(overrun_bytes=most)
    data = bytes(index % 251 for index in range(most + 20))
    scene.sender.sent += data
    for _ in range(len(data) + 60):
        scene.now_s += 0.001
        assert scene.carry() is None
    assert scene.line.counters().overrun == 20
    heard = scene.receiver.heard()
    assert len(heard) == min(most, TTY_HOLDS)
    assert heard + scene.passes(5) == data[:most]
    scene.send(b"on")
    assert scene.passes(5) == b"on"


def test_an_overrun_does_not_meet_a_reader_that_keeps_up() -> None:
    scene = Scene(overrun_bytes=4)
    data = bytes(200)
    scene.sender.sent += data
    assert scene.passes(250) == data
    assert scene.line.counters().overrun == 0


def test_the_ports_do_not_matter_unless_they_are_followed() -> None:
    scene = Scene()
    scene.receiver.rate = 300
    scene.send(b"abcd")
    assert scene.passes(4.1) == b"abcd"


def test_the_line_follows_the_sender() -> None:
    scene = Scene(follow=True)
    scene.sender.rate = scene.receiver.rate = 1000
    scene.send(b"abcd")
    assert scene.passes(11) == b"a"
    scene.passes(40)
    scene.sender.rate, scene.receiver.rate = 20000, 19700
    scene.send(b"efgh")
    assert scene.passes(2.1) == b"efgh"
    assert scene.line.counters().garbled == 0


@pytest.mark.parametrize(("rate", "count"), [(9600, 10), (1_000_000, 100), (300, 1)])
def test_another_rate_is_garbage(rate: int, count: int) -> None:
    scene = Scene(follow=True)
    scene.sender.rate, scene.receiver.rate = 19200, rate
    scene.send(b"abcdefghijabcdefghij")
    got = scene.passes(50, step_ms=50)
    assert len(got) == count
    assert b"abcd" not in got
    assert scene.line.counters().garbled == 20


def test_nobody_listens() -> None:
    scene = Scene()
    scene.receiver.opened = False
    scene.send(b"abc")
    assert scene.passes(10) == b""
    counters = scene.line.counters()
    assert (counters.carried, counters.delivered, counters.lost) == (3, 0, 3)


def test_what_is_under_way_is_lost_with_the_end() -> None:
    scene = Scene(latency_s=0.005)
    scene.send(b"abcdefgh")
    assert scene.passes(6.5) == b"a"
    scene.line.clear()
    assert scene.passes(50) == b""
    assert scene.line.counters().lost == 7


def test_next_is_when_something_happens() -> None:
    scene = Scene()
    assert scene.line.next_s() == float("inf")
    scene.send(b"a")
    assert scene.line.next_s() == pytest.approx(scene.now_s + 0.001)
    scene.set(latency_s=0.02)
    scene.passes(1.1)
    assert scene.line.next_s() == pytest.approx(scene.now_s + 0.02, abs=0.001)
    scene.set(breaks_per_s=1000)
    assert scene.now_s <= scene.line.next_s() < scene.now_s + 0.02
