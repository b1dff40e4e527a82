# SPDX-License-Identifier: MIT
"""The virtual cable: bytes, pace, and what happens around open, closed and pulled-out ends.

The pace is checked on the clock-free part; how exact the whole is on a given machine belongs to
the benchmarks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.errors import ConfigError, LinkClosed, LinkError
from serial_runtime.line import VirtualCable, _Direction, main
from serial_runtime.transport import Transport
from serial_runtime.transport.serial import open_serial

LONG_S = 20.0


@pytest.fixture(params=[None, 921600.0], ids=["unpaced", "921600"])
def cable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VirtualCable]:
    with VirtualCable(request.param, tmp_path) as cable:
        yield cable


def read(transport: Transport, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = transport.read(LONG_S)
        assert more, f"only {len(data)} bytes arrived"
        data += more
    return data


def both(cable: VirtualCable) -> tuple[Transport, Transport]:
    return open_serial(cable.board_end, 115200), open_serial(cable.host_end, 115200)


def read_through(transport: Transport, last: bytes) -> None:
    """Read until ``last``; what was still under way comes before it."""
    data = b""
    while not data.endswith(last):
        more = transport.read(LONG_S)
        assert more, f"only {data[-40:]!r} arrived"
        data += more


def answered(asking: Transport, answering: Transport) -> None:
    """Bytes pass both ways now."""
    asking.write(b"Ask!")
    read_through(answering, b"Ask!")
    answering.write(b"Answer!")
    read_through(asking, b"Answer!")


def test_bytes_pass_unchanged(cable: VirtualCable) -> None:
    board, host = both(cable)
    data = bytes(range(256)) * 40
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(end.write, data) for end in (board, host)]
        assert read(board, len(data)) == data
        assert read(host, len(data)) == data
        for one in writing:
            one.result(LONG_S)
    board.close()
    host.close()


def test_the_ends_may_be_opened_and_closed_in_any_order(cable: VirtualCable) -> None:
    board, host = both(cable)
    for _ in range(3):
        answered(host, board)
        host.close()
        host = open_serial(cable.host_end, 115200)
        answered(host, board)
        board.close()
        board = open_serial(cable.board_end, 115200)
        answered(board, host)
    board.close()
    host.close()


def test_a_hang_up_is_not_what_an_end_sees_of_the_other_one_closed(cable: VirtualCable) -> None:
    board = open_serial(cable.board_end, 115200)
    assert board.read(0.0) == b""
    board.write(b"nobody hears this" * 5000)
    assert board.read(0.0) == b""
    host = open_serial(cable.host_end, 115200)
    answered(host, board)
    board.close()
    host.close()


def test_a_slow_reader_pushes_back(cable: VirtualCable) -> None:
    """It stops the sender, and nothing is lost."""
    board, host = both(cable)
    data = os.urandom(400_000 if cable.baud is None else 60_000)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(host.write, data)
        first = board.read(LONG_S)
        assert not writing.done()
        assert first + read(board, len(data) - len(first)) == data
        writing.result(LONG_S)
    board.close()
    host.close()


def test_unplug_and_plug(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    for _ in range(3):
        cable.unplug()
        assert not os.path.lexists(cable.board_end)
        assert not os.path.lexists(cable.host_end)
        for end in (board, host):
            with pytest.raises(LinkClosed):
                end.read(LONG_S)
            end.close()
        with pytest.raises(LinkError, match="does not exist"):
            open_serial(cable.host_end, 115200)
        cable.unplug()
        cable.plug()
        cable.plug()
        board, host = both(cable)
        answered(host, board)
    board.close()
    host.close()


def test_one_end_pulled_out(cable: VirtualCable) -> None:
    board, host = both(cable)
    answered(host, board)
    cable.unplug("host")
    with pytest.raises(LinkClosed):
        host.read(LONG_S)
    host.close()
    board.write(b"lost")
    assert board.read(0.0) == b""
    cable.plug("host")
    host = open_serial(cable.host_end, 115200)
    answered(host, board)
    board.close()
    host.close()


def test_close_removes_the_ends(tmp_path: Path) -> None:
    cable = VirtualCable(9600, tmp_path / "new" / "folder")
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["board", "host"]
    board = open_serial(cable.board_end, 9600)
    cable.close()
    cable.close()
    assert os.listdir(tmp_path / "new" / "folder") == []
    with pytest.raises(LinkClosed):
        board.read(LONG_S)
    board.close()
    with pytest.raises(ConfigError, match="the cable is closed"):
        cable.plug()


def test_a_left_over_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "board").symlink_to("/dev/pts/nowhere")
    with VirtualCable(None, tmp_path) as cable:
        open_serial(cable.board_end, 115200).close()


@pytest.mark.parametrize("baud", [0, -9600.0, float("nan")])
def test_rates_that_make_no_sense(baud: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give a positive rate"):
        VirtualCable(baud, tmp_path)


# The pace, without a clock


def test_a_byte_takes_ten_bit_times() -> None:
    line = _Direction(1000.0)
    line.put(b"abcde", 5.0)
    assert [line.due(5.0 + ms / 1000) for ms in (0, 0.9, 1.1, 2.1, 4.9, 5.1, 100)] == [
        0, 0, 1, 2, 4, 5, 5
    ]  # fmt: skip
    assert line.next_s() == pytest.approx(5.001)


def test_an_idle_line_starts_anew_and_a_busy_one_goes_on() -> None:
    line = _Direction(1000.0)
    line.put(b"ab", 1.0)
    line.take(line.due(1.0021))
    line.put(b"cd", 7.0)
    assert line.next_s() == pytest.approx(7.001)
    line.put(b"ef", 7.0015)
    assert line.due(7.0041) == 4


@given(
    st.sampled_from([960.0, 11520.0, 92160.0, 300000.0]),
    st.lists(st.floats(0.00001, 0.02), min_size=5, max_size=60),
)
def test_the_rate_is_exact_however_late_the_cable_wakes(rate: float, naps: list[float]) -> None:
    line = _Direction(rate)
    now_s, delivered, start_s = 100.0, 0, 100.0
    for nap in naps:
        room = line.room - len(line.queue) + line.due(now_s)
        if room > 0:
            line.put(bytes(room), now_s)
        due = line.due(now_s)
        line.take(due)
        delivered += due
        now_s += nap
    carried = (now_s - naps[-1] - start_s) * rate
    assert carried - 1.01 <= delivered <= carried + 0.01


def test_a_full_end_stops_the_line() -> None:
    line = _Direction(1000.0)
    line.put(b"abcdef", 1.0)
    line.take(2)
    line.hold(1.0041)
    assert line.due(1.0045) == 0
    assert line.due(1.0052) == 1


# As a process


def test_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serial_runtime.line", "--baud", "0", "--dir", str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        paths = [process.stdout.readline().strip() for _ in range(3)]
        assert paths == [str(tmp_path / "board"), str(tmp_path / "host"), "READY"]
        board, host = (open_serial(path, 115200) for path in paths[:2])
        answered(host, board)
        for command_line, answer in (
            ("unplug host", "OK"),
            ("plug host", "OK"),
            ("unplug", "OK"),
            ("kick", "commands: plug [board|host], unplug [board|host]"),
        ):
            process.stdin.write(f"{command_line}\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == answer
        for end in (board, host):
            with pytest.raises(LinkClosed):
                end.read(LONG_S)
            end.close()
        process.stdin.close()
        assert process.wait(LONG_S) == 0
    assert os.listdir(tmp_path) == []


def test_sigterm_ends_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serial_runtime.line", "--dir", str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        while process.stdout.readline().strip() != "READY":
            assert process.poll() is None
        process.terminate()
        assert process.wait(LONG_S) == 0
    assert os.listdir(tmp_path) == []


def test_a_second_cable_does_not_take_the_ends_of_the_first(tmp_path: Path) -> None:
    with VirtualCable(None, tmp_path) as cable:
        device = os.readlink(cable.host_end)
        with pytest.raises(ConfigError, match="another cable"):
            VirtualCable(None, tmp_path)
        assert os.readlink(cable.host_end) == device
    VirtualCable(None, tmp_path).close()


@pytest.mark.parametrize("words", [["--baud", "-5"], ["--baud", "nan"], ["--baud", "inf"]])
def test_a_wrong_rate_is_wrong_usage(tmp_path: Path, capsys, words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--dir", str(tmp_path), *words])
    assert end.value.code == 2
    assert "give a positive rate" in capsys.readouterr().err
