# SPDX-License-Identifier: MIT
"""The client's operations against a real server, over an in-memory line."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from serial_runtime.errors import ProtocolError, StateError, VariableError, WorkerBusy
from serial_runtime.rpc.ide.common import Status

IMAGE = bytes(range(256)) * 90


def test_says_what_is_there(client: Any, plc: Any) -> None:
    assert client.ours
    assert client.status().status == Status.Empty
    assert client.plc_id() == "bench-1"
    assert client.capabilities().window == 16
    assert client.board_status().scheduling == "fake"
    assert client.program().tasks[0].interval_ns == 1_000_000
    assert client.statistics().wakeup.bins == [0, 1]


def test_downloads_and_runs(client: Any, plc: Any) -> None:
    seen: list[tuple[int, int]] = []
    client.download(
        IMAGE,
        extra_files=[("a.csv", b"1;2"), ("b.csv", b"1;2")],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert plc.image == IMAGE
    assert plc.extra == {"a.csv": b"1;2", "b.csv": b"1;2"}
    assert seen[0] == (0, len(IMAGE) + 6)
    assert seen[-1] == (len(IMAGE) + 6, len(IMAGE) + 6)
    assert client.match_md5(hashlib.md5(IMAGE).hexdigest())
    client.start()
    assert client.status().status == Status.Started
    client.stop()
    client.repair()
    assert client.status().status == Status.Empty


def test_a_refusal_has_the_class_and_sentence_of_the_board(client: Any) -> None:
    with pytest.raises(StateError, match="nothing to start: the PLC is not stopped"):
        client.start()
    with pytest.raises(StateError, match="the digest is not 00"):
        client.download(IMAGE, md5="00")


def test_variables_by_name(client: Any, plc: Any) -> None:
    assert [row.path for row in client.variables()] == plc.names
    snapshot = client.read(["VAR7", "var2"])
    assert snapshot.tick == 9
    assert snapshot.values == bytes([7, 0, 0, 0, 2, 0, 0, 0])
    with pytest.raises(VariableError, match=r"VAR2999.*did you mean VAR299"):
        client.read(["VAR2999"])


def test_the_table_is_read_again_for_another_program(client: Any, plc: Any) -> None:
    assert len(client.variables()) == 300
    plc.names, plc.md5 = ["ONLY"], "another"
    assert [row.path for row in client.variables()] == ["ONLY"]


def test_a_client_that_knows_an_old_table_uses_the_new_one(client: Any, plc: Any) -> None:
    client.read(["VAR1", "VAR2"])
    plc.names = ["NEW", "VAR2", "VAR1"]
    assert client.read(["VAR1", "VAR2"]).values == bytes([2, 0, 0, 0, 1, 0, 0, 0])
    plc.names = ["VAR9"]
    with pytest.raises(VariableError, match="VAR1"):
        client.force({"VAR1": b"\1\0\0\0"})
    assert plc.forces == {}


def test_forces_of_a_program_that_is_gone_are_not_named(client: Any, plc: Any) -> None:
    """Replaced between the answer and the table: its indices name nothing, or something else."""
    gone = len(plc.names) + 1
    plc.forced = lambda: (gone, [0, gone])
    assert client.forced() == []


def test_forces(client: Any, plc: Any) -> None:
    client.force({"VAR1": b"\1\0\0\0"})
    client.force({"VAR2": b"\2\0\0\0"})
    assert client.forced() == ["VAR1", "VAR2"]
    client.unforce(["VAR1"])
    assert plc.forces == {2: b"\2\0\0\0"}
    client.unforce()
    assert plc.forces == {}


def test_a_board_in_a_state_that_does_not_exist(client: Any, plc: Any) -> None:
    plc.state = 77
    for ask in (client.status, client.board_status):
        with pytest.raises(ProtocolError, match="tells 77 as the state"):
            ask()


def test_a_board_that_forces_what_it_does_not_have(client: Any, plc: Any) -> None:
    plc.forced = lambda: (plc.table(), [0, len(plc.names)])
    with pytest.raises(ProtocolError, match="beyond its 300"):
        client.forced()


def test_log_from_the_newest_back_to_the_first_wanted(client: Any, plc: Any) -> None:
    plc.logged += [f"line {n}" for n in range(11)]
    assert [line.text for line in client.log()] == plc.logged
    assert [line.number for line in client.log(levels=(1,), first=(0, 8, 0, 0))] == [8, 9, 10]
    client.reset_log()
    assert client.log() == []


def test_what_a_client_held_is_freed_when_it_leaves(
    bench: Any, client: Any, plc: Any, wait_for: Any
) -> None:
    """If the worker is too busy just then, with the next one that leaves."""
    client.download(IMAGE)
    assert len(plc.blobs) == 1
    free, refusals = plc.owner_closed, [WorkerBusy("busy")]

    def owner_closed(owner: object) -> None:
        if refusals:
            raise refusals.pop()
        free(owner)

    plc.owner_closed = owner_closed
    client.close()
    wait_for(lambda: not refusals)
    assert len(plc.blobs) == 1
    with bench.client() as other:
        other.status()
    wait_for(lambda: not plc.blobs)


def test_trace(client: Any, plc: Any) -> None:
    for tick in range(5):
        plc.sample(tick, bytes([tick]))
    with client.trace(["VAR1"], poll_s=0.0) as trace:
        found = [snapshot for _, snapshot in zip(range(5), trace, strict=False)]
    assert [(s.tick, s.values) for s in found] == [(n, bytes([n])) for n in range(5)]
