# SPDX-License-Identifier: MIT
"""One client, many threads: each gets its own answers, also while the link is lost and found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide

THREADS, CALLS = 6, 60


def run_all(jobs: list[Callable[[], None]]) -> None:
    """Each in a thread of its own; what one raises is raised here."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def reader(client: Client, number: int) -> Callable[[], None]:
    def read() -> None:
        for turn in range(CALLS):
            indices = [number, turn, 7]
            values = client.read([f"VAR{index}" for index in indices]).values
            assert values == b"".join(index.to_bytes(4, "little") for index in indices)

    return read


def test_many_threads(client: Client) -> None:
    client.variables()
    run_all([reader(client, number) for number in range(THREADS)])


def test_many_threads_and_a_link_that_is_lost(bench: Any, client: Client) -> None:
    client.variables()
    readers = [reader(client, number) for number in range(THREADS)]

    def cut() -> None:
        for _ in range(5):
            client.status()
            bench.ends[-1].cut()

    run_all([*readers, cut])
    assert client.link.reconnects >= 1
    client.status()


def test_a_call_of_another_thread_does_not_wait_for_one_that_waits(
    bench: Any, plc: Any, client: Client
) -> None:
    """One waits for a board that works; the other's call goes out and is answered meanwhile."""
    client.variables()
    entered, go = threading.Event(), threading.Event()

    def new_plc(*arguments: Any) -> None:
        entered.set()
        assert go.wait(60)

    plc.new_plc = new_plc

    def load() -> None:
        arguments = bytes(4) + bytes(4) + bytes(4)
        client.link.call(Ide.SERVICE_ID, Ide.NEWPLC_ID, arguments)

    def ask() -> None:
        assert entered.wait(60)
        client.status()
        go.set()

    run_all([load, ask])


def test_figures_and_recent_messages(client: Client) -> None:
    client.status()
    before = client.link.figures
    client.status()
    after = client.link.figures
    assert after.transmissions == before.transmissions + 1
    assert after.sent_bytes > before.sent_bytes
    assert after.received_bytes > before.received_bytes
    assert after.rto_s > 0
    assert [message.direction for message in client.link.recent][-2:] == [">", "<"]
    assert client.link.recent[-1].body[2] == 2


def test_closing_ends_the_waiting_of_other_threads(bench: Any, plc: Any) -> None:
    client = bench.client()
    client.status()
    entered, go = threading.Event(), threading.Event()

    def start() -> None:
        entered.set()
        go.wait(60)

    plc.start = start
    failed: list[str] = []

    def waits() -> None:
        try:
            client.start()
        except Exception as error:
            failed.append(type(error).__name__)

    thread = threading.Thread(target=waits)
    thread.start()
    assert entered.wait(60)
    client.close()
    thread.join(60)
    go.set()
    assert failed == ["LinkClosed"]


def test_a_slow_call_ends_though_its_link_has_gone(bench: Any, plc: Any, client: Client) -> None:
    """It executes once; its reply waits in the session for the link that comes."""
    client.status()
    entered, go = threading.Event(), threading.Event()

    def new_plc(*arguments: Any) -> None:
        plc.calls.append("new_plc")
        entered.set()
        assert go.wait(60)

    plc.new_plc = new_plc

    def load() -> None:
        assert client.link.call(Ide.SERVICE_ID, Ide.NEWPLC_ID, bytes(12))[:1] == b"\1"

    def upset() -> None:
        assert entered.wait(60)
        bench.ends[-1].cut()
        client.status()  # the link is back
        go.set()

    run_all([load, upset])
    assert plc.calls == ["new_plc"]
    assert client.link.reconnects == 1


def test_calls_that_waited_for_a_slow_one_execute_though_the_link_has_gone(
    bench: Any, plc: Any, client: Client
) -> None:
    client.status()
    entered, go, appended = threading.Event(), threading.Event(), threading.Event()

    def new_plc(*arguments: Any) -> None:
        entered.set()
        assert go.wait(60)

    def append_chunk(*arguments: Any) -> bytes:
        appended.set()
        return b""

    plc.new_plc, plc.append_chunk = new_plc, append_chunk
    link = client.link
    slow = link.submit(Ide.SERVICE_ID, Ide.NEWPLC_ID, bytes(12), ordered=True)
    held = link.submit(Ide.SERVICE_ID, Ide.APPENDCHUNKTOBLOB_ID, bytes(8), ordered=True)
    client.status()  # so both are on their way
    assert entered.wait(60)
    bench.ends[-1].cut()
    bench.join()
    go.set()
    assert appended.wait(60)
    link.wait(slow)
    link.wait(held)
