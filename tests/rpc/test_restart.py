# SPDX-License-Identifier: MIT
"""The runtime executes itself anew after a call: its client knows, and nobody is cut off before."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serial_runtime.errors import StoreError

IMAGE = bytes(range(256)) * 50
LONG_S = 60.0


class Restart:
    """StartPLC plans a restart and waits; `on_restart` lets the next process come."""

    def __init__(self, bench: Any, plc: Any) -> None:
        self.planned, self.reply, self.asked, self.end = (threading.Event() for _ in range(4))
        self.start = plc.start
        self.bench, self.plc = bench, plc
        plc.start = self.plan
        bench.server.on_restart = self.on_restart

    def plan(self) -> None:
        self.plc.calls.append("plan")
        self.plc.restart = object()
        self.planned.set()
        assert self.reply.wait(LONG_S)

    def on_restart(self) -> None:
        self.asked.set()
        assert self.end.wait(LONG_S)

    def execute(self) -> None:
        assert self.asked.wait(LONG_S)
        self.plc.restart, self.plc.start = None, self.start
        self.bench.boot(0x2000)
        self.end.set()


@pytest.fixture
def restart(bench: Any, plc: Any) -> Iterator[Restart]:
    it = Restart(bench, plc)
    yield it
    it.reply.set()
    it.end.set()


def in_thread(function: Any) -> tuple[threading.Thread, list[Any]]:
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, outcome


def test_another_client_does_not_cut_off_the_reply(
    bench: Any, plc: Any, client: Any, restart: Restart
) -> None:
    calling, outcome = in_thread(client.start)
    assert restart.planned.wait(LONG_S)
    with bench.client() as other:
        other.status()
        other.status()
    assert not restart.asked.is_set()
    restart.reply.set()
    calling.join(LONG_S)
    assert outcome == [None]
    assert restart.asked.wait(LONG_S)


def test_a_client_that_has_gone_does_not_hold_it_up(
    bench: Any, client: Any, restart: Restart
) -> None:
    bench.reliable = True
    client.link.reconnect_s = 0.0
    calling, _ = in_thread(client.start)
    assert restart.planned.wait(LONG_S)
    bench.ends[-1].cut()
    restart.reply.set()
    assert restart.asked.wait(LONG_S)
    restart.execute()
    calling.join(LONG_S)


def test_the_next_call_waits_for_the_next_process(
    bench: Any, plc: Any, client: Any, restart: Restart
) -> None:
    told: list[str] = []
    client.link._on_trouble = told.append
    restart.reply.set()
    client.start()
    plc.state = 1
    calling, outcome = in_thread(client.start)
    threading.Event().wait(0.05)  # else it may not have been sent yet, and the test is easier
    restart.execute()
    calling.join(LONG_S)
    assert outcome == [None]
    assert plc.calls == ["plan", "start"]
    assert told == []  # it was expected


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("extra", [(), [("a", b"1")]])
def test_a_restart_that_swallowed_the_answer_to_new_plc(
    bench: Any, plc: Any, client: Any, installed: bool, extra: Any
) -> None:
    new_plc, calls = plc.new_plc, []

    def dies(*arguments: Any) -> None:
        calls.append("new_plc")
        plc.new_plc = new_plc
        if installed:
            new_plc(*arguments)
        bench.boot(0x2000)

    plc.new_plc = dies
    client.download(IMAGE, extra_files=extra)
    assert plc.image == IMAGE
    assert plc.extra == dict(extra)
    again = 0 if installed and not extra else 1
    digest = hashlib.md5(IMAGE).hexdigest()
    assert plc.calls.count(("new_plc", digest)) == installed + again


def test_a_program_that_is_too_long_is_refused_before_the_upload(plc: Any, client: Any) -> None:
    with pytest.raises(StoreError, match=r"1000001 bytes, this board takes 1000000.*max_program"):
        client.download(bytes(1_000_001))
    assert not plc.calls
