# SPDX-License-Identifier: MIT
"""The serialized worker: order, results, deadlines, its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from serial_runtime.errors import StateError, WorkerBusy, WorkerStopped
from serial_runtime.worker import Worker, serialized

LONG_S = 60.0  # a deadline for what must happen; never waited out


class Running:
    """A worker on its own thread; `ended` holds what ended it, if anything."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.ended: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.ended.append(error)

    def finish(self) -> None:
        self.worker.stop()
        self.thread.join(LONG_S)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[Running]:
    it = Running()
    it.thread.start()
    yield it
    it.finish()


class Gate:
    """A job that tells when it started and ends when it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go = threading.Event()

    def __call__(self) -> str:
        self.started.set()
        assert self.go.wait(LONG_S)
        return "done"


def in_thread(function: object, *args: object, **kwargs: object) -> tuple[threading.Thread, list]:
    """Run in a thread; the list receives the result or the exception."""
    outcome: list[object] = []

    def body() -> None:
        try:
            outcome.append(function(*args, **kwargs))  # type: ignore[operator]
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, outcome


def test_a_call_runs_on_the_worker_and_returns(running: Running) -> None:
    assert running.worker.call(threading.get_ident) == running.thread.ident
    assert running.worker.call(divmod, 7, 2) == (3, 1)


def test_an_exception_reaches_the_caller_and_the_worker_lives(running: Running) -> None:
    def refuse() -> None:
        raise StateError("no")

    for _ in range(3):
        with pytest.raises(StateError, match="no"):
            running.worker.call(refuse)
    assert running.worker.call(int) == 0


def test_a_call_from_the_worker_itself_runs_directly(running: Running) -> None:
    assert running.worker.call(running.worker.call, threading.get_ident) == running.thread.ident


def test_jobs_of_many_threads_never_overlap(running: Running) -> None:
    state = {"inside": 0, "most": 0, "done": 0}

    def job() -> None:
        state["inside"] += 1
        state["most"] = max(state["most"], state["inside"])
        time.sleep(0)  # let others try to get in
        state["done"] += 1
        state["inside"] -= 1

    def many() -> None:
        for _ in range(50):
            running.worker.call(job)

    threads = [in_thread(many)[0] for _ in range(8)]
    for thread in threads:
        thread.join(LONG_S)
    assert state == {"inside": 0, "most": 1, "done": 400}


def test_a_deadline_ends_waiting_and_the_job_never_runs(running: Running) -> None:
    gate, ran = Gate(), []
    holder, _ = in_thread(running.worker.call, gate)
    assert gate.started.wait(LONG_S)
    with pytest.raises(WorkerBusy):
        running.worker.call(ran.append, 1, deadline_s=time.monotonic() - 1)
    gate.go.set()
    holder.join(LONG_S)
    assert running.worker.call(len, ran) == 0


def test_a_worker_may_have_a_deadline_for_all(running: Running) -> None:
    running.worker._wait_s = 0.0
    gate, ran = Gate(), []
    holder, outcome = in_thread(running.worker.call, gate, deadline_s=time.monotonic() + LONG_S)
    assert gate.started.wait(LONG_S)
    with pytest.raises(WorkerBusy):
        running.worker.call(ran.append, 1)
    gate.go.set()
    holder.join(LONG_S)
    assert outcome == ["done"]
    assert not ran


def test_a_started_job_is_waited_for_whatever_the_deadline(running: Running) -> None:
    gate = Gate()
    deadline_s = time.monotonic() + 1.0  # ample for an idle worker to start the job
    waiting, outcome = in_thread(running.worker.call, gate, deadline_s=deadline_s)
    assert gate.started.wait(LONG_S)
    while time.monotonic() < deadline_s + 0.05:
        waiting.join(0.05)
    assert waiting.is_alive()
    gate.go.set()
    waiting.join(LONG_S)
    assert outcome == ["done"]


def test_a_far_deadline_is_no_error(running: Running) -> None:
    assert running.worker.call(int, deadline_s=1e300) == 0


def test_the_end_finishes_the_present_job_and_refuses_the_waiting_ones() -> None:
    running, gate = Running(), Gate()
    running.thread.start()
    holder, held = in_thread(running.worker.call, gate)
    assert gate.started.wait(LONG_S)
    late, refused = in_thread(running.worker.call, int)
    deadline_s = time.monotonic() + LONG_S
    while not running.worker._queue._jobs and time.monotonic() < deadline_s:
        time.sleep(0.001)
    running.worker.stop()
    gate.go.set()
    running.thread.join(LONG_S)
    holder.join(LONG_S)
    late.join(LONG_S)
    assert held == ["done"]
    assert isinstance(refused[0], WorkerStopped)
    with pytest.raises(WorkerStopped):
        running.worker.call(int)


def test_an_interrupt_ends_the_worker_and_the_caller_learns_it() -> None:
    running = Running()
    running.thread.start()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(WorkerStopped):
        running.worker.call(interrupted)
    running.thread.join(LONG_S)
    assert isinstance(running.ended[0], KeyboardInterrupt)


def test_the_first_job_runs_before_what_was_submitted_earlier() -> None:
    worker, order = Worker(), []
    early, _ = in_thread(worker.call, order.append, "early")
    deadline_s = time.monotonic() + LONG_S
    while not worker._queue._jobs and time.monotonic() < deadline_s:
        time.sleep(0.001)
    thread, _ = in_thread(worker.run, lambda: order.append("first"))
    early.join(LONG_S)
    worker.stop()
    thread.join(LONG_S)
    assert order == ["first", "early"]


def test_housekeeping_runs_while_idle_and_while_busy() -> None:
    worker, rounds = Worker(), threading.Semaphore(0)
    thread, _ = in_thread(worker.run, housekeeping=rounds.release, every_s=0.001)
    for _ in range(3):  # idle
        assert rounds.acquire(timeout=LONG_S)
    deadline_s, seen = time.monotonic() + LONG_S, 0
    while seen < 3 and time.monotonic() < deadline_s:  # busy: there is always a job
        worker.call(int)
        seen += rounds.acquire(blocking=False)
    assert seen == 3
    worker.stop()
    thread.join(LONG_S)


def test_an_error_in_the_first_job_ends_the_worker_clearly() -> None:
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        worker.run(lambda: 1 // 0)
    with pytest.raises(WorkerStopped):
        worker.call(int)


def test_serialized_methods_go_to_the_worker(running: Running) -> None:
    class Thing:
        def __init__(self, worker: Worker) -> None:
            self.worker = worker

        @serialized
        def where(self, add: int, *, twice: bool = False) -> tuple[int, int]:
            """Says where."""
            return threading.get_ident(), add * (2 if twice else 1)

        @serialized
        def nested(self) -> tuple[int, int]:
            return self.where(1)

    thing = Thing(running.worker)
    assert thing.where(3) == (running.thread.ident, 3)
    assert thing.where(3, twice=True) == (running.thread.ident, 6)
    assert thing.nested() == (running.thread.ident, 1)
    assert thing.where.__doc__ == "Says where."


def test_a_result_is_not_kept_by_the_idle_worker(running: Running) -> None:
    import weakref

    class Big:
        pass

    reference = weakref.ref(running.worker.call(Big))
    running.worker.call(int)  # the worker went on
    assert reference() is None


class Pipe:
    """A source: what arrives in a pipe. Gives itself back at the end of the input, or when due."""

    def __init__(self, due_s: float | None = None) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.fds = (self.read_fd,)
        self.due_s = due_s
        self.got: list[bytes] = []
        self.threads: set[int] = set()

    def serve(self) -> bool:
        self.threads.add(threading.get_ident())
        try:
            self.got.append(os.read(self.read_fd, 100))
        except BlockingIOError:
            return False  # it was served because it was due
        return self.got[-1] != b""

    def close(self) -> None:
        os.close(self.read_fd)


def test_the_worker_serves_a_line_between_its_jobs(running: Running) -> None:
    pipe = Pipe()
    waiting, outcome = in_thread(running.worker.attend, pipe)
    for turn in range(20):
        assert running.worker.call(int) == 0
        os.write(pipe.write_fd, b"x%d" % turn)
    os.close(pipe.write_fd)
    waiting.join(LONG_S)
    assert outcome == [None]
    assert b"".join(pipe.got) == b"".join(b"x%d" % turn for turn in range(20))
    assert pipe.threads == {running.thread.ident}
    assert running.worker.call(int) == 0
    pipe.close()


def test_a_line_is_served_when_its_time_has_come(running: Running) -> None:
    pipe = Pipe(due_s=time.monotonic())
    waiting, outcome = in_thread(running.worker.attend, pipe)
    waiting.join(LONG_S)
    assert outcome == [None]
    os.close(pipe.write_fd)
    pipe.close()


def test_a_line_waits_for_a_busy_worker(running: Running) -> None:
    """However long: a line that gives up would never be served again."""
    running.worker._wait_s = 0.0
    gate, pipe = Gate(), Pipe()
    holder, _ = in_thread(running.worker.call, gate, deadline_s=time.monotonic() + LONG_S)
    assert gate.started.wait(LONG_S)
    waiting, outcome = in_thread(running.worker.attend, pipe)
    os.close(pipe.write_fd)
    waiting.join(0.05)
    assert not outcome
    gate.go.set()
    holder.join(LONG_S)
    waiting.join(LONG_S)
    assert outcome == [None]
    pipe.close()


def test_the_end_of_the_worker_gives_its_lines_back(running: Running) -> None:
    pipe = Pipe()
    waiting, outcome = in_thread(running.worker.attend, pipe)
    os.write(pipe.write_fd, b"served")
    deadline_s = time.monotonic() + LONG_S
    while not pipe.got:  # else the end could come before the line did
        assert time.monotonic() < deadline_s
    running.finish()
    waiting.join(LONG_S)
    assert [type(error) for error in outcome] == [WorkerStopped]
    with pytest.raises(WorkerStopped):
        running.worker.attend(pipe)
    os.close(pipe.write_fd)
    pipe.close()


def test_a_job_that_stops_the_worker_is_the_last_thing_it_does() -> None:
    worker, kept = Worker(), []

    def last() -> None:
        worker.stop()
        kept.clear()  # what housekeeping was for is gone

    thread, outcome = in_thread(worker.call, last)
    worker.run(housekeeping=lambda: kept.append(1), every_s=0.0)
    thread.join(LONG_S)
    assert outcome == [None]
    assert kept == []


def test_short_jobs_go_before_bulk_ones(running: Running) -> None:
    order: list[str] = []
    entered, go = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        go.wait(60)

    def submit(name: str, bulk: bool) -> threading.Thread:
        job = threading.Thread(
            target=lambda: running.worker.call(lambda: order.append(name), bulk=bulk)
        )
        before = len(running.worker._queue)
        job.start()
        while len(running.worker._queue) == before:
            threading.Event().wait(0.001)
        return job

    holding = threading.Thread(target=lambda: running.worker.call(hold))
    holding.start()
    assert entered.wait(60)
    jobs = [submit("chunk 1", True), submit("chunk 2", True), submit("stop", False)]
    go.set()
    for job in [holding, *jobs]:
        job.join(60)
    assert order == ["stop", "chunk 1", "chunk 2"]
