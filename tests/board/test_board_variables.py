# SPDX-License-Identifier: MIT
"""Tracing, forcing and reading: every type, in the middle of a cycle, inputs and outputs."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Callable, Iterator

import pytest

from serial_runtime.board import Board
from serial_runtime.board_plant import Plant
from serial_runtime.errors import BoardError, StateError, VariableError

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[[Callable[[], object]], None]

SECOND = 1_000_000_000


def time_wire(ns: int) -> bytes:
    return struct.pack("<qq", ns // SECOND, ns % SECOND)


def text_wire(text: bytes) -> bytes:
    return bytes([len(text)]) + text


# In table order: what the program writes, and what the test forces.
TYPES: list[tuple[str, bytes, bytes]] = [
    ("BOOL", b"\x01", b"\x00"),
    ("SINT", struct.pack("<b", -128), struct.pack("<b", 127)),
    ("INT", struct.pack("<h", -32768), struct.pack("<h", 32767)),
    ("DINT", struct.pack("<i", -(1 << 31)), struct.pack("<i", 123456789)),
    ("LINT", struct.pack("<q", -(1 << 63)), struct.pack("<q", (1 << 63) - 1)),
    ("USINT", b"\xff", b"\x80"),
    ("UINT", struct.pack("<H", 65535), struct.pack("<H", 0x8001)),
    ("UDINT", struct.pack("<I", (1 << 32) - 1), struct.pack("<I", 0x80000001)),
    ("ULINT", struct.pack("<Q", (1 << 64) - 1), struct.pack("<Q", 0x8000000000000001)),
    ("BYTE", b"\xa5", b"\x5a"),
    ("WORD", struct.pack("<H", 0xA55A), struct.pack("<H", 0x5AA5)),
    ("DWORD", struct.pack("<I", 0xDEADBEEF), struct.pack("<I", 0xCAFEBABE)),
    ("LWORD", struct.pack("<Q", 0x0123456789ABCDEF), struct.pack("<Q", 0xFEDCBA9876543210)),
    ("REAL", struct.pack("<f", 1.5), struct.pack("<f", float("-inf"))),
    ("LREAL", struct.pack("<d", -1e300), struct.pack("<d", 2.5e-308)),
    ("TIME", time_wire(-1), time_wire(3_600_000_000_001)),
    ("DATE", time_wire(19000 * 86400 * SECOND), time_wire(20000 * 86400 * SECOND)),
    ("TOD", time_wire(86399999999999), time_wire(0)),
    ("DT", time_wire(1700000000123456789), time_wire(-5 * SECOND - 5)),
    ("STRING", text_wire(b"this is longer than "), text_wire(b"forced")),
    ("LONG_STRING", text_wire(b"short"), text_wire(b"x" * 254)),
]
ALL = range(len(TYPES))
WRITTEN = b"".join(written for _, written, _ in TYPES)
FORCED = b"".join(forced for _, _, forced in TYPES)


def records(packed: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(packed):
        tick, length = struct.unpack_from("<II", packed, at)
        yield tick, packed[at + 8 : at + 8 + length]
        at += 8 + length
    assert at == len(packed)


@pytest.fixture
def types(new_board: BoardMaker, image: ImageMaker) -> Board:
    board = new_board()
    loaded = board.load(image("types"))
    assert [row.path for row in loaded.variables] == [name for name, _, _ in TYPES]
    assert [row.type for row in loaded.variables] == [*range(1, 21), 20]
    assert [row.capacity for row in loaded.variables][-2:] == [20, 254]
    return board


def test_every_type_is_traced_and_read(types: Board, until: Until) -> None:
    generation = types.set_trace(ALL)
    types.start()
    until(lambda: types.read([0])[1] == b"\x01")
    packed = types.read_trace(generation, 1 << 16, 10)
    for _, sample in records(packed):
        assert sample == WRITTEN
    assert types.read(ALL)[1] == WRITTEN
    assert types.read([3, 3, 0])[1] == TYPES[3][1] * 2 + b"\x01"
    assert types.read([])[1] == b""


def test_every_type_is_forced_against_the_program(types: Board, until: Until) -> None:
    generation = types.set_trace(ALL)
    types.start()
    types.set_forces({index: TYPES[index][2] for index in ALL})
    until(lambda: types.read(ALL)[1] == FORCED)
    first, _ = types.read([])
    seen: dict[int, bytes] = {}
    while max(seen, default=0) < first + 20:
        seen.update(records(types.read_trace(generation, 1 << 16, 10)))
    # The program wrote in every one of these cycles.
    assert {sample for tick, sample in seen.items() if tick >= first} == {FORCED}
    types.set_forces({})
    until(lambda: types.read(ALL)[1] == WRITTEN)


def test_every_type_is_forced_while_nothing_runs(types: Board) -> None:
    types.set_forces({index: TYPES[index][2] for index in ALL})
    assert types.read(ALL) == (0, FORCED)
    types.start()
    types.stop()  # releases


@pytest.mark.parametrize(
    ("index", "wire", "stored"),
    [
        (15, struct.pack("<ii", -2, 5), struct.pack("<qq", -2, 5)),
        (19, text_wire(b"abc") + bytes(123), text_wire(b"abc")),
        (20, text_wire(b"y" * 126), text_wire(b"y" * 126)),
    ],
    ids=["TIME of 8 bytes", "STRING of 127 bytes", "a long STRING of 127 bytes"],
)
def test_the_forms_an_ide_sends(types: Board, index: int, wire: bytes, stored: bytes) -> None:
    types.set_forces({index: wire})
    assert types.read([index])[1] == stored


@pytest.mark.parametrize(
    ("index", "wire", "sentence"),
    [
        (21, b"\x00", "no variable 21: the program has 21"),
        (-1, b"\x00", "no variable -1"),
        (1 << 32, b"\x00", "no variable 4294967296"),
        (3, b"\x00" * 3, "a value of 3 bytes does not fit DINT"),
        (3, b"", "a value of 0 bytes does not fit DINT"),
        (0, b"\x00\x00", "a value of 2 bytes does not fit BOOL"),
        (15, b"\x00" * 12, "a value of 12 bytes does not fit TIME"),
        (15, struct.pack("<qq", 1 << 62, 0), "the time for TIME is out of range"),
        (19, text_wire(b"z" * 21), "the text for STRING is longer than its 20 characters"),
        (19, b"\x05abc", "a value of 4 bytes does not fit STRING"),
    ],
)
def test_a_bad_force_changes_nothing(types: Board, index: int, wire: bytes, sentence: str) -> None:
    types.set_forces({3: TYPES[3][2]})
    with pytest.raises(VariableError, match=sentence):
        types.set_forces({2: TYPES[2][2], index: wire})
    assert types.read([2, 3])[1] == b"\x00\x00" + TYPES[3][2]


def test_bad_indices(types: Board) -> None:
    for bad in ([21], [0, 1 << 31], [-1]):
        with pytest.raises(VariableError, match="there is no variable"):
            types.read(bad)
        with pytest.raises(VariableError, match="there is no variable"):
            types.set_trace(bad)
    with pytest.raises(VariableError, match="choose fewer"):
        types.read([20] * 500)


def test_without_a_program_there_are_no_variables(new_board: BoardMaker) -> None:
    board = new_board()
    board.set_trace([])
    board.set_forces({})
    assert board.read([]) == (0, b"")
    with pytest.raises(VariableError):
        board.read([0])
    with pytest.raises(VariableError):
        board.set_forces({0: b"\x00"})


INTERNAL, SEEN, STUBBORN, SEEN_AT_START, INPUT, OUTPUT, SWITCH, LAMP, COUNTER, NEGATIVE, TEXT = (
    range(11)
)
NAMES = (f"test-{os.getpid()}-{number}" for number in itertools.count())


@pytest.fixture
def plant_board(new_board: BoardMaker, image: ImageMaker) -> Iterator[tuple[Board, Plant]]:
    name = next(NAMES)
    board = new_board(io=f"sim:{name}")
    board.load(image("forces"))
    plant = Plant(name)
    yield board, plant
    plant.close()


def word(value: int) -> bytes:
    return struct.pack("<h", value)


def long(value: int) -> bytes:
    return struct.pack("<i", value)


def test_a_forced_variable_ignores_the_program_in_the_middle_of_a_cycle(
    plant_board: tuple[Board, Plant], until: Until
) -> None:
    board, _ = plant_board
    board.start()
    until(lambda: board.read([INTERNAL, SEEN])[1] == long(5) * 2)
    board.set_forces({INTERNAL: long(42), TEXT: text_wire(b"operator")})
    until(lambda: board.read([INTERNAL, SEEN])[1] == long(42) * 2)
    assert board.read([TEXT])[1] == text_wire(b"operator")
    board.set_forces({})
    until(lambda: board.read([INTERNAL, SEEN])[1] == long(5) * 2)
    assert board.read([TEXT])[1] == text_wire(b"program")


def test_a_write_around_the_macros_moves_no_output(
    plant_board: tuple[Board, Plant], until: Until
) -> None:
    board, plant = plant_board
    board.start()
    until(lambda: plant.read_outputs(0, 4) == long(7))
    board.set_forces({STUBBORN: long(99)})
    until(lambda: plant.read_outputs(0, 4) == long(99))
    generation = board.set_trace([STUBBORN, SEEN_AT_START])
    samples = [sample for _, sample in records(board.read_trace(generation, 1 << 16, 10))]
    assert samples
    assert set(samples) == {long(99) * 2}


def test_inputs_and_outputs(plant_board: tuple[Board, Plant], until: Until) -> None:
    board, plant = plant_board
    board.start()
    plant.write_inputs(2, word(1000))
    plant.write_inputs(9, b"\x80")
    until(lambda: plant.read_outputs(6, 4) == word(1001) + b"\x00\x02")
    before = plant.tick
    until(lambda: plant.read_outputs(0, 1) and plant.tick > before)
    plant.write_inputs(9, b"\x7f")
    until(lambda: plant.read_outputs(9, 1) == b"\x00")
    assert board.read([INPUT, SWITCH])[1] == word(1000) + b"\x00"
    board.stop()
    assert plant.read_outputs(0, 1024) == bytes(1024)  # the safe state
    board.start()
    until(lambda: plant.read_outputs(6, 2) == word(1001))


def test_forced_inputs_and_outputs(plant_board: tuple[Board, Plant], until: Until) -> None:
    board, plant = plant_board
    plant.write_inputs(2, word(1))
    board.start()
    board.set_forces({INPUT: word(500), LAMP: b"\x01"})
    until(lambda: plant.read_outputs(6, 4) == word(501) + b"\x00\x02")
    plant.write_inputs(2, word(2))
    until(lambda: board.read([INPUT, OUTPUT])[1] == word(500) + word(501))
    board.set_forces({OUTPUT: word(-1)})
    until(lambda: plant.read_outputs(6, 4) == word(-1) + b"\x00\x00")
    assert board.read([INPUT])[1] == word(2)
    board.stop()
    board.start()  # stop released everything
    until(lambda: plant.read_outputs(6, 2) == word(3))


def test_forces_set_before_the_start_hold_from_the_first_cycle(
    plant_board: tuple[Board, Plant], until: Until
) -> None:
    board, _ = plant_board
    generation = board.set_trace([SEEN])
    board.set_forces({INTERNAL: long(42)})
    board.start()
    [(tick, sample), *_] = records(board.read_trace(generation, 1 << 16, 10))
    assert (tick, sample) == (0, long(42))


def test_a_reading_is_of_one_cycle(plant_board: tuple[Board, Plant], until: Until) -> None:
    board, _ = plant_board
    board.start()
    ticks = set()
    while len(ticks) < 100:
        tick, packed = board.read([COUNTER, NEGATIVE])
        count, negative = struct.unpack("<Ii", packed)
        assert count == -negative
        assert count <= tick + 1
        ticks.add(tick)


def test_a_new_trace_list_starts_a_new_generation(
    plant_board: tuple[Board, Plant], until: Until
) -> None:
    board, _ = plant_board
    board.start()
    old = board.set_trace([COUNTER])
    assert board.read_trace(old, 1 << 16, 10)
    new = board.set_trace([COUNTER, NEGATIVE])
    assert new != old
    seen: list[tuple[int, bytes]] = []
    while len(seen) < 200:
        seen += records(board.read_trace(new, 1 << 16, 10))
    for _, sample in seen:
        count, negative = struct.unpack("<Ii", sample)
        assert count == -negative
    ticks = [tick for tick, _ in seen]
    gaps = sum(b - a - 1 for a, b in itertools.pairwise(ticks))
    assert gaps <= board.statistics().skipped
    assert board.trace_dropped() == 0
    board.set_trace([])
    until(lambda: board.read_trace(new, 1 << 16, 0) == b"")


def test_a_full_trace_ring_counts_what_it_drops(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board(trace_ring_bytes=4096)
    board.load(image("forces"))
    generation = board.set_trace([COUNTER])
    board.start()
    until(lambda: board.trace_dropped() > 10)
    board.stop()
    ticks = [tick for tick, _ in records(board.read_trace(generation, 1 << 16, 0))]
    figures = board.statistics()
    assert len(ticks) + board.trace_dropped() == figures.ticks


def test_small_and_impossible_buffers(types: Board, until: Until) -> None:
    generation = types.set_trace([3])
    types.start()
    until(lambda: types.read([0])[1] == b"\x01")
    assert len(types.read_trace(generation, 12, 10)) == 12
    assert len(types.read_trace(generation, 30, 10)) in (12, 24)
    with pytest.raises(BoardError, match="longer than 11 bytes"):
        types.read_trace(generation, 11, 10)
    types.set_trace([])
    assert types.read_trace(generation + 100, 1000, 0.01) == b""


def test_a_plant_and_its_board(new_board: BoardMaker) -> None:
    name = next(NAMES)
    with pytest.raises(BoardError, match="cannot attach"):
        Plant(name)
    board = new_board(io=f"sim:{name}")
    plant = Plant(name)
    with pytest.raises(BoardError, match="cannot attach"):
        Plant(name)
    assert plant.board_open
    for offset, size in ((1024, 1), (0, 1025), (1000, 25)):
        with pytest.raises(BoardError, match="cannot write"):
            plant.write_inputs(offset, bytes(size))
        with pytest.raises(BoardError, match="cannot read"):
            plant.read_outputs(offset, size)
    board.close()
    assert not plant.board_open
    plant.close()
    plant.close()
    with pytest.raises(StateError):
        plant.read_outputs(0, 1)
