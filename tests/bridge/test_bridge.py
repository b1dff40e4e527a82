# SPDX-License-Identifier: MIT
"""The bridge as its clients see it: an unmodified IDE, and our own."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from itertools import islice, pairwise

import pytest
from bridge_scene import IMAGE, BridgeScene
from erpc import Reference
from plc_scene import image
from stock_ide import md5

from serial_runtime.errors import LinkError, StateError, VariableError
from serial_runtime.plc.log import Log
from serial_runtime.plc.retain import Retain
from serial_runtime.plc.retain_file import RetainFiles
from serial_runtime.rpc.access import Role
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.server import MAX_CONNECTIONS

WaitFor = Callable[[Callable[[], object]], None]


def dint(value: int) -> bytes:
    return struct.pack("<i", value)


def test_an_ide_at_work(scene: BridgeScene, wait_for: WaitFor) -> None:
    ide, out = scene.ide(), Reference()
    assert ide.calls.GetPLCID(out) == 2, "no secret"
    assert ide.status() == Status.Empty
    assert ide.start() == 1
    wait_for(lambda: any("no program is loaded" in text for text in ide.log()))
    assert ide.transfer(IMAGE, **{"a.txt": b"extra"})
    assert ide.status() == Status.Stopped
    assert ide.calls.MatchMD5(md5(IMAGE), out) == 0
    assert out.value is True
    assert ide.start() == 0
    assert ide.status() == Status.Started
    token = ide.watch(3, 1)
    assert token > 0
    scene.board.board.run_cycles(5)
    samples: list[tuple[int, bytes]] = []

    def fetched() -> bool:
        state, more = ide.traces(token)
        assert state == Status.Started
        samples.extend(more)
        return len(samples) == 5

    wait_for(fetched)
    assert samples == [(t, dint(t * 10 + 3) + dint(t * 10 + 1)) for t in range(5)]
    assert ide.watch() == -5
    assert ide.traces(token) == (Status.Broken, [])
    assert ide.stop() is True
    assert ide.stop() is False
    assert ide.calls.RepairPLC() == 0
    assert ide.status() == Status.Empty


def test_a_program_that_is_refused(scene: BridgeScene, wait_for: WaitFor) -> None:
    ide, out = scene.ide(), Reference()
    wrong = image("wrong", "fail-trial")
    assert ide.transfer(wrong) is False
    wait_for(lambda: any("crashes while it is loaded" in text for text in ide.log()))
    assert ide.calls.NewPLC(md5(wrong), b"unknown", [], out) == 0
    assert out.value is False
    assert any("no upload has the id" in text for text in ide.log())
    blob_id = ide.upload(b"short", "seed")
    assert ide.calls.NewPLC(md5(wrong), blob_id, [], out) == 0
    assert out.value is False
    assert any("has not the digest" in text for text in ide.log())


def test_a_board_that_lets_us_only_look(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    scene.let(Role.VIEW)
    scene.unplug()
    scene.plugged = True
    ide, out = scene.ide(), Reference()
    wait_for(lambda: ide.status() == Status.Stopped)
    assert ide.start() == 1
    assert ide.stop() is False
    assert ide.calls.RepairPLC() == 1
    assert not ide.transfer(IMAGE + b"another")
    assert ide.watch(1, v1=dint(1)) < 0
    assert ide.watch(1) > 0
    assert ide.calls.MatchMD5(md5(IMAGE), out) == 0
    assert out.value is True
    told = "\n".join(ide.log())
    for call in ("StartPLC", "StopPLC", "RepairPLC", "OpenUpload", "ForceVariables"):
        assert f"{call} needs the role" in told, "the log is all that the user sees"


def test_uploads_are_apart(scene: BridgeScene) -> None:
    one, other, out = scene.ide(), scene.ide(), Reference()
    blob_id = one.upload(IMAGE, "seed")
    assert other.calls.PurgeBlobs() == 0
    assert other.calls.AppendChunkToBlob(b"more", blob_id, out) == 0
    assert out.value == b"", "another's upload is not to be touched"
    assert one.calls.NewPLC(md5(IMAGE), blob_id, [], out) == 0
    assert out.value is True


def test_traces_of_two_clients(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    scene.board.plc.start()
    one, other = scene.ide(), scene.ide()
    wait_for(lambda: one.status() == Status.Started)
    mine, theirs = one.watch(8, 2), other.watch(5, 8, 5)
    assert mine > 0 < theirs != mine
    got: dict[int, list[tuple[int, bytes]]] = {mine: [], theirs: []}

    def fetched(count: int) -> bool:
        for ide, token in ((one, mine), (other, theirs)):
            state, samples = ide.traces(token)
            assert state == Status.Started
            got[token] += samples
        return all(len(samples) >= count for samples in got.values())

    scene.board.board.run_cycles(4)
    wait_for(lambda: fetched(4))
    assert got[mine] == [(t, b"\0" + dint(t * 10 + 2)) for t in range(4)]
    assert got[theirs] == [(t, dint(t * 10 + 5) + b"\0" + dint(t * 10 + 5)) for t in range(4)]
    # An empty list suspends its sender only, and so does the end of its connection.
    assert one.watch() == -5
    assert one.traces(mine) == (Status.Broken, [])
    third = scene.ide()
    last = third.watch(1)
    third.close()
    wait_for(lambda: scene.plc.traces.count == 1)
    assert last > 0
    del got[mine]
    scene.board.board.run_cycles(3)
    wait_for(lambda: bool(got[theirs].extend(other.traces(theirs)[1]) or len(got[theirs]) == 7))
    assert [tick for tick, _ in got[theirs]] == list(range(7))


def test_a_trace_list_that_is_refused(scene: BridgeScene) -> None:
    ide = scene.ide()
    assert ide.watch(1) == -4, "no program"
    assert ide.transfer(IMAGE)
    token = ide.watch(1)
    assert ide.watch(1, 99) == -4
    assert ide.watch(1, v1=b"too short") == -3
    assert ide.traces(token) == (Status.Stopped, []), "the list before is still good"
    assert any("V1" in text for text in ide.log())


def test_forces_belong_to_their_setter(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    scene.board.plc.start()
    board = scene.board.board
    one, other = scene.ide(), scene.ide()
    one.watch(1, 2, 3, v1=dint(11), v2=dint(12))
    other.watch(2, 3, v2=dint(22), v3=dint(23))
    assert board.forces == {1: dint(11), 2: dint(22), 3: dint(23)}
    assert any(
        one.name in text and other.name in text and dint(22).hex() in text for text in one.log()
    )
    one.watch(1, 2, 3, 4, v1=dint(11), v2=dint(12))
    assert board.forces[2] == dint(22), "what is only repeated is not written anew"
    other.watch(3, v3=dint(23))
    assert board.forces == {1: dint(11), 2: dint(12), 3: dint(23)}
    assert one.watch() == -5
    assert board.forces[1] == dint(11), "forces survive the suspension"
    one.close()
    wait_for(lambda: board.forces == {3: dint(23)})
    assert any("released" in text for text in other.log())


def test_forces_of_commands_stay(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    board = scene.board.board
    with scene.client() as client:
        client.force({"V5": dint(55), "V6": dint(66)})
    ide = scene.ide()
    ide.watch(5, v5=dint(1))
    with scene.client() as client:
        assert sorted(client.forced()) == ["V5", "V6"]
        with pytest.raises(VariableError):
            client.force({"V5": b"\1"})
        client.unforce(["V5"])
    assert board.forces == {6: dint(66)}
    with scene.client() as client:
        client.unforce()
    assert board.forces == {}


def test_forces_of_an_ide_end_with_the_bridge(scene: BridgeScene) -> None:
    scene.load()
    board = scene.board.board
    scene.ide().watch(1, v1=dint(11))
    with scene.client() as client:
        client.force({"V5": dint(55)})
    assert board.forces == {1: dint(11), 5: dint(55)}
    scene.bridge.close()
    scene.plc.close()
    assert board.forces == {5: dint(55)}


def test_the_board_releases_forces(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    ide = scene.ide()
    ide.start()
    ide.watch(1, v1=dint(7))
    ide.stop()
    assert scene.board.board.forces == {}
    ide.watch(1, 2, v1=dint(7))
    assert scene.board.board.forces == {1: dint(7)}, "the book knows that it was released"


def test_a_broken_program_is_forced_no_more(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    one, other = scene.ide(), scene.ide()
    one.start()
    one.watch(1, v1=dint(7))
    scene.board.board.crash()
    wait_for(lambda: other.status() == Status.Broken)
    one.close()
    wait_for(lambda: scene.plc.traces.count == 0)
    scene.plc.mirror.poll()  # nothing is told to a board that could only refuse
    scene.plc.mirror.poll()
    assert not any("force" in text for text in scene.said), scene.said


def test_our_client(scene: BridgeScene, wait_for: WaitFor) -> None:
    client = scene.client()
    assert client.ours
    assert client.capabilities().machine == "armv7l", "the board's, not the bridge's"
    assert client.plc_id() == "bench-1"
    client.download(IMAGE)
    assert client.program().md5 == md5(IMAGE)
    assert client.board_status().scheduling.startswith("a fake")
    assert client.supervision().crash_limit == 3
    (driver,) = client.io_drivers()
    assert (driver.name, driver.state, driver.since_ns) == ("panel", "it is gone", 1_500_000_000)
    points = client.io_points()
    assert [(point.source, point.value) for point in points] == [
        (f"line {n}", n % 2) for n in range(500)
    ]
    assert [row.path for row in client.variables()] == [f"V{n}" for n in range(8)] + ["TEXT"]
    assert client.read(["V3"]).values == dint(3)
    client.start()
    with pytest.raises(StateError, match="started already"):
        client.start()
    with pytest.raises(StateError, match="keeps no statistics"):
        client.statistics()
    with pytest.raises(StateError, match="keeps no statistics"):
        client.task_figures()
    client.reset_statistics(7000)
    assert scene.board.board.record_above_ns == (7000, 0)
    assert client.maximum(1).cause == 0
    with client.trace(["V2", "V1"], poll_s=0.01) as trace:
        ide = scene.ide()
        token = ide.watch(1, 4)
        scene.board.board.run_cycles(3)
        found = list(islice(trace, 3))
        assert [s.tick for s in found] == [0, 1, 2]
        assert found[1].values == dint(12) + dint(11)
    wait_for(lambda: len(ide.traces(token)[1]) == 3)
    wait_for(lambda: client.log(levels=[2])[-1].text == "program fake started")
    client.reset_log()
    assert client.log() == []


def test_retained_values(scene: BridgeScene) -> None:
    files = RetainFiles(scene.board.store.directory)
    board = scene.board.board.as_board()
    scene.board.plc._retain = Retain(board, Log(), files)
    scene.board.plc._loader._retain = scene.board.plc._retain
    client = scene.client()
    client.download(image("kept", "retain"))
    client.start()
    scene.board.board.run_cycles(2)
    client.stop()
    status, values = client.retained()
    assert (status.enabled, status.kept, status.orphans, status.writes) == (True, 3, 0, 1)
    assert [(one.path, one.iec_type, one.orphan) for one in values] == [
        ("V0", 4, False),
        ("V1", 4, False),
        ("TEXT", 20, False),
    ]
    assert values[1].value == dint(21)
    assert values[2].capacity == 20
    client.start(cold=True)
    assert client.retain_status().kept == 0
    with pytest.raises(StateError, match="stop it first"):
        client.clear_retained()
    client.stop()
    client.clear_retained()
    assert client.retained()[1] == []


def test_a_program_change_ends_traces(scene: BridgeScene, wait_for: WaitFor) -> None:
    ide, other = scene.ide(), scene.ide()
    assert ide.transfer(IMAGE)
    token = other.watch(1)
    assert other.traces(token)[0] == Status.Stopped
    assert ide.transfer(IMAGE)
    assert other.traces(token)[0] == Status.Stopped, "the same program: it goes on"
    ide.start()
    scene.board.board.run_cycles(2)
    ticks: list[int] = []
    wait_for(lambda: ticks.extend(t for t, _ in other.traces(token)[1]) or ticks == [0, 1])
    assert ide.transfer(image("second"))
    assert other.traces(token) == (Status.Broken, [])
    ide.start()
    token = other.watch(1)
    assert ide.stop()
    assert ide.calls.RepairPLC() == 0
    assert other.traces(token) == (Status.Broken, [])
    assert ide.transfer(IMAGE)
    ide.start()
    token = other.watch(1)
    scene.board.board.run_cycles(1)
    wait_for(lambda: other.traces(token)[1])


def test_unplugged_and_plugged_again(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    scene.board.plc.start()
    ide = scene.ide()
    wait_for(lambda: ide.status() == Status.Started)
    token = ide.watch(1)
    scene.board.board.run_cycles(2)
    ticks: list[int] = []

    def fetched(count: int) -> bool:
        ticks.extend(tick for tick, _ in ide.traces(token)[1])
        return len(ticks) >= count

    wait_for(lambda: fetched(2))
    scene.unplug()
    assert ide.status() == Status.Started, "a loose plug is not told"
    scene.board.board.run_cycles(3)
    wait_for(lambda: ide.status() == Status.Disconnected)
    assert ide.start() == 1
    assert ide.traces(token) == (Status.Disconnected, [])
    wait_for(lambda: any("lost the board" in text for text in scene.said))
    scene.plugged = True
    wait_for(lambda: ide.status() == Status.Started)
    wait_for(lambda: fetched(5))
    assert ticks == list(range(5)), "the board kept them"


def test_a_command_while_the_board_is_away(scene: BridgeScene, wait_for: WaitFor) -> None:
    client = scene.client()
    scene.mute(True)
    wait_for(lambda: client.status().status == Status.Disconnected)
    with pytest.raises(LinkError) as failed:  # so it ends with the exit code of a lost link
        client.statistics()
    assert str(failed.value) == "the board is not connected: no answer"


def test_a_restart_of_the_board(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    ide = scene.ide()
    ide.start()
    token = ide.watch(1, v1=dint(5))
    scene.restart()
    wait_for(lambda: ide.status() == Status.Stopped)
    assert ide.start() == 0
    wait_for(lambda: ide.status() == Status.Started)
    ticks: list[int] = []

    def traced() -> bool:
        scene.board.board.run_cycles(1)
        ticks.extend(tick for tick, _ in ide.traces(token)[1])
        return len(ticks) > 3

    wait_for(traced)
    assert all(after == before + 1 for before, after in pairwise(ticks))
    assert scene.board.board.forces == {}, "the bridge forces nothing on its own account"


def test_forces_of_one_that_left_while_unplugged(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    ide = scene.ide()
    ide.watch(1, v1=dint(5))
    scene.unplug()
    ide.close()
    wait_for(lambda: not scene.plc.line.present)
    assert scene.board.board.forces == {1: dint(5)}
    scene.plugged = True
    wait_for(lambda: scene.board.board.forces == {})


def test_the_session_is_marked(scene: BridgeScene) -> None:
    scene.client().status()
    (session,) = [s for s in scene.sessions._sessions if scene.sessions.is_bridged(s)]
    assert session


def test_a_disconnected_client_is_forgotten(scene: BridgeScene, wait_for: WaitFor) -> None:
    ide = scene.ide()
    ide.upload(IMAGE, "seed")
    folder = scene.plc.uploads.folder
    assert len(list(folder.iterdir())) == 1
    ide.close()
    wait_for(lambda: not list(folder.iterdir()))


def test_a_board_that_falls_silent(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.load()
    ide = scene.ide()
    wait_for(lambda: ide.status() == Status.Stopped)
    scene.mute(True)
    # A start would have a minute; nobody waits so long for a board that is not heard.
    assert ide.start() == 1
    assert ide.status() == Status.Disconnected
    wait_for(lambda: any("StartPLC failed" in text for text in scene.said))
    scene.mute(False)
    wait_for(lambda: ide.status() != Status.Disconnected)
    assert ide.stop() or ide.start() == 0, "whether it was started is unknown"


def test_a_noisy_line(scene: BridgeScene, wait_for: WaitFor) -> None:
    scene.noise(2e-4)
    ide = scene.ide()
    assert ide.transfer(IMAGE, **{"a.txt": bytes(range(256)) * 16})
    assert ide.start() == 0
    token = ide.watch(1, 2)
    ticks: list[int] = []

    def traced() -> bool:
        if len(ticks) < 40:
            scene.board.board.run_cycles(1)
        state, samples = ide.traces(token)
        assert state == Status.Started
        for tick, values in samples:
            assert values == dint(tick * 10 + 1) + dint(tick * 10 + 2)
            ticks.append(tick)
        return len(ticks) >= 40

    wait_for(traced)
    assert ticks == list(range(len(ticks)))


def test_one_that_does_not_read_holds_up_nobody(scene: BridgeScene) -> None:
    request = bytes.fromhex("278a0800dadf00040101 01000000".replace(" ", ""))
    with socket.create_connection(("127.0.0.1", scene.listener.port)) as deaf:
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.send(request * 1000)
        ide = scene.ide()
        for _ in range(50):
            assert ide.status() == Status.Empty


def test_a_second_download_is_refused(scene: BridgeScene, wait_for: WaitFor) -> None:
    one, other = scene.ide(), scene.ide()
    with scene.plc.uploads.sending():
        assert one.transfer(IMAGE) is False
    wait_for(lambda: any("another client is downloading" in text for text in other.log()))
    assert other.transfer(IMAGE)


def test_connections_are_limited(scene: BridgeScene) -> None:
    with contextlib.ExitStack() as stack:

        def connected() -> socket.socket:
            place = ("127.0.0.1", scene.listener.port)
            return stack.enter_context(socket.create_connection(place, 10))

        ide = scene.ide()
        for _ in range(MAX_CONNECTIONS - 1):
            connected()
        assert ide.status() == Status.Empty
        assert connected().recv(1) == b"", "one too many: closed"
        assert ide.status() == Status.Empty
