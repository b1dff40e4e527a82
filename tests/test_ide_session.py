# SPDX-License-Identifier: MIT
"""The calls of an IDE in the order of its buttons, to the runtime itself and through a bridge."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from erpc import Reference
from stock_ide import Ide

from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.line import Conditions, VirtualCable
from serial_runtime.rpc.ide.common import Status

WaitFor = Callable[[Callable[[], object]], None]
ARM, COUNT, ELAPSED, STATE = range(4)
SUSPENDED, NO_SUCH_VARIABLE, WRONG_SIZE = -5, -4, -3
INFO = 2  # log level


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("armed")
    source = Path(__file__).parent / "images" / "armed.c"
    build([source], folder / "i.so", include_dirs=[get_include()])
    return (folder / "i.so").read_bytes()


class Place:
    """A runtime, and the TCP port where IDEs reach it."""

    def __init__(self) -> None:
        self.port = 0
        self.opened = ExitStack()

    def run(self, *words: str) -> list[str]:
        """A command that prints READY and then its URIs; it ends with the place."""
        process = subprocess.Popen(
            [sys.executable, "-m", "serial_runtime", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def end() -> None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0

        self.opened.callback(end)
        assert process.stdout is not None
        word, *uris = process.stdout.readline().split()
        assert word == "READY"
        return uris

    def ide(self) -> Ide:
        ide = Ide(self.port)
        self.opened.callback(ide.close)
        return ide


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Place]:
    place = Place()
    with place.opened:
        (uri,) = place.run("serve", "--tcp", "127.0.0.1:0", "--dir", str(tmp_path / "plc"))
        place.port = int(uri.rpartition(":")[2])
        yield place


@pytest.fixture(params=["runtime", "bridge"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "runtime":
        yield request.getfixturevalue("runtime")
        return
    place = Place()
    with VirtualCable(115200, tmp_path / "cable", seed=4) as cable, place.opened:
        cable.set_conditions("both", Conditions(ber=5e-5))
        place.run("serve", "--port", cable.board_end, "--dir", str(tmp_path / "plc"))
        (uri,) = place.run("bridge", f"ERPC://{cable.host_end}", "--listen", "127.0.0.1:0")
        place.port = int(uri.rpartition(":")[2])
        yield place


def count_of(values: bytes) -> int:
    number: int = struct.unpack_from("<i", values)[0]
    return number


class Watch:
    """The samples of one trace list, fetched as the debugger does."""

    def __init__(self, ide: Ide, *indices: int, **forced: bytes) -> None:
        self.ide, self.token = ide, ide.watch(*indices, **forced)
        self.samples: list[tuple[int, bytes]] = []
        assert self.token > 0

    def more(self, count: int) -> bool:
        status, samples = self.ide.traces(self.token)
        assert status == Status.Started
        self.samples += samples
        return len(self.samples) >= count


def test_a_session(place: Place, image: bytes, wait_for: WaitFor) -> None:
    ide = place.ide()
    # Connect.
    assert ide.calls.GetPLCID(Reference()) == 2
    assert not ide.matches(image)
    assert ide.status() == Status.Empty
    # Transfer, with a file that belongs to the program; and again, the same.
    for _ in range(2):
        assert ide.transfer(image, **{"table.csv": b"1,2"})
        assert ide.matches(image)
        wait_for(lambda: ide.status() == Status.Stopped)
    # Run. Pressed twice it is refused, and the log says why.
    assert ide.start() == 0
    assert ide.start() != 0
    wait_for(lambda: ide.status() == Status.Started)
    wait_for(lambda: "start refused: the PLC is started already" in ide.log())
    # Debug: values packed in the order of the indices, every sample with its tick.
    watch = Watch(ide, COUNT, ELAPSED, STATE)
    wait_for(lambda: watch.more(20))
    for tick, values in watch.samples:
        count, seconds, nanoseconds, length = struct.unpack_from("<iqqB", values)
        assert seconds * 10**9 + nanoseconds == count * 5_000_000
        assert values[21:] == (b"odd" if count % 2 else b"even")
        assert length == len(values) - 21
        assert count in (tick, tick + 1)
    # Force and release; each is a new list, and the token of the old one is worth nothing.
    forced = Watch(ide, COUNT, v1=struct.pack("<i", -7))
    wait_for(lambda: forced.more(1) and count_of(forced.samples[-1][1]) == -7)
    assert ide.traces(watch.token) == (Status.Broken, [])
    released = Watch(ide, COUNT)
    wait_for(lambda: released.more(1) and count_of(released.samples[-1][1]) > -7)
    # What cannot be traced or forced is refused with a number.
    assert ide.watch(99) == NO_SUCH_VARIABLE
    assert ide.watch(COUNT, v1=b"12") == WRONG_SIZE
    # Suspend.
    assert ide.watch() == SUSPENDED
    assert ide.traces(released.token) == (Status.Broken, [])
    # The log, message by message; beyond its end the connection stays.
    wait_for(lambda: "five" in ide.log(INFO))
    assert ide.calls.GetLogMessage(INFO, 9999, Reference()) == 2
    # Stop, twice.
    assert ide.stop()
    assert not ide.stop()
    wait_for(lambda: ide.status() == Status.Stopped)
    # Disconnect and reconnect.
    ide.close()
    ide = place.ide()
    assert ide.matches(image)
    # Repair.
    assert ide.calls.RepairPLC() == 0
    wait_for(lambda: ide.status() == Status.Empty)
    assert not ide.matches(image)
    assert ide.calls.ResetLogCount() == 0


def test_two_ides(place: Place, image: bytes, wait_for: WaitFor) -> None:
    one, other = place.ide(), place.ide()
    upload = other.upload(b"half a file", "file")
    assert one.transfer(image)
    assert one.start() == 0
    wait_for(lambda: other.status() == Status.Started)
    first = Watch(one, COUNT)
    second = Watch(other, STATE)
    wait_for(lambda: second.more(5))
    if one.traces(first.token)[0] == Status.Started:  # a bridge has lists for each
        wait_for(lambda: first.more(5))
    out = Reference()
    assert other.calls.AppendChunkToBlob(b" and the rest", upload, out) == 0
    assert out.value, "what one IDE uploads is not touched by another's"
    assert other.stop()
    wait_for(lambda: one.status() == Status.Stopped)


def test_a_bad_program_leaves_the_old_one_running(
    place: Place, image: bytes, wait_for: WaitFor
) -> None:
    ide = place.ide()
    assert ide.transfer(image)
    assert ide.start() == 0
    assert not ide.transfer(b"no program")
    assert ide.matches(image)
    wait_for(lambda: ide.status() == Status.Started)
    wait_for(lambda: any("refused" in text or "failed" in text for text in ide.log()))
    assert ide.stop()


def crash(ide: Ide, wait_for: WaitFor) -> None:
    assert ide.start() == 0
    ide.watch(ARM, v0=b"\1")
    wait_for(lambda: ide.status() == Status.Broken)


def test_a_broken_program(place: Place, image: bytes, wait_for: WaitFor) -> None:
    """The runtime executes itself anew after each; the IDE's connection outlives it."""
    ide, other = place.ide(), place.ide()
    assert ide.transfer(image)
    crash(ide, wait_for)
    wait_for(lambda: any("segmentation fault" in text for text in ide.log(0)))
    assert not ide.stop()
    # Repair, transfer, run, with what the IDE offers then.
    assert ide.calls.RepairPLC() == 0
    wait_for(lambda: ide.status() == Status.Empty)
    assert ide.transfer(image)
    crash(ide, wait_for)
    # As the command line does it: transfer and run.
    assert ide.transfer(image)
    wait_for(lambda: ide.status() == Status.Stopped)
    crash(ide, wait_for)
    # Run alone.
    assert ide.start() == 0
    wait_for(lambda: ide.status() == Status.Started)
    again = Watch(ide, COUNT)
    wait_for(lambda: again.more(3))
    assert other.status() == Status.Started
    assert other.stop()
