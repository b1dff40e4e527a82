# SPDX-License-Identifier: MIT
"""Client and server on a line with a rate: agreeing on another one, losing it, finding it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from serial_runtime.errors import CallRefused, LinkClosed, LinkTimeout, SerialRuntimeError
from serial_runtime.protocol import baud_switch
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.find_baud import find_baud
from serial_runtime.rpc.server import Server
from serial_runtime.transport.loop import RatedLoop, loop_line

HOME, FAST = 115200, 921600


class Cable:
    """A line with a server at its far end, and what goes wrong on it."""

    def __init__(self, server: Server, home: int) -> None:
        self.near, self.far = loop_line(home)
        self.told: list[str] = []
        self.rates: list[int] = []  # of the board, as it changes them
        self.dead_rates: set[int] = set()  # nothing gets through at these
        for end in (self.near, self.far):
            self._watch(end)
        self._thread = threading.Thread(target=server.serve, args=(self.far,), daemon=True)
        self._thread.start()

    def _watch(self, end: RatedLoop) -> None:
        switch = end.switch_rate

        def switch_rate(baud: int) -> None:
            switch(baud)
            end.damage.muted = baud in self.dead_rates
            if end is self.far:
                self.rates.append(baud)

        end.switch_rate = switch_rate  # type: ignore[method-assign]

    def client(self, fast: int = 0) -> Client:
        return Client(
            lambda: self.near, on_trouble=self.told.append, timeout_s=20.0, fast_baud=fast
        )

    def close(self) -> None:
        self.near.close()
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same order as the real ones, so that nobody waits for seconds."""
    monkeypatch.setattr(baud_switch, "TRIAL_S", 0.6)
    monkeypatch.setattr(baud_switch, "CONFIRM_S", 0.3)


@pytest.fixture
def lay(bench) -> Iterator[Callable[[int], Cable]]:
    cables: list[Cable] = []

    def lay(home: int = HOME) -> Cable:
        cables.append(Cable(bench.server, home))
        return cables[-1]

    yield lay
    for cable in cables:
        cable.close()


def test_a_client_uses_the_fast_rate_and_leaves_the_line_as_it_was(lay, wait_for) -> None:
    cable = lay()
    with cable.client(FAST) as client:
        assert client.status().status == 0
        assert (cable.near.baud, cable.far.baud) == (FAST, FAST)
        statistics = client.link_statistics()
        assert (statistics.baud, statistics.home_baud) == (FAST, HOME)
        client.status()
        assert cable.rates == [FAST]
    wait_for(lambda: cable.far.baud == HOME)
    assert cable.told == []


def test_a_fast_rate_that_is_the_home_rate(lay) -> None:
    cable = lay(FAST)
    with cable.client(FAST) as client:
        client.status()
        assert cable.rates == []


def test_a_rate_the_board_has_not(lay) -> None:
    cable = lay()
    cable.far.lacks.add(FAST)
    with cable.client(FAST) as client:
        client.status()
        assert cable.told == ["staying at 115200 baud: loop far cannot run at 921600 baud"]
        client.status()
        assert len(cable.told) == 1
        assert cable.rates == []


def test_a_rate_this_end_has_not(lay) -> None:
    cable = lay()
    cable.near.lacks.add(FAST)
    with cable.client() as client, pytest.raises(SerialRuntimeError, match="loop near cannot run"):
        client.link.run_at(FAST)
    assert cable.rates == []


def test_a_rate_the_line_does_not_carry(lay) -> None:
    cable = lay()
    cable.dead_rates.add(FAST)
    with cable.client() as client:
        with pytest.raises(LinkTimeout, match="does not carry 921600 baud"):
            client.link.run_at(FAST)
        assert client.status().status == 0
        assert (cable.near.baud, cable.far.baud) == (HOME, HOME)
        assert cable.rates == [FAST, HOME, FAST, HOME]


def test_the_answer_to_the_agreement_is_lost(lay) -> None:
    cable = lay()
    with cable.client() as client:
        client.status()
        cable.far.damage.drop(0, 30)
        client.link.run_at(FAST)
        assert (cable.near.baud, cable.far.baud) == (FAST, FAST)
        assert cable.rates == [FAST, HOME, FAST]


def test_back_by_agreement(lay) -> None:
    cable = lay()
    with cable.client() as client:
        client.link.run_at(FAST)
        client.link.run_at(HOME)
        assert (cable.near.baud, cable.far.baud) == (HOME, HOME)
        assert client.status().status == 0


def test_the_board_comes_home_when_it_hears_nothing(
    lay, wait_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    cable = lay()
    with cable.client() as client:
        monkeypatch.setattr(baud_switch, "SILENCE_S", 0.3)
        client.link.run_at(FAST)
        wait_for(lambda: cable.far.baud == HOME)
        assert client.status().status == 0  # and the client follows


def test_noise_does_not_keep_the_board_away(lay, wait_for, monkeypatch: pytest.MonkeyPatch) -> None:
    cable = lay()
    monkeypatch.setattr(baud_switch, "SILENCE_S", 0.3)
    with cable.client() as client:
        client.link.run_at(FAST)
        cable.near.switch_rate(HOME)

        def noise() -> bool:
            cable.near.write(b"noise")
            return cable.far.baud == HOME

        wait_for(noise)


def test_a_client_that_was_idle_agrees_anew(lay, monkeypatch: pytest.MonkeyPatch) -> None:
    cable = lay()
    monkeypatch.setattr(baud_switch, "IDLE_S", 0.0)
    monkeypatch.setattr(baud_switch, "SILENCE_S", 0.8)
    with cable.client(FAST) as client:
        client.status()
        client.status()
        assert (cable.near.baud, cable.far.baud) == (FAST, FAST)
        assert cable.rates == [FAST, HOME, FAST]
    assert cable.told == []


def test_a_link_without_a_rate(bench) -> None:
    with bench.client(fast_baud=FAST) as client:
        assert client.status().status == 0
        with pytest.raises(CallRefused, match="no baud rate"):
            client.link.run_at(FAST)


def test_the_board_refuses_a_rate_nobody_has(client) -> None:
    with pytest.raises(SerialRuntimeError, match="no baud rate"):
        client.link.call(2, 26, bytes(4))


# Looking for the rate.


def test_the_rate_of_the_board_is_found(lay) -> None:
    cable = lay(57600)
    cable.near.switch_rate(HOME)
    told: list[str] = []
    assert find_baud(cable.near, (HOME, FAST, 57600, 9600), tell=told.append) == 57600
    assert told == ["no runtime answers at 115200 baud; trying others"]
    with cable.client() as client:
        assert client.status().status == 0


def test_rates_this_end_lacks_are_passed_over(lay) -> None:
    cable = lay(9600)
    cable.near.lacks.add(FAST)
    assert find_baud(cable.near, (FAST, 9600)) == 9600


def test_nobody_answers() -> None:
    near, _ = loop_line(HOME)
    with pytest.raises(LinkTimeout, match="no runtime answers at any of 115200, 9600 baud"):
        find_baud(near, (HOME, 9600), iter(range(10**6)).__next__)


def test_an_agreed_rate_is_not_found_but_the_home_rate(lay) -> None:
    cable = lay()
    with cable.client() as client:
        client.link.run_at(FAST)
        with pytest.raises(LinkTimeout):
            find_baud(cable.near, (FAST,))
        client.link.run_at(FAST)


def test_a_link_lost_while_a_rate_is_agreed_on_is_at_home(lay) -> None:
    first, second = lay(), lay()
    ends = iter((first.near, second.near))
    with Client(lambda: next(ends), timeout_s=20.0, reconnect_s=20.0) as client:
        client.status()

        def unplugged(data: bytes) -> None:
            first.near.cut()
            raise LinkClosed("unplugged")

        first.near.write = unplugged
        with pytest.raises(LinkClosed, match="home rate"):
            client.link.run_at(FAST)
        client.status()
        assert second.rates == []
