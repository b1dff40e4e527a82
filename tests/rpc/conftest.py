# SPDX-License-Identifier: MIT
"""A fake PLC object and links to a real server in front of it."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serial_runtime.errors import (
    BlobError,
    StateError,
    StoreError,
    TableChanged,
    TraceError,
    VariableError,
)
from serial_runtime.plc.coding import PATCH, Decoding, UploadPlan
from serial_runtime.plc.retain import RetainedValue, RetainStatus
from serial_runtime.plc.retain_file import Key
from serial_runtime.protocol.session import ServerSessions
from serial_runtime.rpc.about import About
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.server import Server
from serial_runtime.transport.loop import LoopTransport, loop_pair
from serial_runtime.transport.tcp import TcpListener

ABOUT = About(board_id="bench-1", runtime="0.0", backend="fake", max_program=1_000_000)


class FakeFigures:
    """Of a cycle and one task; a record that may change while it is read."""

    def __init__(self) -> None:
        self.records = [self.make_record(1, 128)]
        self.reset_to: tuple[int, int] | None = None
        self.pages = 0

    @staticmethod
    def make_record(number: int, count: int) -> SimpleNamespace:
        cycles = [
            SimpleNamespace(
                tick=n, wakeup_ns=number, execution_ns=2, jitter_ns=3, task=1
            ) for n in range(count)
        ]  # fmt: skip
        return SimpleNamespace(
            number=number, cause=1, value_ns=9, before_ns=8, position=count * 3 // 4, count=count,
            cycles=cycles,
        )  # fmt: skip

    def task(self, task: int) -> SimpleNamespace:
        if task > 1:
            raise VariableError("no such task")
        names = "count last_ns min_ns avg_ns p50_ns p99_ns p999_ns p9999_ns max_ns overflow"
        timing = SimpleNamespace(bin_ns=1000, **dict.fromkeys(names.split(), 1))
        none = SimpleNamespace(bin_ns=10, **dict.fromkeys(names.split(), 0))
        return SimpleNamespace(
            name="MAIN" if task else "", interval_ns=1_000_000, runs=7, overruns=0, skipped=0,
            load_ppm=1234, own_thread=task > 0, wakeup=timing, execution=timing, jitter=timing,
            shim=none, mode_switches=3 if task else -1,
        )  # fmt: skip

    def bins(self, task: int, figure: int, first: int, most: int) -> list[int]:
        self.pages += 1
        return [figure, *range(999)][first : first + most]

    def record(self, task: int, cause: int, first: int, most: int) -> SimpleNamespace:
        found = self.records.pop(0) if len(self.records) > 1 else self.records[0]
        return SimpleNamespace(**{**vars(found), "cycles": found.cycles[first : first + most]})

    def reset(self, wakeup_above_ns: int, execution_above_ns: int) -> None:
        self.reset_to = wakeup_above_ns, execution_above_ns


class FakePLC:
    """In memory, without worker and board; `calls` lists what was executed, in order."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.figures = FakeFigures()
        self.logged: list[str] = []
        self.restart: object | None = None
        self.state = Status.Empty
        self.image = b""
        self.md5 = ""
        self.extra: dict[str, bytes] = {}
        self.blobs: dict[Any, dict[bytes, bytes]] = {}
        self.streams: dict[bytes, bytes] = {}  # by digest; they outlive sessions and boots
        self.uploads: dict[Any, UploadPlan] = {}
        self.forces: dict[int, bytes] = {}
        self.values_forced: list[bytes] = []
        self.samples: list[bytes] = []
        self.oldest = 0
        self.token = 0
        self.lock = threading.Lock()
        self.names = [f"VAR{n}" for n in range(300)]

    def log(self, level: int, text: str) -> None:
        self.logged.append(text)

    def status(self) -> tuple[int, tuple[int, int, int, int]]:
        return self.state, (0, len(self.logged), 0, 0)

    def seed_blob(self, owner: Any, seed: bytes) -> bytes:
        blob_id = hashlib.md5(seed).digest()
        self.blobs.setdefault(owner, {})[blob_id] = b""
        self.seeds = getattr(self, "seeds", {})
        self.seeds[owner, blob_id] = hashlib.md5(seed)
        return blob_id

    def append_chunk(self, owner: Any, data: bytes, blob_id: bytes) -> bytes:
        if blob_id not in self.blobs.get(owner, {}):
            raise BlobError("unknown blob")
        self.calls.append(("append", len(data)))
        digest = self.seeds.pop((owner, blob_id))
        digest.update(data)
        new_id: bytes = digest.digest()
        self.seeds[owner, new_id] = digest
        self.blobs[owner][new_id] = self.blobs[owner].pop(blob_id) + data
        return new_id

    def purge_blobs(self, owner: Any) -> None:
        self.blobs.pop(owner, None)

    def owner_closed(self, owner: Any) -> None:
        self.purge_blobs(owner)
        self.uploads.pop(owner, None)

    def open_upload(self, owner: Any, plan: UploadPlan) -> tuple[int, bytes]:
        self.calls.append(("open", plan.coding))
        if plan.coding == PATCH and plan.base != self.md5:
            raise StoreError("another program is on the board")
        self.uploads[owner] = plan
        held = self.streams.setdefault(plan.digest, b"")
        return len(held), hashlib.md5(held).digest()

    def write_upload(self, owner: Any, offset: int, data: bytes) -> None:
        if owner not in self.uploads:
            raise BlobError("no upload is open")
        self.calls.append(("write", len(data)))
        digest = self.uploads[owner].digest
        assert offset <= len(self.streams[digest])
        self.streams[digest] = self.streams[digest][:offset] + data

    def finish_upload(self, owner: Any) -> None:
        if owner not in self.uploads:
            raise BlobError("no upload is open")
        self.calls.append("finish")
        plan = self.uploads[owner]
        with tempfile.TemporaryDirectory() as name:
            stream, base = Path(name, "stream"), Path(name, "base")
            stream.write_bytes(self.streams[plan.digest])
            base.write_bytes(self.image)
            decoding = Decoding(plan, str(stream), str(base), f"{name}/target")
            decoding.run()
            try:
                decoding.result()
            except StoreError:
                del self.streams[plan.digest], self.uploads[owner]
                raise
            data = Path(name, "target").read_bytes()
        self.blobs.setdefault(owner, {})[bytes.fromhex(plan.md5)] = data

    def sent(self) -> int:
        """Bytes of all chunks that were executed."""
        return sum(call[1] for call in self.calls if call[0] == "write")

    def match_md5(self, md5: str) -> bool:
        return self.md5 == md5

    def new_plc(self, owner: Any, md5: str, blob_id: bytes, extra: list[tuple[str, bytes]]) -> None:
        self.calls.append(("new_plc", md5))
        if blob_id not in self.blobs.get(owner, {}):
            raise BlobError("unknown blob")
        image = self.blobs[owner][blob_id]
        if hashlib.md5(image).hexdigest() != md5:
            raise StateError(f"the digest is not {md5}; {len(image)}")
        self.image, self.md5, self.state = image, md5, Status.Stopped
        self.extra = {name: self.blobs[owner][extra_id] for name, extra_id in extra}

    def start(self, cold: bool = False) -> None:
        self.calls.append("start cold" if cold else "start")
        if self.state != Status.Stopped:
            raise StateError("nothing to start: the PLC is not stopped")
        self.state = Status.Started

    def stop(self) -> None:
        self.calls.append("stop")
        if self.state != Status.Started:
            raise StateError("the PLC is not started")
        self.state = Status.Stopped

    def repair(self) -> None:
        self.calls.append("repair")
        self.state = Status.Empty

    def log_message(self, level: int, number: int) -> Any:
        if level != 1 or number >= len(self.logged):
            raise StateError("no such message")
        return SimpleNamespace(level=1, tick=0, sec=7, nsec=number, text=self.logged[number])

    def reset_log(self) -> None:
        self.logged.clear()

    def set_trace_list(self, orders: list[tuple[int, bytes]], keep_forces: bool = False) -> int:
        if not orders:
            return -5
        if any(index >= len(self.names) for index, _ in orders):
            return -4
        self.calls.append(("trace", orders))
        if not keep_forces:
            self.forces = {index: force for index, force in orders if force}
        self.token += 1
        return self.token

    def get_traces(self, token: int, max_bytes: int) -> tuple[int, list[tuple[int, bytes]]]:
        if token != self.token or not token:
            return Status.Broken, []
        return Status.Started, [(3, b"abcd")]

    def board_status(self) -> Any:
        return SimpleNamespace(
            plc=self.state, real_time=False, scheduling="fake", forced=len(self.forces),
            traced=0, trace_lost=0, fault="", uptime_ns=1,
        )  # fmt: skip

    def program(self) -> Any:
        return SimpleNamespace(
            loaded=True, md5=self.md5, name="fake", build_id="1", variables=len(self.names),
            table=self.table(),
            tasks=(SimpleNamespace(name="MAIN", interval_ns=1_000_000, priority=1),),
        )  # fmt: skip

    def table(self) -> int:
        return len(self.names)

    def check(self, table: int) -> None:
        if table != self.table():
            raise TableChanged("the program was replaced")

    def variables(self, table: int) -> list[Any]:
        self.check(table)
        return [
            SimpleNamespace(path=n, location="", type=5, direction=0, options=0, capacity=0)
            for n in self.names
        ]

    def read_variables(self, indices: list[int], table: int) -> tuple[int, bytes]:
        self.check(table)
        if any(index >= len(self.names) for index in indices):
            raise VariableError(f"no variable {max(indices)}")
        return 9, b"".join(index.to_bytes(4, "little") for index in indices)

    def force_variables(self, values: dict[int, bytes], table: int) -> None:
        self.check(table)
        self.values_forced += values.values()
        self.forces.update(values)
        self.forces = {index: value for index, value in self.forces.items() if value}

    def forced(self) -> tuple[int, list[int]]:
        return self.table(), list(self.forces)

    def release_forces(self) -> None:
        self.forces.clear()

    def statistics(self, reset: bool) -> Any:
        one = SimpleNamespace(
            bin_ns=1000, count=1, min_ns=1, avg_ns=1, p50_ns=1, p99_ns=1, p999_ns=1, max_ns=1,
            overflow=0, bins=[0, 1, 0],
        )  # fmt: skip
        return SimpleNamespace(
            ticks=1, overruns=0, skipped=0, period_ns=1_000_000, wakeup=one, execution=one,
            shim=one,
        )  # fmt: skip

    def keep(self, count: int, orphans: int, trouble: str, told: int | None = None) -> None:
        """So many retained values; `told`: so many it says."""
        self.kept = [
            RetainedValue(Key(f"CONFIG.KEPT{n}", 5, 0), n.to_bytes(8, "little"), n < orphans)
            for n in range(count)
        ]
        said = count if told is None else told
        self.retain_status = RetainStatus(True, said, orphans, 4, 5, trouble)

    def retained(self, first: int) -> tuple[RetainStatus, list[RetainedValue]]:
        self.calls.append("retained")
        return self.retain_status, self.kept[first:]

    def clear_retained(self) -> None:
        self.calls.append("clear")

    def sample(self, tick: int, values: bytes) -> None:
        """A tick was traced."""
        with self.lock:
            self.samples.append(
                tick.to_bytes(4, "little") + len(values).to_bytes(4, "little") + values
            )

    def open_trace(self, indices: list[int], table: int, options: Any = None) -> int:
        self.check(table)
        self.options = options
        self.token += 1
        return self.token

    def read_trace(self, token: int, cursor: int, max_bytes: int, longest: int = 0) -> Any:
        if token != self.token:
            raise TraceError("another trace was opened")
        with self.lock:
            del self.samples[: cursor - self.oldest]
            self.oldest = cursor
            taken: list[bytes] = []
            for sample in self.samples:
                if sum(map(len, taken)) + len(sample) > max_bytes:
                    break
                taken.append(sample)
            return self.state, SimpleNamespace(
                next_cursor=cursor + len(taken), lost=0, decimated=0,
                more=len(taken) < len(self.samples), done=False, every=1, since=0, capture=0,
                trigger_tick=0, timed_out=False, coding=0, records=len(taken),
                samples=b"".join(taken),
            )  # fmt: skip

    def close_trace(self, token: int) -> None:
        self.token += 1


class Bench:
    """A server, and any number of links to it."""

    def __init__(self, plc: FakePLC) -> None:
        self.plc = plc
        self.ends: list[LoopTransport] = []  # the client's ends of the links, oldest first
        self.reliable = False
        self.rate_Bps: float | None = None
        self._threads: list[threading.Thread] = []
        self.boot(0x1000)

    def boot(self, boot_id: int) -> None:
        """The board restarts: links close, sessions and what belongs to them are gone."""
        for end in self.ends:
            end.cut()
        self.plc.blobs.clear()
        self.plc.uploads.clear()
        self.sessions = ServerSessions(boot_id)
        self.server = Server(self.plc, self.sessions, ABOUT)  # type: ignore[arg-type]

    def open(self) -> LoopTransport:
        """A new link; returns the client's end."""
        near, far = loop_pair(self.reliable, self.rate_Bps)
        thread = threading.Thread(target=self.server.serve, args=(far,), daemon=True)
        thread.start()
        self._threads.append(thread)
        self.ends.append(near)
        return near

    def client(self, **options: Any) -> Client:
        """A client that reaches the server, again and again."""
        return Client(self.open, **{"timeout_s": 20.0, "reconnect_s": 20.0, **options})

    def close(self) -> None:
        for end in self.ends:
            end.close()
        self.join()

    def join(self) -> None:
        """Wait until all links are served to their end."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def plc() -> FakePLC:
    return FakePLC()


@pytest.fixture
def bench(plc: FakePLC) -> Iterator[Bench]:
    bench = Bench(plc)
    yield bench
    bench.close()


@pytest.fixture
def listener(bench: Bench) -> Iterator[TcpListener]:
    """A TCP port of the bench's server."""
    listener = TcpListener("127.0.0.1", 0)
    bench.server.listen(listener, parallel=True)
    yield listener
    bench.server.close()


@pytest.fixture
def client(bench: Bench) -> Iterator[Client]:
    with bench.client() as client:
        yield client
