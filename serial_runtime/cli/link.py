# SPDX-License-Identifier: MIT
"""link: how well the link to a board works, live."""

from __future__ import annotations

import argparse
import sys
import time

from serial_runtime.cli.command import (
    Command,
    baud_rate,
    json_option,
    open_board,
    print_json,
    printable,
    samples,
    sampling_options,
)
from serial_runtime.errors import CallUnsupported
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from serial_runtime.rpc.board.common import LinkStatistics
    from serial_runtime.rpc.client import Client
    from serial_runtime.rpc.link_figures import LinkFigures

_DRIVER = ("rx", "tx", "frame", "overrun", "parity", "brk", "buf_overrun")
_LEAST_LOAD_S = 0.1
_TRY_S = 2.0
_LOST = ("overrun", "buf_overrun", "frame", "parity", "brk")


class Sample(NamedTuple):
    """Both ends at one moment; `up` and `down` since the sample before."""

    time_s: float
    call_s: float  # the last GetPLCstatus, from call to answer
    up_Bps: float
    down_Bps: float
    goodput_Bps: float  # of data, each way; 0 without --load
    host: LinkFigures
    board: LinkStatistics | None  # None: a stock server


class _Watcher:
    """Takes samples."""

    def __init__(self, board: Client, load_s: float) -> None:
        self._board = board
        self._load_s = load_s
        self._begin_s = self._before_s = time.monotonic()
        self._before = board.link.figures

    def sample(self) -> Sample:
        board = self._board
        begin_s = time.monotonic()
        board.status()
        call_s = time.monotonic() - begin_s
        goodput_Bps = 0.0
        if self._load_s:
            from serial_runtime.rpc.line_load import echo_for, echo_size

            goodput_Bps = echo_for(board.link, self._load_s, echo_size(board.link)).goodput_Bps
        far = board.link_statistics() if board.ours else None
        figures, now_s = board.link.figures, time.monotonic()
        took_s = max(now_s - self._before_s, 1e-6)
        sample = Sample(
            now_s - self._begin_s,
            call_s,
            (figures.sent_bytes - self._before.sent_bytes) / took_s,
            (figures.received_bytes - self._before.received_bytes) / took_s,
            goodput_Bps,
            figures,
            far,
        )
        self._before, self._before_s = figures, now_s
        return sample


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def table(name: str, sample: Sample) -> list[str]:
    """The view for a terminal."""
    host, board = sample.host, sample.board
    lines = [
        f"link            {name}, watched for {sample.time_s:.0f} s",
        f"status call     {_ms(sample.call_s)}",
        f"turnaround      {_ms(host.rtt_s)} last, {_ms(host.smoothed_s)} smoothed, "
        f"sent again after {_ms(host.rto_s)}",
        f"line            {sample.up_Bps:.0f} B/s up, {sample.down_Bps:.0f} B/s down",
        *([f"data            {sample.goodput_Bps:.0f} B/s each way"] if sample.goodput_Bps else []),
        f"sent again      {host.retransmissions} of {host.transmissions}",
        f"window          {host.window} calls, chunks of {host.chunk} bytes",
        f"reconnects      {host.reconnects}",
        f"{'':16}{'host':>12}{'board':>12}",
    ]
    for title, field in (
        ("bytes received", "received_bytes"),
        ("bytes sent", "sent_bytes"),
        ("frames", "frames"),
        ("  untrusted", "untrusted_frames"),
        ("wrong headers", "header_errors"),
        ("wrong bodies", "body_errors"),
        ("bytes discarded", "discarded_bytes"),
    ):
        far = "" if board is None else str(getattr(board, field))
        lines.append(f"{title:16}{getattr(host, field):>12}{far:>12}".rstrip())
    if board is not None:
        lines.append(f"sessions        {board.sessions}")
        if board.driver:
            found = dict(zip(_DRIVER, board.driver, strict=True))
            lost = ", ".join(f"{found[one]} {one}" for one in _LOST)
            lines.append(f"board's driver  {lost}")
    return lines


def line(sample: Sample) -> str:
    """The view for a log: one line."""
    host, board = sample.host, sample.board
    text = (
        f"{sample.time_s:8.1f} s  call {_ms(sample.call_s)}, turnaround {_ms(host.smoothed_s)}, "
        f"again {host.retransmissions}/{host.transmissions}, "
        f"up {sample.up_Bps:.0f} B/s, down {sample.down_Bps:.0f} B/s, "
        f"discarded {host.discarded_bytes}"
    )
    if sample.goodput_Bps:
        text = text.replace(", discarded", f", data {sample.goodput_Bps:.0f} B/s, discarded")
    if board is not None:
        text += f"/{board.discarded_bytes} bytes"
    return f"{text}, reconnects {host.reconnects}"


def document(sample: Sample) -> dict[str, Any]:
    """The view for a program."""

    answer: dict[str, Any] = sample._asdict()
    answer["host"] = sample.host._asdict()
    answer["board"] = None if sample.board is None else sample.board._asdict()
    if sample.board is not None:
        answer["board"]["driver"] = dict(zip(_DRIVER, sample.board.driver, strict=False))
    return answer


def _watch(arguments: argparse.Namespace, board: Client) -> int:
    in_place = sys.stdout.isatty() and not arguments.lines and not arguments.json
    load_s = max(arguments.interval, _LEAST_LOAD_S) if arguments.load else 0.0
    watcher = _Watcher(board, load_s)
    shown = notes = 0
    for _ in samples(arguments):
        sample = watcher.sample()
        if arguments.json:
            print_json(document(sample))
        elif in_place:
            rows = table(printable(board.link.transport.name), sample)
            # Below what was told meanwhile, else over the last one.
            up = f"\x1b[{shown}F" if shown and notes == arguments.notes else ""
            notes = arguments.notes
            print(up + "".join(f"\x1b[K{row}\n" for row in rows) + "\x1b[J", end="", flush=True)
            shown = len(rows)
        else:
            print(line(sample), flush=True)
    return 0


def _try_baud(arguments: argparse.Namespace, board: Client) -> int:
    """Measure the line as it is, at the other rate, and leave it as it was."""
    from serial_runtime.rpc.line_load import echo_for, echo_size

    home = board.link_statistics().home_baud
    for baud in (home, int(arguments.try_baud)):
        board.link.run_at(baud)
        before = board.link.figures
        carried = echo_for(board.link, _TRY_S, echo_size(board.link))
        after, far = board.link.figures, board.link_statistics()
        damaged = after.discarded_bytes - before.discarded_bytes
        answer = {
            "baud": baud,
            "goodput_Bps": round(carried.goodput_Bps, 1),
            "turnaround_s": after.smoothed_s,
            "again": carried.again,
            "discarded_bytes": damaged,
        }
        if arguments.json:
            print_json({**answer, "driver": dict(zip(_DRIVER, far.driver, strict=False))})
        else:
            print(
                f"{baud:8} baud: data {carried.goodput_Bps:.0f} B/s each way, turnaround "
                f"{_ms(after.smoothed_s)}, sent again {carried.again}, discarded {damaged} bytes",
                flush=True,
            )
    board.link.run_at(home)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    try:
        with open_board(arguments) as board:
            if (arguments.try_baud or arguments.load) and not board.ours:
                raise CallUnsupported("the peer is a stock server, which has no call for this")
            return (_try_baud if arguments.try_baud else _watch)(arguments, board)
    except KeyboardInterrupt:
        if arguments.count is None:  # the way to end it
            return 0
        raise


def _options(parser: argparse.ArgumentParser) -> None:
    sampling_options(parser)
    parser.add_argument(
        "--load", action="store_true", help="keep the line full meanwhile, and show what it carries"
    )
    parser.add_argument(
        "--try-baud",
        type=baud_rate,
        default=0,
        metavar="N",
        help="instead: measure the line as it is and at N baud, and leave it as it was",
    )
    json_option(parser, "print one JSON document a line")


LINK = Command(
    _run,
    description="Watch the link to a board: round-trip time and when a call is repeated, calls "
    "sent again, bytes a second, window and chunk size, reconnects, and for both ends what "
    "arrived damaged or was lost. Each sample makes two calls. On a terminal the view "
    "refreshes in place; elsewhere each sample is a line. A higher rate that --try-baud finds "
    "good is used for a whole session with ?fast=N behind the URI.",
    example="  serial-runtime link ERPC:///dev/ttyUSB0:115200\n"
    "  serial-runtime link ERPC:///dev/ttyUSB0:115200 --json --count 60 > link.jsonl\n"
    "  serial-runtime link ERPC:///dev/ttyUSB0:115200 --try-baud 921600\n",
    options=_options,
)
