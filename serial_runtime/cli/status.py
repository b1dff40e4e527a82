# SPDX-License-Identifier: MIT
"""status: who the board is, what it runs and how well."""

from __future__ import annotations

import argparse
import time

from serial_runtime.cli.command import (
    Command,
    counted,
    json_option,
    open_board,
    print_json,
    printable,
)
from serial_runtime.cli.log import LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from serial_runtime.rpc.client import Client


def _gather(board: Client, uri: str) -> dict[str, Any]:

    from serial_runtime.rpc.ide.common import Status

    board.status()  # opens the session
    begin = time.monotonic()
    status = board.status()
    round_trip_s = time.monotonic() - begin
    answer: dict[str, Any] = {
        "uri": uri,
        "ours": board.ours,
        "state": Status(status.status).name,
        "log": dict(zip(LEVELS, status.logcounts, strict=True)),
        "round_trip_ms": round(round_trip_s * 1e3, 2),
    }
    if board.ours:
        answer["board"] = board.capabilities()._asdict()
        answer["program"] = board.program()._asdict()
        _add_threads(board, answer["program"]["tasks"])
        answer["plc"] = board.board_status()._asdict()
        answer["connections"] = _connections(board)
        answer["supervision"] = _supervision(board)
        answer["retain"] = _retain(board)
        answer["change"] = _change(board)
        answer["forced"] = board.forced() if answer["plc"]["forced"] else []
    else:
        answer["board"] = {"id": board.plc_id() or "(no name)"}
    return answer


def _add_threads(board: Client, tasks: list[dict[str, Any]]) -> None:
    """Tell of each task whether it has a thread of its own; a single one has none."""
    from serial_runtime.errors import CallUnsupported

    try:
        figures = board.task_figures()[1:] if len(tasks) > 1 else []
    except CallUnsupported:  # an older runtime
        figures = []
    threads = {one.statistics.name for one in figures if one.statistics.own_thread}
    for task in tasks:
        task["own_thread"] = task["name"] in threads


def _task_text(task: dict[str, Any]) -> str:
    text = f"{task['name']} every {task['interval_ns'] / 1e6:g} ms"
    return f"{text} on a thread of its own" if task["own_thread"] else text


def _connections(board: Client) -> list[dict[str, str]]:

    from serial_runtime.errors import CallUnsupported

    try:
        return [one._asdict() for one in board.connections()]
    except CallUnsupported:  # an older runtime
        return []


def _retain(board: Client) -> dict[str, Any]:

    from serial_runtime.errors import CallUnsupported

    try:
        return board.retain_status()._asdict()
    except CallUnsupported:  # an older runtime
        return {}


def _change(board: Client) -> dict[str, Any]:

    from serial_runtime.errors import CallUnsupported

    try:
        return board.change_status()._asdict()
    except CallUnsupported:  # an older runtime
        return {}


def _supervision(board: Client) -> dict[str, Any]:

    from serial_runtime.errors import CallUnsupported

    try:
        return board.supervision()._asdict()
    except CallUnsupported:  # an older runtime
        return {}


def _crashes(supervision: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines about what went wrong; none when nothing did."""
    lines = []
    if supervision.get("crashes"):
        text = f"{supervision['crashes']} in a row, the last: {supervision['last_crash']}"
        if supervision["safe_mode"]:
            text += "; SAFE MODE: nothing is started by itself, `start` or `load` ends that"
        lines.append(("crashes", text))
    if not supervision.get("guarded", True):
        lines.append(
            ("outputs", "NOT guarded: they stay as they are if the runtime dies; restart it")
        )
    return lines


def _lines(answer: dict[str, Any]) -> list[tuple[str, str]]:
    log = ", ".join(f"{count} {level}" for level, count in answer["log"].items())
    link = f"{answer['uri']}, round trip {answer['round_trip_ms']} ms"
    board = answer["board"]
    if not answer["ours"]:
        return [
            ("board", f"{board['id']}, a stock eRPC server: only the IDE's calls work"),
            ("state", answer["state"]),
            ("log", log),
            ("link", link),
        ]
    plc, program = answer["plc"], answer["program"]
    state = answer["state"] + (f": {plc['fault']}" if plc["fault"] else "")
    tasks = ", ".join(_task_text(task) for task in program["tasks"])
    lines = [
        (
            "board",
            f"{board['id']}, {board['machine']}, {board['backend']}, runtime {board['runtime']}, "
            f"up {plc['uptime_ns'] / 1e9:.0f} s",
        ),
        ("state", state),
        *_crashes(answer["supervision"]),
        ("schedule", plc["scheduling"]),
    ]
    if program["loaded"]:
        lines += [
            ("program", f"{program['name']}, {counted(program['variables'], 'variable')}, {tasks}"),
            ("build", f"{program['build_id']}, md5 {program['md5']}"),
        ]
    else:
        lines.append(("program", "none"))
    if answer["change"].get("state"):
        from serial_runtime.cli.online import summary
        from serial_runtime.rpc.board.common import ChangeStatus

        lines.append(("change", summary(ChangeStatus(**answer["change"]))))
    return [
        *lines,
        ("forced", ", ".join(answer["forced"]) or "nothing"),
        *(("retain", text) for text in _retain_text(answer["retain"])),
        ("traced", f"{plc['traced']} variables, {plc['trace_lost']} ticks lost"),
        ("log", log),
        *(("way in", f"{one['uri']}: {one['state']}") for one in answer["connections"]),
        ("link", f"{link}, window {board['window']}, frames up to {board['max_frame']} bytes"),
    ]


def _retain_text(retain: dict[str, Any]) -> list[str]:
    from serial_runtime.cli.retain import summary

    return [summary(retain)] if retain else []


def _run(arguments: argparse.Namespace) -> int:
    with open_board(arguments) as board:
        answer = _gather(board, arguments.uri)
    if arguments.json:
        print_json(answer)
    else:
        for title, text in _lines(answer):
            print(f"{title:10} {printable(text)}")
    return 0


STATUS = Command(
    _run,
    description="Show who the board is, its program and state (Empty, Stopped, Started, or Broken "
    "and why), which tasks have threads of their own, whether it runs in real time, what is forced "
    "and traced, and the link.",
    example="  serial-runtime status ERPC:///dev/ttyUSB0:115200\n"
    "  serial-runtime status ERPC://plc.local:3000 --json | jq .plc.real_time\n",
    options=json_option,
)
