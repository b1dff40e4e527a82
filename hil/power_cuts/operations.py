# SPDX-License-Identifier: MIT
"""What a board does when the power goes: downloads, runs that retain values, online changes."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from hil.power_cuts.findings import COUNTERS, Generation
from hil.power_cuts.promises import Promises
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.stub_api import Reference

_POLL_S = 0.1
_LIMIT_S = 300.0
_TRIAL_CYCLES = 20
_WRITES_BEHIND = 2  # the first of them may have begun before


def number(client: Client, name: str) -> int:
    """The value of a UDINT."""
    return int(struct.unpack("<I", client.read([name]).values)[0])


def download(client: Client, promises: Promises, old: str, new: Generation) -> None:
    """Have the board take another program; whether it runs or not."""
    promises.note(f"download of generation {new.number}", programs={old, new.md5})
    client.download(new.image, extra_files=new.files, whole=True)
    promises.note(f"generation {new.number} downloaded", programs={new.md5})


def start(client: Client, promises: Promises) -> None:
    """Have the program run, unless it does."""
    if client.status().status != Status.Started:
        client.start()
        promises.note("started")


def run(client: Client, promises: Promises, writes: int) -> None:
    """Let so many periodic writes of retained values pass.

    A count that is shown is on the disk when two more writes are done.
    """
    start(client, promises)
    shown: dict[int, int] = {}  # count by the number of writes there were

    def passed() -> bool:
        count = kept_count(client)
        done = client.retain_status().writes
        shown.setdefault(done, count)
        durable = max((n for at, n in shown.items() if at <= done - _WRITES_BEHIND), default=0)
        if durable > promises.allowed.least_count:
            promises.note("retained", least_count=durable)
        return durable > 0 and done - min(shown) >= writes

    wait_for(passed)


def stop(client: Client, promises: Promises) -> None:
    """Stop the program: when that is answered the values of its last cycle are written."""
    start(client, promises)
    promises.note("stop")
    client.stop()
    promises.note("stopped", least_count=kept_count(client))


def change(client: Client, promises: Promises, old: str, new: Generation) -> None:
    """Change the program while it runs."""
    start(client, promises)
    promises.note(f"online change to generation {new.number}", programs={old, new.md5})
    client.prepare_change(new.image, new.files, probation=_TRIAL_CYCLES).make()
    wait_for(lambda: client.change_status().state == "kept")
    promises.note(f"changed to generation {new.number}", programs={new.md5})


def erase(client: Client, promises: Promises, old: str) -> None:
    """Delete the stopped program."""
    promises.note("erasure", programs={old, ""})
    client.repair()
    promises.note("erased", programs={""})


def kept_count(client: Client) -> int:
    """The count that the runtime says it keeps, 0 for none."""
    values = Reference()
    client.board.GetRetained(0, Reference(), values)  # one of them tells; no orphans are there
    for one in values.value:
        if one.path.startswith(COUNTERS):
            return int.from_bytes(one.value, "little")
    return 0


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll. TimeoutError."""
    limit_s = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > limit_s:
            raise TimeoutError(f"the board did not come so far within {_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
