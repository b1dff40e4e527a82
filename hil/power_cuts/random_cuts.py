# SPDX-License-Identifier: MIT
"""Power cuts of boards that live on: at random instants, and at each message of a download and of
a stop. After each the disk is looked at, then the board boots from it and has to run.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from hil.power_cuts import disk_image, findings, operations
from hil.power_cuts.disk_image import DamagedFileSystem
from hil.power_cuts.emulator import Emulator
from hil.power_cuts.findings import Found, Generation
from hil.power_cuts.operations import number, wait_for
from hil.power_cuts.promises import Promises
from serial_runtime.errors import LinkClosed, SerialRuntimeError
from serial_runtime.plc.log import CRITICAL
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status

# How often each is cut at a random instant, beside the cuts at messages.
_WEIGHTS = {"download": 8, "stop": 4, "run": 4, "change": 3, "afterwards": 4, "boot": 1}
_STEPPED = {"download": 99, "stop": 2}  # at most so many messages of each
_SLOWER = 1.3  # of an operation's duration in which the power may go
_AFTERWARDS_S = 8.0  # longer than ext4 takes to commit what nobody waits for
_MOST_DELAY_S = 0.05  # behind a request, which then is being executed


class Plan(NamedTuple):
    """One cut."""

    operation: str
    kind: str = "instant"  # or "request", "reply": at a message
    message: int = 0  # from 1 on

    def __str__(self) -> str:
        if self.message:
            return f"{self.operation}, {self.kind} {self.message}"
        return f"{self.operation}, a random instant"


class Outcome(NamedTuple):
    """What cuts have shown."""

    cuts: Counter[str]  # by operation
    left: Counter[str]  # "old" and "new": what was there after cuts in downloads and changes
    wrong: list[str]
    duration_s: float


class Pace(NamedTuple):
    """How long operations take, and how many messages: measured before any cut."""

    durations_s: dict[str, float]
    messages: dict[str, Counter[str]]


def plans(pace: Pace, count: int, seed: int, *, every_step: bool = True) -> list[Plan]:
    """`count` cuts in a random order; with `every_step` those at each message are among them."""
    source = random.Random(seed)
    steps = [
        Plan(operation, kind, message)
        for operation, bound in _STEPPED.items()
        for kind, most in sorted(pace.messages[operation].items())
        for message in range(1, min(most, bound) + 1)
    ]
    source.shuffle(steps)
    chosen = steps if every_step else steps[: count // 3]
    names = list(_WEIGHTS)
    while len(chosen) < count:
        chosen.append(Plan(source.choices(names, [_WEIGHTS[name] for name in names])[0]))
    source.shuffle(chosen)
    return chosen


class Subject:
    """One board, which lives through many cuts."""

    def __init__(
        self, board: Emulator, generations: Sequence[Generation], store: str, seed: int
    ) -> None:
        """`store`: the store's directory on the board, which is off and new."""
        self.board = board
        self.wrong: list[str] = []
        self.cuts: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self._generations = {one.md5: one for one in generations}
        self._ring = list(generations)
        self._store = store
        self._random = random.Random(seed)
        self._promises = Promises()
        self._program = ""

    def measure(self) -> Pace:
        """First start; every operation once, uncut. The board is on."""
        pace = Pace({}, {})
        began_s = time.monotonic()
        self.board.on()
        with self.board.client() as client:
            self._promises.note("identity told", identity=client.identity().ID)
            pace.durations_s["boot"] = time.monotonic() - began_s
            for operation in ("download", "stop", "run", "change", "stop"):
                passed: Counter[str] = Counter()
                if operation == "stop":
                    operations.start(client, self._promises)
                self.board.at_step = _counter(passed)
                began_s = time.monotonic()
                self._operate(client, operation)
                pace.durations_s[operation] = time.monotonic() - began_s
                pace.messages[operation] = passed
                self.board.at_step = lambda kind: None
        pace.durations_s["afterwards"] = pace.durations_s["stop"]
        return pace

    def live(self, planned: Sequence[Plan], pace: Pace) -> None:
        """All these cuts. What is wrong is in `wrong`; `cuts.log` of the board tells each."""
        for plan in planned:
            try:
                self._suffer(plan, pace)
            except (SerialRuntimeError, TimeoutError, OSError) as error:
                self.board.cut()
                self._complain(plan, f"{type(error).__name__}: {error}")
                return  # what follows would tell the same

    def _suffer(self, plan: Plan, pace: Pace) -> None:
        before, self._promises.step = self._program, "up"
        if plan.operation == "boot":
            self.board.cut()
            self.board.on()
            with self._cut_soon(pace.durations_s["boot"]):
                self.board.client().close()
        else:
            with self.board.client() as client:
                if plan.operation == "stop":
                    operations.start(client, self._promises)
                if plan.message:
                    with self._cut_at(plan):
                        self._operate(client, plan.operation)
                elif plan.operation == "afterwards":
                    self._operate(client, self._random.choice(("download", "stop", "change")))
                    time.sleep(self._random.uniform(0.0, _AFTERWARDS_S))
                else:
                    with self._cut_soon(_SLOWER * pace.durations_s[plan.operation]):
                        self._operate(client, plan.operation)
        self.board.cut()
        self.cuts[plan.operation] += 1
        found = self._look(plan)
        self.board.on()
        step = self._promises.step
        for sentence in self._boots(found):
            self._complain(plan, sentence)
        self._log(f"{plan}: cut in {step!r}, found {found.program} at {found.count}")
        if plan.operation in ("download", "change"):
            self.left["old" if found.program == before else "new"] += 1

    def _operate(self, client: Client, operation: str) -> None:
        promises = self._promises
        place = [one.md5 for one in self._ring].index(self._program) if self._program else -1
        new = self._ring[(place + 1) % len(self._ring)]
        if operation == "download":
            operations.download(client, promises, self._program, new)
            self._program = new.md5
        elif operation == "change":
            operations.change(client, promises, self._program, new)
            self._program = new.md5
        elif operation == "stop":
            operations.stop(client, promises)
        else:
            operations.run(client, promises, 3)

    @contextmanager
    def _cut_soon(self, within_s: float) -> Iterator[None]:
        """Cut the power within so many seconds: while the body runs, or a little later."""
        timer = threading.Timer(self._random.uniform(0.0, within_s), self.board.cut)
        timer.start()
        try:
            yield
        except (SerialRuntimeError, TimeoutError):
            if self.board.powered:
                raise
        finally:
            timer.join()

    @contextmanager
    def _cut_at(self, plan: Plan) -> Iterator[None]:
        """Cut the power at a message of the body."""
        passed: Counter[str] = Counter()
        delay_s = self._random.uniform(0.0, _MOST_DELAY_S)

        def step(kind: str) -> None:
            passed[kind] += 1
            if kind == plan.kind and passed[kind] == plan.message:
                if kind == "request":
                    time.sleep(delay_s)
                self.board.cut()
                raise LinkClosed("the power was cut")

        self.board.at_step = step
        try:
            yield
        except (SerialRuntimeError, TimeoutError):
            if self.board.powered:
                raise
        finally:
            self.board.at_step = lambda kind: None

    def _look(self, plan: Plan) -> Found:
        """At a copy of the disk, before the board sees it again."""
        copy = self.board.run / "copy.raw"
        subprocess.run(["cp", "--sparse=always", self.board.disk, copy], check=True)
        found = Found()
        try:
            disk_image.repair(copy)
            directory = disk_image.extract(copy, self._store, self.board.run / "store")
            found = findings.look(directory, self._generations)
        except DamagedFileSystem as error:
            found.trouble.append(f"the file system: {error}")
        for sentence in findings.judge(found, self._promises.allowed):
            self._complain(plan, sentence)
        return found

    def _boots(self, found: Found) -> list[str]:
        """Why the board is not what its disk says; it holds the promises of its disk from now."""
        wrong = []
        promises = self._promises
        with self.board.client() as client:
            program = client.program().md5
            if program != found.program:
                wrong.append(f"the disk has the program {found.program}, it loads {program}")
            if program:
                wait_for(lambda: client.status().status == Status.Started)
                wait_for(lambda: number(client, "COUNT") > 0)
                names = ("GENERATION", "UNEVEN", "COUNT")
                generation, uneven, count = (number(client, name) for name in names)
                if generation != self._generations[program].number:
                    wrong.append(f"{program} runs as generation {generation}")
                if uneven:
                    wrong.append("it has started with retained values of different cycles")
                if count < found.count:
                    wrong.append(f"it counts {count}, {found.count} was retained")
            if (own := client.identity().ID) != promises.allowed.identity:
                wrong.append(f"its identity is {own}")
            supervision = client.supervision()
            if supervision.crashes or supervision.safe_mode:
                wrong.append(f"it counts a crash: {supervision.last_crash}")
            wrong += [f"its log: {line.text}" for line in client.log([CRITICAL])]
            self._program = program
            promises.note("up", programs={program}, least_count=found.count)
        return wrong

    def _complain(self, plan: Plan, why: str) -> None:
        number = sum(self.cuts.values())
        self.wrong.append(f"cut {number} ({plan}; {self._promises.step}): {why}")
        self._log(f"WRONG: {self.wrong[-1]}")

    def _log(self, line: str) -> None:
        with (self.board.run / "cuts.log").open("a") as log:
            log.write(f"{line}\n")


def _counter(passed: Counter[str]) -> Callable[[str], None]:
    return lambda kind: passed.update([kind])


def cut_often(
    boards: Sequence[Emulator],
    generations: Sequence[Generation],
    store: str,
    count: int,
    seed: int,
    *,
    every_step: bool = True,
    tell: Callable[[str], None] = print,
) -> Outcome:
    """`count` power cuts, shared by boards that live side by side."""
    began_s = time.monotonic()
    subjects = [
        Subject(board, generations, store, seed + place) for place, board in enumerate(boards)
    ]

    with ThreadPoolExecutor(len(subjects)) as pool:
        try:
            paces = list(pool.map(Subject.measure, subjects))
            planned = plans(paces[0], count, seed, every_step=every_step)
            tell(f"seed {seed}: {len(planned)} cuts; {paces[0]}")
            shares = [planned[place :: len(subjects)] for place in range(len(subjects))]
            list(pool.map(Subject.live, subjects, shares, paces))
        finally:
            for board in boards:
                board.cut()
    outcome = Outcome(Counter(), Counter(), [], time.monotonic() - began_s)
    for subject in subjects:
        outcome.cuts.update(subject.cuts)
        outcome.left.update(subject.left)
        outcome.wrong.extend(f"{subject.board.run.name}: {one}" for one in subject.wrong)
    return outcome
