# SPDX-License-Identifier: MIT
"""The soak of the link: random calls over a line with random faults, while both ends restart.

::

    client (a process)  ──  line emulator (a process)  ──  runtime (a process)
         ▲ orders, answers        ▲ faults                     ▲ log, over TCP
         └────────────────────────┴──── this process ──────────┘

One call of the client is under way at a time; meanwhile the line changes, an end is pulled out, the
runtime is restarted by SIGTERM or SIGKILL, or the client is killed. The runtime is also watched
over TCP, which loses nothing: its log tells how often each call was executed (``hil.soak.ledger``).

What must hold, whatever happens:

- a call that may not execute twice executes at most once, and once if it was answered;
- an answer is the one to its own request, and not an old one;
- the program on the board is, byte for byte, the one sent last or the one before;
- ticks that a trace misses are accounted for;
- every call ends, with a result or an error of the link.

Most restarts are *seen*: the way to the board is cut first and the log read, so a call executed
just before is known. Of the others the ledger forgives what the lost log may have held.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hil.soak.client import RECONNECT_S, SLOW_S, TIMEOUT_S, Answer
from hil.soak.ledger import SIGNS, Ledger, Violation
from hil.soak.processes import Board, Line, Player
from hil.soak.troubles import conditions
from serial_codegen.build import build
from serial_runtime import get_include
from serial_runtime.errors import LinkError

_PROGRAM = Path(__file__).parent.parent.parent / "benchmarks" / "images" / "hundred.c"
_PHASE_S = (1.0, 5.0)
_UNPLUGGED_S = (0.05, 2.0)
_SLACK_S = 30.0  # of a busy machine
_LONG_S = 600.0  # for what is many calls
_OPERATIONS = {
    "status": 3.0,
    "read": 6.0,
    "start": 4.0,
    "stop": 2.0,
    "download": 3.0,
    "trace": 2.0,
    "force": 1.5,
    "log": 1.0,
    "match": 1.0,
    "program": 1.0,
    "repair": 0.2,
    "reconnect": 0.5,
}
_LONG = ("download", "trace", "log", "reconnect", "read", "force")
_TROUBLES = {"line": 10.0, "unplug": 2.0, "restart": 2.0, "client": 1.0}


class Soak:
    """One run. Everything random comes from the seed, but not when it happens."""

    def __init__(
        self, folder: Path, seed: int, baud: int, phase_s: tuple[float, float] = _PHASE_S
    ) -> None:
        """`phase_s`: the shortest and the longest time between two troubles."""
        self.counts: collections.Counter[str] = collections.Counter()
        self.longest_s = 0.0
        self._folder, self._baud, self._phase_s = folder, baud, phase_s
        self._calls, self._troubles = random.Random(f"{seed}/calls"), random.Random(f"{seed}/line")
        self._ledger = Ledger()
        self._doing = ""
        self._restarted = False  # during the present operation
        self._forgiven = False  # likewise: a log was lost that may have told of it
        self._conditions = ""
        self._no_faults = 0  # bytes dropped to have a restart seen
        self._phase_began_s = self._began_s = time.monotonic()
        self._next_trouble_s = self._began_s + phase_s[1]
        self._plug_s = float("inf")
        self._before: collections.Counter[str] = collections.Counter()
        self._image = image_of(folder)
        self._sent = self._image
        self._programs = {""}  # digests the board may have
        self._line = Line(folder, baud, seed)
        self._board = Board(folder, self._line.board_end, baud)
        self._player = self._new_player()

    def run(self, seconds: float) -> None:
        """Until so many seconds have passed. Violation."""
        end_s = self._began_s + seconds
        self._operate("download")
        while time.monotonic() < end_s:
            self._operate(self._calls.choices(list(_OPERATIONS), list(_OPERATIONS.values()))[0])
        self._settle()
        self._tell_phase()

    def close(self) -> None:
        """Take everything down."""
        for process in (self._player, self._board, self._line):
            process.kill()

    # The calls.

    def _operate(self, kind: str) -> None:
        """One operation of the client, while anything may happen."""
        order = self._order(kind)
        self._doing, self._restarted, self._forgiven = kind, False, False
        if kind in SIGNS:
            self._ledger.called(kind)
        self._player.order(do=kind, **order)
        answer = self._wait_for_answer()
        self._doing = ""
        outcome = answer["outcome"]
        if outcome == "violation":
            raise Violation(f"{kind}: {answer['why']}")
        why = f" ({answer['why'].partition(':')[0]})" if outcome == "unknown" else ""
        self.counts[f"{kind} {outcome}{why}"] += 1
        self.counts["calls"] += 1
        for key in ("retransmissions", "reconnects"):
            self.counts[key] += answer.get(key, 0)
        self.longest_s = max(self.longest_s, answer.get("took_s", 0.0))
        self._judge(kind, outcome, order, answer)

    def _order(self, kind: str) -> Answer:
        """What the operation needs to know."""
        source = self._calls
        if kind == "read":
            return {"seed": source.getrandbits(32), "reads": source.randint(1, 10)}
        if kind == "trace":
            return {"seconds": source.uniform(0.2, 2.0)}
        if kind == "force":
            return {"value": source.randint(-(2**31), -1)}
        if kind == "match":
            return {"foreign": source.randbytes(16).hex(), "md5": digest_of(self._sent)}
        if kind == "download":
            self._sent = self._next_image()
            self._programs.add(digest_of(self._sent))
            path = self._folder / "image.so"
            path.write_bytes(self._sent)
            return {"image": str(path)}
        if kind == "repair":
            self._programs.add("")
        return {}

    def _next_image(self) -> bytes:
        """The program and some ballast: new, or that of the last time with an edit."""
        source, length = self._calls, len(self._image)
        ballast = self._sent[length:]
        if ballast and source.random() < 0.5:
            at = source.randrange(len(ballast))
            ballast = ballast[:at] + source.randbytes(source.randint(1, 200)) + ballast[at:]
        else:
            ballast = source.randbytes(int(source.uniform(0.05, 2.0) * self._baud / 10))
        return self._image + ballast

    def _wait_for_answer(self) -> Answer:
        """Let troubles come until the client answers, or is killed."""
        limit_s = time.monotonic() + TIMEOUT_S + RECONNECT_S + SLOW_S + _SLACK_S
        if self._doing in _LONG:
            limit_s += _LONG_S
        while True:
            now_s = time.monotonic()
            if now_s > limit_s:
                raise Violation(f"{self._doing} does not end")
            if now_s >= self._plug_s:
                self._line.order("plug")
                self._plug_s = float("inf")
            if now_s >= self._next_trouble_s:
                player = self._player
                self._trouble()
                if self._player is not player:
                    return {"outcome": "killed"}
                continue
            if said := self._player.hears(min(self._next_trouble_s, self._plug_s) - now_s):
                answer: Answer = json.loads(said)
                return answer
            if not self._player.running:
                self._player.must_hear(0.0)

    def _judge(self, kind: str, outcome: str, order: Answer, answer: Answer) -> None:
        """Hold what the client was told against what the board did."""
        if kind in SIGNS:
            if outcome in ("done", "refused"):
                self._ledger.answered(kind)
            elif outcome == "unexecuted":
                self._ledger.refused_unexecuted(kind)
        if not self._board.running:
            raise Violation("the board ended by itself")
        self._ledger.seen(self._board.new_lines())
        self._ledger.check()
        if kind in ("download", "repair") and outcome in ("done", "refused"):
            self._programs = {self._board.md5()}
            expected = digest_of(self._sent) if kind == "download" else ""
            if outcome == "done" and expected not in self._programs:
                raise Violation(f"{kind} was done, and the board has program {self._programs}")
            if outcome == "done" and expected:
                self._check_stored()
        elif kind == "log" and outcome == "done" and not self._restarted:
            lines = {int(number): text for number, text in answer["lines"].items()}
            truth = self._board.all_lines()
            if wrong := {n: text for n, text in lines.items() if truth.get(n, text) != text}:
                raise Violation(f"the log has other lines than {wrong}")
        elif kind == "match" and outcome == "done" and len(self._programs) == 1:
            (md5,) = self._programs
            if answer["match"] != (md5 == order["md5"]):
                raise Violation(f"MatchMD5 of {order['md5']} said {answer['match']}, it is {md5}")
        elif kind == "program" and outcome == "done" and answer["md5"] not in self._programs:
            raise Violation(f"the board says it has {answer['md5']}, not one of {self._programs}")
        if kind in SIGNS and outcome in ("unknown", "killed"):
            self._settle()

    def _check_stored(self) -> None:
        for path in self._board.store.glob("slot-*/program"):
            if path.read_bytes() == self._sent:
                return
        raise Violation("the program is not stored byte for byte")

    def _settle(self) -> None:
        """Let the line come to rest, and see what became of calls whose outcome is not known."""
        self._line.order("clear")
        self._line.order("plug")
        self._plug_s = float("inf")
        self._line.wait_until_quiet()
        self._ledger.seen(self._board.new_lines())
        self._ledger.settle()
        md5 = self._board.md5()
        if md5 not in self._programs:
            raise Violation(f"the board has program {md5}, not one of {self._programs}")
        self._programs = {md5}
        self._apply()

    # The troubles.

    def _trouble(self) -> None:
        source = self._troubles
        self._next_trouble_s = time.monotonic() + source.uniform(*self._phase_s)
        kind = source.choices(list(_TROUBLES), list(_TROUBLES.values()))[0]
        if kind == "line":
            self._tell_phase()
            self._conditions = conditions(source)
            self._apply()
        elif kind == "unplug":
            self._line.order(f"unplug {source.choice(('', 'board', 'host'))}")
            self._plug_s = time.monotonic() + source.uniform(*_UNPLUGGED_S)
            self.counts["unplugged"] += 1
        elif kind == "restart":
            self._restart(kill=source.random() < 0.5, seen=source.random() < 0.7)
        else:
            self._player.kill()
            self.counts["clients killed"] += 1
            self._player = self._new_player()

    def _apply(self) -> None:
        self._line.order("clear")
        if self._conditions:
            self._line.order(f"set {self._conditions}")

    def _restart(self, kill: bool, seen: bool) -> None:
        """Of the board."""
        dropped = 0
        if seen:
            dropped = self._line.counters()["to-board"]["dropped"]
            self._line.order("set to-board drop=1")
            time.sleep(0.1)
            self._ledger.seen(self._board.new_lines())
        # A program may be taken over while its line of the log is still to come.
        if self._doing in SIGNS and (not seen or self._doing == "download") and not self._forgiven:
            self._forgiven = True
            self._ledger.unseen(self._doing)
        if self._doing == "download":
            self._ledger.called("download")  # it begins again
        self._board.end(kill)
        self._restarted = True
        self.counts["boards killed" if kill else "boards restarted"] += 1
        self._board = Board(self._folder, self._line.board_end, self._baud)
        if seen:
            self._no_faults += self._line.counters()["to-board"]["dropped"] - dropped
        self._apply()

    def _new_player(self) -> Player:
        return Player(self._folder, f"ERPC://{self._line.host_end}:{self._baud}")

    # The report.

    def _tell_phase(self) -> None:
        """What happened since the last one."""
        counters = self._line.counters()
        self.counts["faults"] = sum(
            value
            for one in counters.values()
            for key, value in one.items()
            if key not in ("carried", "delivered", "lost")
        )
        self.counts["faults"] -= self._no_faults
        self.counts["bytes"] = sum(one["carried"] for one in counters.values())
        news = self.counts - self._before
        self._before = self.counts.copy()
        now_s = time.monotonic()
        print(
            f"{now_s - self._began_s:7.1f} s  {now_s - self._phase_began_s:4.1f} s of "
            f"{self._conditions or 'a clean line'}: {news['calls']} calls, "
            f"{news['bytes']} bytes, {news['faults']} faults, "
            f"{news['retransmissions']} retransmissions, {news['reconnects']} reconnects",
            flush=True,
        )
        self._phase_began_s = now_s

    def summary(self) -> str:
        """Everything that was counted."""
        counts = self.counts
        outcomes = sorted(key for key in counts if key.split()[0] in _OPERATIONS)
        rows = [f"  {key}: {counts[key]}" for key in outcomes]
        rest = [f"{counts[key]} {key}" for key in sorted(set(counts) - set(outcomes))]
        return "\n".join([*rows, ", ".join(rest), f"longest operation {self.longest_s:.1f} s"])


def digest_of(image: bytes) -> str:
    """As the board names a program."""
    return hashlib.md5(image, usedforsecurity=False).hexdigest()


def image_of(folder: Path) -> bytes:
    """A program whose values tell their own index and tick."""
    path = folder / "program.so"
    build([_PROGRAM], path, include_dirs=[get_include()])
    return path.read_bytes()


def main(arguments: list[str] | None = None) -> int:
    """Run the soak; 0 when every invariant held, 1 at the first violation."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.soak",
        description="The soak of the link: see the top of hil/soak/__main__.py.",
    )
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="default: a new one")
    parser.add_argument("--baud", type=int, default=115200, metavar="N")
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error(f"--minutes {options.minutes:g}: a soak takes more than no time")
    seed = random.randrange(2**31) if options.seed is None else options.seed
    command = f"python -m hil.soak --minutes {options.minutes:g} --seed {seed} --baud"
    command += f" {options.baud}"
    print(command, flush=True)
    folder = Path(tempfile.mkdtemp(prefix="hil-soak-"))
    soak = Soak(folder, seed, options.baud)
    try:
        soak.run(60 * options.minutes)
    except (Violation, LinkError) as error:
        print(f"{soak.summary()}\nVIOLATION: {error}\nagain: {command}\nlogs: {folder}")
        return 1
    finally:
        soak.close()
    print(f"{soak.summary()}\nevery invariant held")
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
