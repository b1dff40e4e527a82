# SPDX-License-Identifier: MIT
"""Objects of the Beremiz IDE on the board: hosted by the shim's cycle, and with their own.

The object is tests/images/beremiz.c, which ends the process when a host calls what it must not.
"""

from __future__ import annotations

import itertools
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beremiz_object as object_
import pytest

from serial_runtime.board import Board, BoardState, LogRecord, Task
from serial_runtime.board_plant import Plant
from serial_runtime.errors import ImageError, ProgramFault, StateError, VariableError
from serial_runtime.iec import IecType, unpack

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
Until = Callable[[Callable[[], object]], None]
Maker = Callable[..., str]

ID = "0123456789abcdef0123456789abcdef"
BOTH = pytest.mark.parametrize("own_cycle", [False, True], ids=["hosted", "own"])
TYPES = object_.TYPES


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """``make(*words)``: a fresh copy of the object, see ``beremiz_object.content``."""
    number = itertools.count()

    def copy(*words: str) -> str:
        path = tmp_path / f"{next(number)}.so"
        path.write_bytes(object_.content(*words))
        return str(path)

    return copy


def values(board: Board, *indices: int) -> list[Any]:
    _, data = board.read(indices)
    found, at = [], 0
    for index in indices:
        value, at = unpack(IecType[TYPES[index]], data, at)
        found.append(value)
    assert at == len(data)
    return found


def running(board: Board, until: Until, path: str) -> Board:
    board.load(path, ID)
    board.start()
    until(lambda: values(board, object_.COUNT)[0] > 3)
    return board


def texts(records: list[LogRecord]) -> list[tuple[int, str]]:
    return [(record.level, record.text) for record in records]


@BOTH
def test_what_is_known_of_an_object(new_board: BoardMaker, make: Maker, own_cycle: bool) -> None:
    image = new_board(own_cycle=own_cycle).load(make(), ID)
    assert (image.name, image.build_id, image.beremiz) == ("Beremiz", ID, True)
    assert image.tasks == (Task("PLC", 1_000_000, 0),)
    assert [IecType(row.type).name for row in image.variables] == TYPES
    assert [row.path for row in image.variables[:2]] == ["VAR.0", "VAR.1"]
    assert image.variables[object_.TEXT].capacity == 126
    assert {row.location for row in image.variables} == {""}


@BOTH
def test_life(new_board: BoardMaker, make: Maker, until: Until, own_cycle: bool) -> None:
    board = new_board(own_cycle=own_cycle)
    path = make()
    assert board.load(path, ID)
    assert values(board, object_.EXTERNAL, object_.MEMORY) == [0, 0]  # lead nowhere yet
    for _ in range(3):
        board.start()
        assert board.state == BoardState.RUNNING
        until(lambda: values(board, object_.COUNT)[0] > 3)
        board.stop()
        assert board.state == BoardState.STOPPED
        (count,) = values(board, object_.COUNT)
        assert values(board, object_.COUNT, object_.AN_INT) == [count, count * 100 & 0x7FFF]
        assert values(board, object_.BUS_OUTPUT) == [0]  # its memory was given back
        log = board.drain_log()
        assert all(abs(record.sec - time.time()) < 60 for record in log)
        if own_cycle:  # it keeps its variable itself
            assert texts(log) == [(2, f"id {ID}"), (2, "own retain")]
            assert values(board, object_.KEPT) == [99]
        else:
            expected = [(1, "no retained values"), (2, f"id {ID}"), (2, "lent retain")]
            assert sorted(texts(log)) == expected
            assert values(board, object_.KEPT) == [11]
    board.unload()
    assert path not in Path("/proc/self/maps").read_text()
    assert not board.tainted


@BOTH
def test_every_form_of_a_value(
    new_board: BoardMaker, make: Maker, until: Until, own_cycle: bool
) -> None:
    board = running(new_board(own_cycle=own_cycle), until, make())
    generation = board.set_trace(range(len(TYPES)))
    data = b""

    def traced() -> bool:
        nonlocal data
        data = board.read_trace(generation, 1 << 16, 0.1)
        return bool(data)

    until(traced)
    board.stop()
    _, length = struct.unpack_from("<II", data)
    found, at = [], 8
    for name in TYPES:
        value, at = unpack(IecType[name], data, at)
        found.append(value)
    assert at == 8 + length
    count = found[object_.COUNT]
    assert count > 3
    assert found[object_.BIT] == bool(count % 2)
    assert found[object_.A_LINT] == -(count << 33)
    assert found[object_.AN_LREAL] == count / 4
    assert found[object_.A_DATE] == -1_500_000_000
    assert found[object_.TEXT] == "text"
    assert found[object_.ET] == count
    assert found[object_.BUS_OUTPUT] == count
    assert found[object_.MEMORY] == (count + 1) & 0xFFFF
    assert found[object_.EXTERNAL] == found[object_.GLOBAL] == 7


@BOTH
def test_forces(new_board: BoardMaker, make: Maker, until: Until, own_cycle: bool) -> None:
    board = running(new_board(own_cycle=own_cycle), until, make())
    text = b"\6forced" + bytes(120)
    board.set_forces(
        {
            object_.AN_INT: b"\x2a\0",
            object_.TEXT: text,
            object_.A_DATE: struct.pack("<qq", 86400, 0),
            object_.EXTERNAL: b"\x09\0",
            object_.INPUT: b"\x34\x12",
            object_.LAMP: b"\1",
            object_.BUS_OUTPUT: b"\xff\xff\xff\xff",
            object_.MEMORY: b"\x07\0",
        }
    )
    until(lambda: values(board, object_.INPUT_SEEN) == [0x1234])
    generation = board.set_trace([object_.LAMP, object_.BUS_OUTPUT])
    samples = b""

    def three_samples() -> bool:
        nonlocal samples
        samples += board.read_trace(generation, 1 << 16, 0.1)
        return len(samples) >= 3 * 13

    until(three_samples)
    assert {samples[at + 8 : at + 13] for at in range(0, len(samples), 13)} == {b"\1" + b"\xff" * 4}
    assert values(board, object_.AN_INT, object_.TEXT) == [42, "forced"]
    assert values(board, object_.A_DATE, object_.MEMORY) == [86_400_000_000_000, 7]
    # Only the block whose external variable it is sees another global.
    assert values(board, object_.EXTERNAL_SEEN, object_.OTHER_SEEN) == [9, 7]
    with pytest.raises(VariableError, match=r"3 bytes does not fit VAR\.3"):
        board.set_forces({object_.AN_INT: b"123"})
    assert values(board, object_.AN_INT) == [42]
    board.set_forces({object_.AN_INT: b"\x2b\0"})  # the others are the program's again
    until(lambda: values(board, object_.EXTERNAL_SEEN, object_.AN_INT) == [7, 43])
    until(lambda: values(board, object_.BUS_OUTPUT)[0] > 0)
    assert values(board, object_.INPUT_SEEN, object_.TEXT) == [0, "text"]
    board.stop()
    board.start()  # without the force
    until(lambda: values(board, object_.COUNT)[0] > 1)
    until(lambda: values(board, object_.AN_INT) != [43])
    board.stop()


@BOTH
def test_its_log(new_board: BoardMaker, make: Maker, until: Until, own_cycle: bool) -> None:
    board = running(new_board(own_cycle=own_cycle), until, make())
    board.drain_log()
    board.set_forces({object_.ORDER: object_.LOG})
    records: list[LogRecord] = []

    def logged() -> bool:
        records.extend(board.drain_log())
        return len(records) >= 40

    until(logged)
    board.set_forces({})
    assert {(record.level, record.text) for record in records} == {(3, "detail")}
    assert records[-1].tick > records[0].tick
    board.stop()


def test_hosted_time_and_ticks(new_board: BoardMaker, make: Maker, until: Until) -> None:
    board = running(new_board(), until, make("TICKS=7"))
    board.set_forces({object_.ORDER: object_.SET_TIMER})  # would signal a thread that is not there
    ticks = set()

    def all_ticks() -> bool:
        tick, count, now, clock = values(
            board, object_.TICK, object_.COUNT, object_.NOW, object_.CLOCK
        )
        ticks.add(tick)
        assert abs(time.monotonic_ns() - now) < 10_000_000_000
        assert now <= clock
        return count > 20 and ticks == set(range(7))

    until(all_ticks)
    figures = board.statistics()
    assert figures.ticks > 20
    assert figures.period_ns == 1_000_000
    board.stop()


def test_hosted_ticks_that_are_skipped_count(
    new_board: BoardMaker, make: Maker, until: Until
) -> None:
    board = running(new_board(), until, make())
    board.set_forces({object_.ORDER: object_.REST_5_MS})
    until(lambda: board.statistics().skipped > 10)
    board.stop()
    tick, count = values(board, object_.TICK, object_.COUNT)
    assert tick == count + board.statistics().skipped


def test_hosted_process_image(new_board: BoardMaker, make: Maker, until: Until) -> None:
    name = f"beremiz-{os.getpid()}"
    board = new_board(io=f"sim:{name}")
    plant = Plant(name)
    plant.write_inputs(4, b"\xcd\xab")
    running(board, until, make())
    until(lambda: values(board, object_.INPUT_SEEN) == [0xABCD])
    lamps = set()
    until(lambda: lamps.add(plant.read_outputs(0, 1)[0]) or lamps == {0, 2})  # type: ignore[func-returns-value]
    board.set_forces({object_.LAMP: b"\1", object_.INPUT: b"\1\0"})
    until(lambda: values(board, object_.INPUT_SEEN) == [1])
    assert all(plant.read_outputs(0, 1) == b"\2" for _ in range(50))
    board.stop()
    plant.close()


REFUSED = {
    "LogMessage=elsewhere": "exports startPLC, but no LogMessage: it is no whole PLC object",
    "BAD_TYPE": "variable 25 of the object has no known type",
    "BAD_ADDRESS": "variable 25 .* does not lie in its memory",
    "THREAD_LOCAL": "thread-local storage",
    "UNSERVED": "undefined symbol: __QD1_2 .no extension of the project serves this",
}
NOT_HOSTED = {
    "__run=elsewhere": 'exports no __run, so the runtime cannot run its cycle: .* "own"',
    "XENOMAI": 'was built for Xenomai, .* "own"',
    "-Wl,-Bsymbolic": 'cannot be replaced .* "own"',
}


@BOTH
@pytest.mark.parametrize("word", REFUSED)
def test_refused(new_board: BoardMaker, make: Maker, word: str, own_cycle: bool) -> None:
    board = new_board(own_cycle=own_cycle)
    with pytest.raises(ImageError, match=REFUSED[word]):
        board.load(make(word), ID)
    assert board.state == BoardState.EMPTY


@pytest.mark.parametrize("word", NOT_HOSTED)
def test_what_cannot_be_hosted_runs_its_own_cycle(
    new_board: BoardMaker, make: Maker, until: Until, word: str
) -> None:
    board = new_board()
    with pytest.raises(ImageError, match=NOT_HOSTED[word]):
        board.load(make(word), ID)
    board.close()
    running(new_board(own_cycle=True), until, make(word)).stop()


def test_a_cycle_that_is_too_short(new_board: BoardMaker, make: Maker) -> None:
    with pytest.raises(ImageError, match="cycle is 1000 ns, it must be 20000 ns to 366 days"):
        new_board().load(make("PERIOD_NS=1000"), ID)


def test_a_cycle_that_is_not_told(new_board: BoardMaker, make: Maker) -> None:
    # What the object then takes itself.
    assert new_board().load(make("PERIOD_NS=0"), ID).tasks[0].interval_ns == 1_000_000


@BOTH
def test_an_init_that_refuses(new_board: BoardMaker, make: Maker, own_cycle: bool) -> None:
    board = new_board(own_cycle=own_cycle)
    board.load(make("REFUSE=5"), ID)
    with pytest.raises(ProgramFault, match="init returned 5"):
        board.start()
    assert board.state == BoardState.STOPPED


def test_an_own_cycle_leaves_the_signal_handlers_alone(
    new_board: BoardMaker, make: Maker, until: Until
) -> None:
    taken = []
    numbers = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.signal(number, lambda number, _: taken.append(number)) for number in numbers]
    try:
        board = running(new_board(own_cycle=True), until, make())
        os.kill(os.getpid(), signal.SIGINT)  # the object's handler would end the process
        until(lambda: taken == [signal.SIGINT])
        board.stop()
        for number in numbers[1:]:
            os.kill(os.getpid(), number)
        until(lambda: taken == [*numbers])
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_what_an_own_cycle_does_not_offer(new_board: BoardMaker, make: Maker, until: Until) -> None:
    board = running(new_board(own_cycle=True), until, make())
    assert not board.real_time
    assert "without watchdog, statistics and containment" in board.scheduling
    with pytest.raises(StateError, match="runs its own cycle"):
        board.statistics()
    limits = "it traces 1024 in 4095 bytes and forces 256"
    with pytest.raises(VariableError, match=limits):
        board.set_trace([object_.BIT] * 1025)
    with pytest.raises(VariableError, match=limits):
        board.set_trace([object_.TEXT] * 33)
    with pytest.raises(VariableError, match="there is no variable 25"):
        board.set_trace([25])
    with pytest.raises(VariableError, match="there is no variable 25"):
        board.set_forces({25: b"\0"})
    board.set_trace([object_.BIT] * 1024)
    board.set_forces({object_.BIT: b"\0"})
    until(lambda: values(board, object_.BIT) == [0])
    for _ in range(2):  # while it runs, and while it does not
        with pytest.raises(VariableError, match=limits):  # with the traced ones it is one too many
            board.set_forces({object_.BIT: b"\0", object_.A_SINT: b"\0"})
        if board.state == BoardState.RUNNING:
            board.stop()


def test_orders_before_the_start_hold_after_it(
    new_board: BoardMaker, make: Maker, until: Until
) -> None:
    board = new_board(own_cycle=True)
    board.load(make(), ID)
    board.set_forces({object_.AN_INT: b"\7\0"})
    generation = board.set_trace([object_.AN_INT])
    board.start()
    until(lambda: b"\7\0" in board.read_trace(generation, 1 << 16, 0.1))
    board.stop()


def test_own_and_hosted_in_one_process(new_board: BoardMaker, make: Maker, until: Until) -> None:
    for own_cycle in (False, True, False):
        board = running(new_board(own_cycle=own_cycle), until, make())
        board.stop()
        said = {text for _, text in texts(board.drain_log())}
        assert ("own retain" in said) is own_cycle
        board.close()
