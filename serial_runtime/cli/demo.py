# SPDX-License-Identifier: MIT
"""demo: the whole way of a program, over a virtual serial cable, with the user's own commands."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from serial_runtime.cli.command import URI_VARIABLE, Command, baud_rate
from serial_runtime.errors import LinkError, SerialRuntimeError

_START_S = 20.0


class DemoError(SerialRuntimeError):
    """A step of the demo failed."""


class _Processes:
    """The demo's children: each is ended by closing its input and SIGTERM, last one first."""

    def __init__(self) -> None:
        self._running: list[tuple[str, subprocess.Popen[str]]] = []

    def start(self, name: str, log: Path, *words: str) -> subprocess.Popen[str]:
        """Start ``python -m WORDS``; its standard error goes to `log`."""
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                process_group=0,  # Ctrl-C is for the demo, which ends them in order
            )
        self._running.append((name, process))
        return process

    def check(self) -> None:
        """DemoError when one has ended."""
        for name, process in self._running:
            if process.poll() is not None:
                raise DemoError(f"the {name} ended by itself with code {process.returncode}")

    def end(self) -> None:
        """End all of them, whatever state they are in."""
        for _, process in reversed(self._running):
            if process.stdin:
                process.stdin.close()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        self._running.clear()


class _Demo:
    def __init__(self, folder: Path, baud: int) -> None:
        self.folder = folder
        self.baud = baud
        self.processes = _Processes()
        self._number = 0

    def say(self, title: str) -> None:
        self._number += 1
        print(f"\n--- {self._number}. {title}", flush=True)

    def run(self, *words: str) -> None:
        """Run one of the user's commands, as `main` would, after printing it."""
        from serial_runtime.cli import main

        print(f"$ serial-runtime {shlex.join(words)}", flush=True)
        status = main(list(words))
        if status == 130:
            raise KeyboardInterrupt
        if status != 0:
            self.processes.check()
            raise DemoError(f"serial-runtime {words[0]} ended with exit code {status}")

    def lay_cable(self) -> tuple[str, str]:
        """Start the cable; the board's and the host's device."""
        (self.folder / "cable").mkdir()
        cable = self.processes.start(
            "virtual cable",
            self.folder / "cable.log",
            "serial_runtime.line",
            *("--baud", str(self.baud), "--dir", str(self.folder / "cable")),
        )
        before = self.until_ready(cable, "virtual cable", "cable.log")
        return before[0], before[1]

    def until_ready(self, process: subprocess.Popen[str], name: str, log: str) -> list[str]:
        """Wait for the line READY; what was printed before it. DemoError when the process ends."""
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            if line.startswith("READY"):
                return lines
            lines.append(line.strip())
        raise DemoError(f"the {name} did not start: {self.tail(log)}")

    def wait_for_board(self) -> None:
        """Until it answers."""
        from serial_runtime.rpc.client import connect

        deadline = time.monotonic() + _START_S
        while True:
            try:
                connect(os.environ[URI_VARIABLE], timeout_s=2.0).close()
                return
            except LinkError as error:
                self.processes.check()
                if time.monotonic() > deadline:
                    raise DemoError(
                        f"the board does not answer ({error}): " + self.tail("board.log")
                    ) from error

    def expect(self, what: str, **values: object) -> None:
        """Wait until the board's variables (dots as double underscores) have these values."""
        from serial_runtime.cli.variables import Selection
        from serial_runtime.rpc.client import connect

        wanted = {name.replace("__", "."): value for name, value in values.items()}
        deadline = time.monotonic() + 10
        with connect(os.environ[URI_VARIABLE]) as board:
            chosen = Selection(board, list(wanted))
            while True:
                now = dict(
                    zip(chosen.names, chosen.values(board.read(chosen.names).values), strict=True)
                )
                if now == wanted:
                    print(f"seen: {what}", flush=True)
                    return
                if time.monotonic() > deadline:
                    raise DemoError(f"not seen: {what}; the board says {now}")

    def tail(self, name: str) -> str:
        """The last lines a process left in its log."""
        return " / ".join((self.folder / name).read_text().splitlines()[-3:]) or "it said nothing"


def _play(demo: _Demo) -> None:
    source = Path(__file__).parent.parent / "demo" / "tank.c"
    image = str(demo.folder / "tank.so")
    csv = demo.folder / "tank.csv"
    io = f"sim:demo-{os.getpid()}"

    demo.say(f"A virtual serial cable, paced to {demo.baud} baud")
    board_end, host_end = demo.lay_cable()
    print(f"board's end {board_end}\nhost's end  {host_end}")

    demo.say("The runtime at the board's end, and the simulated plant, each its own process")
    serve = ["--port", board_end, "--baud", str(demo.baud), "--io", io]
    serve += ["--dir", str(demo.folder / "plc")]
    print(f"$ serial-runtime serve {shlex.join(serve)} &")
    runtime = demo.processes.start(
        "runtime", demo.folder / "board.log", "serial_runtime", "serve", *serve
    )
    demo.until_ready(runtime, "runtime", "board.log")
    plant = demo.processes.start(
        "plant", demo.folder / "plant.log", "serial_runtime.demo.plant", io.partition(":")[2]
    )
    demo.until_ready(plant, "plant", "plant.log")
    os.environ[URI_VARIABLE] = f"ERPC://{host_end}:{demo.baud}"
    print(f"$ export {URI_VARIABLE}={os.environ[URI_VARIABLE]}")
    demo.wait_for_board()

    demo.say("Who is there?")
    demo.run("status")
    demo.say("Build the tank program from its source")
    demo.run("build", str(source), "-o", image)
    demo.say("Download and start it")
    demo.run("load", image, "--start")
    demo.say("Watch it fill the tank, then hold the level")
    names = ("TANK.LEVEL", "FLOW.RATE", "PUMP1.SPEED", "PUMP2.SPEED", "TANK.STATE")
    demo.run("watch", *names, "--count", "8", "--interval", "1", "--lines")
    demo.say("How regular is the cycle?")
    demo.run("stats", "--histogram")
    demo.say("Force the level too high: the program believes it and acts")
    demo.run("force", "TANK.LEVEL=1.95")
    demo.expect("the alarm, and the inlet shut", ALARM__HH=True, TANK__INLET=False)
    names = ("TANK.LEVEL", "ALARM.HH", "TANK.INLET", "PUMP.DEMAND", "TANK.STATE")
    demo.run("watch", *names, "--count", "3", "--interval", "0.5", "--lines")
    demo.say("Release it, and acknowledge the alarm")
    demo.run("unforce", "TANK.LEVEL")
    demo.run("force", "ALARM.ACK=TRUE")
    demo.expect("the alarm is gone", ALARM__HH=False, ALARM__HH_UNACK=False)
    demo.run("unforce", "--all")
    demo.say("Record every tick for 3 s")
    names = ("TANK.LEVEL", "TANK.INLET", "FLOW.RATE", "PID.OUT", "RECIPE.PHASE_TIME")
    demo.run("trace", *names, "-o", str(csv), "--duration", "3")
    rows = csv.read_text().splitlines()
    print("\n".join([*rows[:3], "...", rows[-1]]))
    if any(row.startswith("# gap") for row in rows):
        raise DemoError("the trace has a gap")
    demo.say("What it has to say")
    demo.run("log", "--level", "info")
    demo.run("status")
    demo.processes.check()


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


def _guarded(demo: _Demo, play: Callable[[_Demo], None], keep: bool) -> None:
    """Play, and whatever happens take everything down again."""
    before = os.environ.get(URI_VARIABLE)
    old = {number: signal.signal(number, _terminated) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        play(demo)
        if keep:
            demo.say("It runs on until Ctrl-C: try the commands above in another terminal")
            print(f"export {URI_VARIABLE}={os.environ[URI_VARIABLE]}", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print()
        demo.say("Stop")
        demo.run("stop")
    finally:
        for number in (signal.SIGINT, *old):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave processes
        demo.processes.end()
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if before is None:
            os.environ.pop(URI_VARIABLE, None)
        else:
            os.environ[URI_VARIABLE] = before


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.transport.serial import check_baud

    check_baud(arguments.baud)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="serial-runtime-demo-") as folder:
        _guarded(_Demo(Path(folder), arguments.baud), _play, arguments.keep)
    print(f"\nThat was the demo, in {time.monotonic() - begin:.0f} s. Everything is put away.")
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--baud", type=baud_rate, default=115200, metavar="N", help="of the cable (default: 115200)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave it running at the end, until Ctrl-C"
    )


DEMO = Command(
    _run,
    description="See all of it without hardware: a virtual serial cable, the runtime on one end "
    "as its own process, a simulated tank as its process I/O, and on the other end the commands "
    "you would type, each printed before it runs. Needs gcc; takes about half a minute.",
    example="  serial-runtime demo\n  serial-runtime demo --baud 921600 --keep\n",
    options=_options,
    uri=False,
)
