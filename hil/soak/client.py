# SPDX-License-Identifier: MIT
"""The client of the soak, a process so that it can be killed: ``python -m hil.soak.client URI``.

It carries out the orders on its standard input, a line of JSON each, and answers each with a line
of JSON. What an operation can know by itself, it checks: that every answer is the one to its own
request, and that no tick of a trace is missing without being accounted for.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil.soak.ledger import Violation
from serial_runtime.errors import (
    ImageError,
    LinkError,
    ProgramFault,
    ProtocolError,
    SerialRuntimeError,
    StateError,
    WorkerBusy,
)
from serial_runtime.iec import IecType, pack, unpack
from serial_runtime.rpc.client import Client, Snapshot, connect

TIMEOUT_S = 10.0
RECONNECT_S = 20.0
SLOW_S = 60.0
"""What a call that changes the program may take beyond `TIMEOUT_S`."""
# The program has V0 to V99, each cycle set to its tick plus their number.
VARIABLES = 100
FORCED = VARIABLES - 1
# Refusals by the call itself: it was executed, to no effect, and logged.
_ANSWERED = (StateError, ImageError, ProgramFault)
_PATIENCE_S = 60.0

Answer = dict[str, Any]


class _Player:
    """Operations on a board, by name; each returns what its answer shall hold."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.client = self._connect()

    def _connect(self) -> Client:
        limit_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return connect(self._uri, timeout_s=TIMEOUT_S, reconnect_s=RECONNECT_S)
            except LinkError:
                if time.monotonic() > limit_s:
                    raise
                time.sleep(0.1)

    def reconnect(self, order: Answer) -> Answer:
        """Close, and open anew."""
        self.client.close()
        self.client = self._connect()
        return {}

    def status(self, order: Answer) -> Answer:
        self.client.status()
        return {}

    def start(self, order: Answer) -> Answer:
        self.client.start()
        return {}

    def stop(self, order: Answer) -> Answer:
        self.client.stop()
        return {}

    def repair(self, order: Answer) -> Answer:
        self.client.repair()
        return {}

    def download(self, order: Answer) -> Answer:
        self.client.download(Path(order["image"]).read_bytes())
        return {}

    def match(self, order: Answer) -> Answer:
        """Of a digest no program has, and of the one that may be there."""
        if self.client.match_md5(order["foreign"]):
            raise Violation("a digest that was never sent matches")
        return {"match": self.client.match_md5(order["md5"])}

    def program(self, order: Answer) -> Answer:
        return {"md5": self.client.program().md5}

    def log(self, order: Answer) -> Answer:
        lines = self.client.log([2])
        numbers = [line.number for line in lines]
        if numbers != sorted(set(numbers)):
            raise Violation(f"log lines {numbers} are not those asked for")
        return {"lines": {line.number: line.text for line in lines}}

    def read(self, order: Answer) -> Answer:
        """Several reads of other variables each; each answer must be the one to its request."""
        client, source, last = self.client, random.Random(order["seed"]), (0, 0)
        for _ in range(order["reads"]):
            chosen = source.sample(range(VARIABLES - 1), source.randint(1, 40))
            snapshot = client.read([f"V{index}" for index in chosen])
            _check_values(snapshot, chosen)
            if last[0] == client.link.boot and snapshot.tick < last[1]:
                raise Violation(f"tick {snapshot.tick} was read after tick {last[1]}")
            last = client.link.boot, snapshot.tick
        return {}

    def force(self, order: Answer) -> Answer:
        """Force, see it forced, release; unless the board restarts meanwhile."""
        client, name, value = self.client, f"V{FORCED}", pack(IecType.DINT, order["value"])
        client.variables()
        boot = client.link.boot
        client.force({name: value})
        found = client.read([name]).values
        if client.link.boot == boot and found != value:
            raise Violation(f"{name} was forced to {value.hex()} and is {found.hex()}")
        client.unforce()
        return {}

    def trace(self, order: Answer) -> Answer:
        """So many samples; those missing between them were lost, left out or skipped."""
        client, ticks = self.client, list[int]()
        chosen = [0, 7]
        limit_s = time.monotonic() + order["seconds"]
        with client.trace([f"V{index}" for index in chosen], poll_s=0.05) as trace:
            while time.monotonic() < limit_s:
                for sample in trace.poll():
                    _check_values(sample, chosen)
                    ticks.append(sample.tick)
            missing = ticks[-1] - ticks[0] + 1 - len(ticks) if ticks else 0
            left_out = trace.lost + getattr(trace, "decimated", 0)
            skipped = client.statistics().skipped
        if ticks != sorted(set(ticks)):
            raise Violation("the ticks of a trace do not rise")
        if missing > left_out + skipped:
            raise Violation(
                f"{missing} ticks of a trace are missing, {left_out} are told of, "
                f"the cycle skipped {skipped}"
            )
        return {"samples": len(ticks)}


def _check_values(snapshot: Snapshot, indices: list[int]) -> None:
    if not any(snapshot.values):
        return  # loaded, and not started yet
    place = 0
    for index in indices:
        value, place = unpack(IecType.DINT, snapshot.values, place)
        if value != snapshot.tick + index:
            raise Violation(f"V{index} is {value} at tick {snapshot.tick}")
    if place != len(snapshot.values):
        raise Violation(f"{len(snapshot.values)} bytes for {len(indices)} variables")


def _answer(play: Callable[[Answer], Answer], order: Answer) -> Answer:
    """Carry out one order; `outcome` says what is known of it."""
    try:
        return {**play(order), "outcome": "done"}
    except Violation as error:
        return {"outcome": "violation", "why": str(error)}
    except LinkError as error:
        return {"outcome": "unknown", "why": f"{type(error).__name__}: {error}"}
    except _ANSWERED as error:
        return {"outcome": "refused", "why": str(error)}
    except WorkerBusy as error:
        return {"outcome": "unexecuted", "why": str(error)}
    except ProtocolError as error:
        return {"outcome": "violation", "why": f"bytes of the line got through: {error}"}
    except SerialRuntimeError as error:
        return {"outcome": "unknown", "why": f"{type(error).__name__}: {error}"}


def main(arguments: list[str]) -> int:
    """Serve orders until standard input ends."""
    player = _Player(arguments[0])
    retransmissions = reconnects = 0
    for line in sys.stdin:
        order = json.loads(line)
        began_s = time.monotonic()
        answer = _answer(getattr(player, order["do"]), order)
        figures = player.client.link.figures
        answer["took_s"] = time.monotonic() - began_s
        # A client that was opened anew counts from 0.
        for key, now, before in (
            ("retransmissions", figures.retransmissions, retransmissions),
            ("reconnects", figures.reconnects, reconnects),
        ):
            answer[key] = now - before if now >= before else now
        retransmissions, reconnects = figures.retransmissions, figures.reconnects
        print(json.dumps(answer), flush=True)
    player.client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
