# SPDX-License-Identifier: MIT
"""Online change of the board's program: what the cycle does, and what becomes of the values."""

from __future__ import annotations

import itertools
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import serial_runtime
from serial_runtime import board_change as change
from serial_runtime.board import Board, BoardState, Image, Variable
from serial_runtime.board_change import Conversion, Phase
from serial_runtime.board_plant import Plant
from serial_runtime.errors import ImageError, ProgramFault, StateError, VariableError

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[[Callable[[], object]], None]

NO_FORCES: Mapping[int, bytes] = MappingProxyType({})


def index(image: Image, path: str) -> int:
    return [variable.path for variable in image.variables].index(path)


def pairs(old: Image, new: Image) -> list[tuple[int, int]]:
    """Variables of the same path, as far as one can become the other."""
    before = {variable.path: variable for variable in old.variables}
    return [
        (before[row.path].index, row.index)
        for row in new.variables
        if row.path in before and change.conversion(before[row.path], row) is not Conversion.NOT
    ]


class Machine:
    """A board that runs version 1."""

    def __init__(self, board: Board, image: ImageMaker, until: Until, *defines: str) -> None:
        self.board = board
        self.until = until
        self._image = image
        self.old = board.load(image("change", *defines))
        self.new = self.old
        board.start()

    def value(self, path: str, form: str, image: Image | None = None) -> int:
        number = index(image or self.new, path)
        found: int = struct.unpack("<" + form, self.board.read([number])[1])[0]
        return found

    def elapsed_ns(self, image: Image) -> int:
        sec, nsec = struct.unpack("<qq", self.board.read([index(image, "DELAY.ET")])[1])
        return int(sec * 10**9 + nsec)

    def ran(self, cycles: int = 3) -> None:
        """So many cycles from now."""
        begin = self.board.read([])[0]
        self.until(lambda: (self.board.read([])[0] - begin) % (1 << 32) >= cycles)

    def prepare(self, *defines: str, probation: int = 1000) -> None:
        self.old = self.new
        self._prepared = defines, probation
        self._prepare()

    def _prepare(self) -> None:
        defines, probation = self._prepared
        self.new = change.open_change(self._image("change", *defines))
        change.rehearse_change(pairs(self.old, self.new), probation)
        self.until(lambda: change.change_state().phase is Phase.READY)

    def make(self, forces: Mapping[int, bytes] = NO_FORCES) -> None:
        self.until(lambda: self._made(forces))

    def _made(self, forces: Mapping[int, bytes]) -> bool:
        """Again, if this machine was too busy to leave a cycle the time."""
        try:
            change.make_change(forces)
        except StateError as error:
            if "no cycle left the time" not in str(error):
                assert "takes" in str(error)  # noqa: PT017
                change.drop_change()  # the rehearsal was held up
                self._prepare()
            return False
        return True

    def change(self, *defines: str, **options: int) -> None:
        self.prepare(*defines, **options)
        self.make()

    def phase(self) -> Phase:
        return change.change_state().phase

    def keep(self) -> None:
        self.until(lambda: change.change_state().cycles_left == 0)
        change.keep_change()

    def logs(self) -> list[str]:
        """What is repeated, once: an init is, when no cycle leaves the time for the switch."""
        said = [record.text for record in self.board.drain_log()]
        return [text for text, _ in itertools.groupby(said)]


@pytest.fixture
def machine(new_board: BoardMaker, image: ImageMaker, until: Until) -> Machine:
    return Machine(new_board(priority=0, watchdog_ns=10**9), image, until)


V2 = "VERSION=2"


def test_values_go_along(machine: Machine) -> None:
    machine.ran(10)
    machine.prepare(V2)
    before = machine.value("COUNTER", "I", machine.old)
    elapsed = machine.elapsed_ns(machine.old)
    machine.make()
    assert machine.phase() is Phase.PROBATION
    after = machine.value("COUNTER", "I")
    assert after > before
    assert elapsed < machine.elapsed_ns(machine.new) < 100 * 10**9
    assert machine.value("DELAY.STATE", "B") == 1  # it still runs
    assert machine.value("SPEED", "i") == -7  # INT became DINT
    assert machine.value("LEVEL", "h") == 5  # DINT does not become INT
    assert machine.value("FRESH", "i") == 42
    assert machine.board.read([index(machine.new, "TEXT")])[1] == b"\x04kept"
    assert machine.value("CYCLES", "I") < after  # a static without a row begins anew
    machine.ran()
    assert machine.value("COUNTER", "I") > after
    machine.board.stop()
    change.drop_change()


def test_ticks_go_on_and_no_cycle_is_left_out(machine: Machine) -> None:
    tick = machine.board.read([])[0]
    machine.change(V2, probation=1)
    ticks, counter = machine.board.read([index(machine.new, "COUNTER")])
    assert ticks > tick
    skipped = machine.board.statistics().skipped
    assert ticks + 1 - skipped <= struct.unpack("<I", counter)[0] <= ticks + 1
    machine.keep()
    assert machine.phase() is Phase.NONE
    assert machine.board.state == BoardState.RUNNING


def test_init_and_fini_of_both(machine: Machine) -> None:
    machine.change(V2, probation=1)
    machine.keep()
    assert machine.logs() == ["first begins", "second begins", "first ends"]
    machine.board.stop()
    assert machine.logs() == ["second ends"]
    machine.board.start()  # the new one is the board's, and begins cold
    assert machine.value("FRESH", "i") == 42
    assert machine.value("SPEED", "i") == 1


def test_a_change_of_a_change(machine: Machine) -> None:
    machine.change(V2, probation=1)
    machine.keep()
    machine.change("VERSION=1", "AGAIN", probation=1)
    machine.keep()
    assert machine.value("SPEED", "h") == -7 or machine.value("SPEED", "h") == 0
    assert machine.value("CYCLES", "I") < machine.value("COUNTER", "I")


def test_a_hundred_changes(machine: Machine) -> None:
    for number in range(100):
        version = 2 - number % 2
        machine.change(f"VERSION={version}", probation=1)
        machine.keep()
    ticks, counter = machine.board.read([index(machine.new, "COUNTER")])
    skipped = machine.board.statistics().skipped
    assert ticks + 1 - skipped <= struct.unpack("<I", counter)[0] <= ticks + 1
    assert machine.board.state == BoardState.RUNNING


# What taints a process happens in one of its own.
SCRIPT = Path(__file__).parent / "scripts" / "change_back.py"


def story(image: ImageMaker, define: str, *arguments: str) -> dict[str, Any]:
    root = Path(serial_runtime.__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), image("change"), image("change", V2, define), *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        ("CRASH", r"segmentation fault at address 0x8 in run \(task MAIN, tick \d+\)"),
        ("FAULT", r"program fault: enough( in run)? \(task MAIN, tick \d+\)"),
        ("SPIN", r"running longer than the watchdog's 200 ms in run \(task MAIN, tick \d+\)"),
        ("OVERFLOW", r"stack overflow in \w+ \(task MAIN, tick \d+\)"),
    ],
)
def test_a_fault_takes_it_back(image: ImageMaker, define: str, reason: str) -> None:
    told = story(image, define)
    assert re.fullmatch(reason, told["fault"])
    assert "taken back this very moment" in told["read"]
    assert "was taken back" in told["keep"]
    assert told["running"]
    assert told["tainted"]
    before, after, later = told["counters"]
    assert before < after < later  # it went on from where it was
    assert told["ticks"] == sorted(told["ticks"])
    assert told["forced"] == 9
    assert told["text"] == "kept"
    assert "crashed in this process" in told["again"]
    assert "only another process" in told["start"]


def test_an_init_that_crashes_leaves_the_program_alone(image: ImageMaker) -> None:
    told = story(image, "CRASH_INIT")
    assert told["init"].startswith("the new program crashes in its init: segmentation fault")
    assert told["running"]
    assert told["tainted"]
    before, after, later = told["counters"]
    assert before < after < later
    assert "only another process" in told["start"]


def test_a_crash_in_the_middle_of_the_switch(image: ImageMaker) -> None:
    told = story(image, "PROTECT")
    assert told["init"] == "the running program ended before it could be changed"
    assert "segmentation fault" in told["crash"]
    assert told["drop"] == ""
    before, after = told["counters"]  # the old program's, where it ended
    assert before <= after


def test_stopped_before_anybody_saw_that_it_was_taken_back(image: ImageMaker) -> None:
    told = story(image, "CRASH", "stop")
    assert told["fault"].startswith("segmentation fault")
    assert told["logs"] == ["first begins", "second begins"]  # it is not asked anything any more
    assert told["tainted"]
    assert told["state"] == BoardState.STOPPED


def test_an_init_that_refuses(machine: Machine) -> None:
    machine.prepare(V2, "REFUSE")
    with pytest.raises(ProgramFault, match="init returned 3"):
        machine.make()
    change.drop_change()
    assert not machine.board.tainted
    machine.new = machine.old
    machine.change(V2)  # another try is free
    machine.board.stop()
    change.drop_change()


def test_stopped_on_trial_the_old_program_is_back(machine: Machine) -> None:
    machine.change(V2)
    with pytest.raises(StateError, match="runs: stop it"):
        change.drop_change()
    machine.board.stop()
    assert change.drop_change() == ""
    assert machine.logs()[-2:] == ["second ends", "first ends"]
    machine.board.start()
    machine.new = machine.old
    assert machine.value("SPEED", "h") == -7


def test_stopped_on_trial_forces_end_too(machine: Machine) -> None:
    forced = struct.pack("<I", 1000)
    machine.board.set_forces({index(machine.old, "COUNTER"): forced})
    machine.prepare(V2)
    machine.make({index(machine.new, "COUNTER"): forced})
    machine.board.stop()
    change.drop_change()
    machine.board.start()
    machine.new = machine.old
    machine.ran()
    assert machine.value("COUNTER", "I") < 1000
    machine.board.stop()


def test_outputs_of_the_new_program(new_board: BoardMaker, image: ImageMaker, until: Until) -> None:
    name = f"change-{os.getpid()}"
    machine = Machine(new_board(priority=0, io=f"sim:{name}", watchdog_ns=10**9), image, until)
    plant = Plant(name)
    until(lambda: plant.read_outputs(0, 1)[0] & 2)
    machine.change(V2)
    made = machine.board.read([])[0]
    seen = set()

    def far() -> bool:
        outputs = plant.read_outputs(0, 1)[0]
        if plant.tick > made:
            seen.add(outputs)
        return plant.tick > made + 20

    until(far)
    assert seen <= {0, 4}  # the siren is gone, the lamp has another place
    machine.board.stop()
    change.drop_change()
    plant.close()


def test_forces_go_along(machine: Machine) -> None:
    machine.board.set_forces({index(machine.old, "COUNTER"): struct.pack("<I", 1000)})
    machine.prepare(V2)
    new = machine.new
    machine.make({index(new, "COUNTER"): struct.pack("<I", 1000)})
    machine.ran()
    assert machine.value("COUNTER", "I") == 1000
    machine.board.set_forces({})
    machine.ran()
    assert machine.value("COUNTER", "I") > 1000
    machine.board.stop()
    change.drop_change()


def test_a_trace_ends_with_its_program(machine: Machine) -> None:
    generation = machine.board.set_trace([index(machine.old, "COUNTER")])
    machine.until(lambda: machine.board.read_trace(generation, 4096, 0.1))
    machine.change(V2, probation=1)
    generation = machine.board.set_trace([index(machine.new, "COUNTER")])
    data = b""

    def traced() -> bool:
        nonlocal data
        data += machine.board.read_trace(generation, 4096, 0.1)
        return len(data) >= 120

    machine.until(traced)
    ticks = [struct.unpack_from("<I", data, at)[0] for at in range(0, len(data), 12)]
    counts = [struct.unpack_from("<I", data, at)[0] for at in range(8, len(data), 12)]
    assert ticks == sorted(set(ticks))
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    machine.keep()


def test_lists_of_python_end_with_their_program(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    machine = Machine(new_board(priority=0, python=True), image, until)
    before = machine.board.share([index(machine.old, "COUNTER")])
    until(lambda: machine.board.read_shared(before) is not None)
    machine.change(V2, probation=1)
    until(lambda: machine.board.read_shared(before) is None)
    after = machine.board.share([index(machine.new, "SPEED")])
    until(lambda: machine.board.read_shared(after) is not None)
    (shared,) = machine.board.read_shared(after) or ()
    assert shared.value == struct.pack("<i", -7)
    machine.keep()


def test_another_base_tick(new_board: BoardMaker, image: ImageMaker, until: Until) -> None:
    machine = Machine(new_board(priority=0), image, until)
    machine.change(V2, "INTERVAL_NS=5000000", probation=2)
    machine.keep()
    machine.ran(3)
    machine.change("VERSION=1", "INTERVAL_NS=250000", probation=2)
    machine.keep()
    machine.ran(3)
    assert machine.board.state == BoardState.RUNNING


def test_a_long_period_does_not_hold_up_the_switch(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    machine = Machine(new_board(priority=0), image, until, "INTERVAL_NS=400000000")
    machine.prepare(V2)
    machine.make()
    assert machine.phase() is Phase.PROBATION
    machine.board.stop()
    change.drop_change()


def test_a_copy_that_does_not_fit_is_refused(
    new_board: BoardMaker, image: ImageMaker, until: Until
) -> None:
    board = new_board(priority=0)
    board.load(image("many", 'NAME="one"'))
    board.start()
    new = change.open_change(image("many", 'NAME="two"'))
    change.rehearse_change([(row.index, row.index) for row in new.variables], 10)
    until(lambda: change.change_state().phase is Phase.READY)
    with pytest.raises(StateError, match=r"copying the values takes \d+ us, and may take half"):
        change.make_change({})
    change.drop_change()
    assert board.state == BoardState.RUNNING


def test_what_cannot_be(machine: Machine, image: ImageMaker) -> None:
    with pytest.raises(ImageError, match="two variables"):
        change.open_change(image("refused", "DUPLICATE"))
    with pytest.raises(ImageError, match="cannot read"):
        change.open_change("/nowhere.so")
    new = change.open_change(image("change", V2))
    with pytest.raises(StateError, match="another online change is under way"):
        change.open_change(image("change", V2))
    with pytest.raises(StateError, match="ready"):
        change.make_change({})
    with pytest.raises(StateError, match="no online change was made"):
        change.keep_change()
    level = index(machine.old, "LEVEL"), index(new, "LEVEL")
    with pytest.raises(VariableError, match="cannot become"):
        change.rehearse_change([level], 10)
    change.drop_change()
    assert change.drop_change() == ""
    machine.board.stop()
    with pytest.raises(StateError, match="no program is running"):
        change.open_change(image("change", V2))


def test_while_a_change_is_open_nothing_else_is_loaded(machine: Machine, image: ImageMaker) -> None:
    machine.change(V2)
    machine.board.stop()
    with pytest.raises(StateError, match="under way"):
        machine.board.load(image("basic"))
    change.drop_change()
    machine.board.load(image("basic"))


def test_statics_are_told(machine: Machine) -> None:
    assert change.statics() == [("runs", 4)]


def test_conversions() -> None:
    def row(kind: int, capacity: int = 0) -> Variable:
        return Variable(0, "", kind, 0, "", 0, capacity)

    assert change.conversion(row(3), row(4)) is Conversion.WIDER
    assert change.conversion(row(4), row(3)) is Conversion.NOT
    assert change.conversion(row(20, 5), row(20, 5)) is Conversion.SAME
