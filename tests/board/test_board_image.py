# SPDX-License-Identifier: MIT
"""Which files are refused as images, and with what sentence."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serial_runtime import get_include
from serial_runtime.board import Board, BoardState, Task
from serial_runtime.errors import ImageError, NewProcessNeeded

# The fixtures of conftest.py.
BoardMaker = Callable[..., Board]
ImageMaker = Callable[..., str]
Until = Callable[[Callable[[], object]], None]

IMAGES = Path(__file__).resolve().parent / "images"

REFUSED = {
    "WRONG_ABI": "ABI version 7, this runtime runs version 1",
    "SYMBOL=something_else": "does not export sr_plc_image",
    "MAGIC=1": "not a program table",
    "VARIABLE_SIZE=8": "sizes are those of no ABI version",
    "VARIABLE_SIZE=1000001": "sizes are those of no ABI version",
    "TASK_SIZE=16": "sizes are those of no ABI version",
    "TASK_SIZE=1000001": "sizes are those of no ABI version",
    "NAME=0": "no name",
    "INIT=0": "init or fini is not a function",
    "TASKS=0": "has 0 tasks; it needs 1 to 32",
    "TASKS=30": "task list is not inside|has no name or no function",
    "MANY_TASKS": "has 33 tasks",
    "NO_INTERVAL": "task MAIN has an interval of 0 ns",
    "INTERVAL=31622400000000001": "task MAIN has an interval of 31622400000000001 ns",
    "ODD_INTERVALS": "common divisor of 1 ns",
    "NO_RUN": "task 0 has no name or no function",
    "NO_TASK_NAME": "task 0 has no name or no function",
    "DATA_AS_CODE": "task 0 has no name or no function",
    "VARIABLES=4000000": "variable table is not inside the image",
    "DUPLICATE": "two variables have the path NUMBER",
    "NO_PATH": "variable 1 has no path",
    "EMPTY_PATH": "variable 1 has no path",
    "WILD_PATH": "variable 1 has no path",
    "BAD_TYPE": "variable X has unknown type 77",
    "BAD_DIRECTION": "variable X has unknown type 4 or direction 9",
    "NO_ADDRESS": "variable X is not in the image's memory",
    "NO_FLAGS": "variable X is not in the image's memory",
    "CONSTANT": "variable X is not in the image's memory",
    "NO_CAPACITY": "variable X has an impossible string capacity",
    "NUMBER_CAPACITY": "variable X has an impossible string capacity",
    'LOCATION="%XW1"': '"%XW1" is not a location',
    'LOCATION="%QW"': '"%QW" is not a location',
    'LOCATION="%IW1"': "%IW1 is in another area",
    'LOCATION="%QD1"': "a INT does not fit %QD1",
    'LOCATION="%QX1.1"': "a INT does not fit",
    'LOCATION="%QW512"': "beyond the process image of 1024 bytes",
    "WILD_LOCATION": "the location of variable X is not inside the image",
    "LOCATED_TEXT": "a STRING does not fit %QB0",
    "NO_DIRECTION": "variable X has a direction without a location or the reverse",
    "NO_LOCATION": "variable X has a direction without a location or the reverse",
    "TLS": "thread-local storage",
    "UNDEFINED": "the loader refuses the image.*not_there",
    "TABLE_SIZE=72": "sizes are those of no ABI version",
    "OWNER=2": "variable X belongs to task 2 of 1",
}

GOOD = "SR_COPY(all.number, elsewhere)"
COPIES = {
    "SR_COPY(all.number, all.number)": "copy from NUMBER to NUMBER stays within one task",
    "SR_COPY(all.flag, elsewhere)": r"copy from FLAG to B stays within one task \(BESIDE\)",
    "SR_COPY(elsewhere, all.word)": r"from B to WORD changes the type \(DINT to INT\)",
    "SR_COPY(all.text, longer)": r"from T10 to T20 changes the type \(STRING to STRING\)",
    "SR_COPY(all.number, other)": "from NUMBER to I would overwrite a process input",
    "SR_COPY(constant, elsewhere)": "copy 0: what it copies from has no row",
    "SR_COPY(all.number, constant)": "copy 0: what it copies to has no row",
    f"{GOOD}, {{8, 0}}": "copy 1: what it copies from has no row",
    f"{GOOD}, {GOOD}": "two copies go to B",
    f"{GOOD} -DCOPIES=1000000": "table of copies is not inside the image",
    f"{GOOD} -DCOPY_SIZE=8": "table of copies is not inside the image",
    f"{GOOD} -DCOPY_SIZE=1000001": "table of copies is not inside the image",
    f"{GOOD} -DSHARED_MEMORY": "(B and ALIAS|ALIAS and B) share memory.*tasks .*and.*SR_COPY",
    f"{GOOD} -DOVERLAP": "B and PART share memory, and belong to the tasks BESIDE and THIRD",
}


@pytest.mark.parametrize("copies", COPIES)
def test_copies_between_tasks(new_board: BoardMaker, image: ImageMaker, copies: str) -> None:
    rows, *options = copies.split(" -D")
    with pytest.raises(ImageError, match=COPIES[copies]):
        new_board().load(image("refused", f"COPY={rows}", *options, "-Wno-int-conversion"))


def test_an_image_from_before_there_were_copies(new_board: BoardMaker, image: ImageMaker) -> None:
    board = new_board()
    # Were the rest of the table looked at, this one would be refused.
    board.load(image("refused", "COPY=SR_COPY(constant, constant)", "TABLE_SIZE=80"))
    board.load(image("refused", f"COPY={GOOD}"))


@pytest.mark.parametrize("define", REFUSED)
def test_refused(new_board: BoardMaker, image: ImageMaker, define: str) -> None:
    board = new_board()
    with pytest.raises(ImageError, match=REFUSED[define]):
        board.load(image("refused", define))
    assert board.state == BoardState.EMPTY


def test_without_a_mistake_it_is_accepted(new_board: BoardMaker, image: ImageMaker) -> None:
    assert new_board().load(image("refused")).name == "refused"


def test_an_image_whose_only_data_is_read_only(new_board: BoardMaker, image: ImageMaker) -> None:
    board = new_board()
    board.load(image("constant", "-nostartfiles"))
    for _ in range(2):
        board.start()
        board.stop()


def test_a_variable_that_outlives_its_image(
    new_board: BoardMaker, until: Until, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    source, built = IMAGES / "unique.cpp", tmp_path / "unique.so"
    command = ["g++", "-std=c++20", "-Wall", "-Wextra", "-fPIC", "-shared", f"-I{get_include()}"]
    subprocess.run([*command, "-fgnu-unique", str(source), "-o", str(built)], check=True)
    board = new_board()
    for path in (tmp_path / "first.so", tmp_path / "second.so"):
        shutil.copy(built, path)
    board.load(str(tmp_path / "first.so"))
    for least in (1, 2):  # a start is a cold start for such a variable, too
        board.start()
        until(lambda least=least: int.from_bytes(board.read([0])[1], "little") >= least)
        board.stop()
    board.unload()
    assert str(tmp_path / "first.so") in Path("/proc/self/maps").read_text()
    # The loader would give the second one the variable of the first.
    with pytest.raises(NewProcessNeeded, match=r"value of \w*count\w* .*-fno-gnu-unique"):
        board.load(str(tmp_path / "second.so"))
    assert board.state == BoardState.EMPTY
    subprocess.run([*command, "-fno-gnu-unique", str(source), "-o", str(built)], check=True)
    assert board.load(str(built)).name == "unique"


@pytest.mark.parametrize("length", [0, 255, 300])
def test_a_string_longer_than_its_length_byte_can_tell_does_not_compile(length: int) -> None:
    done = subprocess.run(
        ["gcc", f"-I{get_include()}", "-fsyntax-only", "-xc", "-"],
        input=f'#include "plc_abi.h"\nstatic SR_STRING({length}) text;\n',
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is negative" in done.stderr


def test_longer_rows_of_a_later_runtime(new_board: BoardMaker, image: ImageMaker) -> None:
    board = new_board()
    loaded = board.load(image("long_rows"))
    assert [row.path for row in loaded.variables] == ["A", "B"]
    assert loaded.tasks == (Task("MAIN", 1_000_000, 0), Task("SLOW", 2_000_000, 1))
    board.start()
    assert board.read([1, 0])[1] == struct.pack("<ii", 22, 11)
    board.stop()


ELF64, ELF32 = 2, 1
MACHINES = {3: "32-bit x86", 40: "32-bit ARM", 62: "64-bit x86", 183: "64-bit ARM"}


@pytest.mark.parametrize("machine", MACHINES)
def test_another_processor(new_board: BoardMaker, image: ImageMaker, machine: int) -> None:
    path = Path(image("basic"))
    content = bytearray(path.read_bytes())
    own = int.from_bytes(content[18:20], "little")
    if machine == own:
        machine = 243  # RISC-V
    content[18:20] = machine.to_bytes(2, "little")
    content[4] = ELF32 if machine in (3, 40) else ELF64
    path.write_bytes(content)
    expected = f"is for {MACHINES.get(machine, '64-bit RISC-V')}, this board runs"
    with pytest.raises(ImageError, match=expected):
        new_board().load(str(path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "not an ELF"), (b"MZ not this one", "not an ELF"), (b"\x7fELF", "is for")],
)
def test_no_image_at_all(
    new_board: BoardMaker, tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=sentence):
        new_board().load(str(path))


def test_an_executable_is_no_image(new_board: BoardMaker, image: ImageMaker) -> None:
    path = Path(image("basic"))
    content = bytearray(path.read_bytes())
    content[16:18] = (1).to_bytes(2, "little")  # ET_REL
    path.write_bytes(content)
    with pytest.raises(ImageError, match="not a shared object"):
        new_board().load(str(path))


def test_missing_and_cut_files(new_board: BoardMaker, image: ImageMaker, tmp_path: Path) -> None:
    board = new_board()
    with pytest.raises(ImageError, match="cannot read the image: No such file"):
        board.load(str(tmp_path / "none"))
    path = Path(image("basic"))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match="the image file is cut short"):
        board.load(str(path))


def test_the_same_path_may_come_again_only_when_it_was_unmapped(
    new_board: BoardMaker, image: ImageMaker
) -> None:
    board = new_board()
    path = image("basic")
    board.load(path)
    with pytest.raises(ImageError, match="already mapped"):
        board.load(path)
    board.unload()
    assert path not in Path("/proc/self/maps").read_text()
    board.load(path)


def test_a_path_without_a_slash_is_in_this_folder(
    new_board: BoardMaker, image: ImageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(image("basic"))
    monkeypatch.chdir(path.parent)
    assert new_board().load(path.name).name == "basic"
