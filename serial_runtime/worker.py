# SPDX-License-Identifier: MIT
"""The serialized worker: every operation on the PLC runs on one thread, one by one.

Transport threads submit jobs and wait for their results; the main thread runs them in
``Worker.run``. So the PLC object and the C shim's command side have one caller and need no
locks, and Xenomai's services are only ever used from the thread that initialised them.

While it has no job the worker serves the serial line itself (``Worker.attend``): a call over it
then needs no switch between threads, which on a small board costs more than the call.

A job waits in the queue at most until its deadline. Once started it is never given up: its
caller waits for the end, because an operation half known to be done is worse than a late one.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections import deque

from serial_runtime.errors import WorkerBusy, WorkerStopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

    class Source(Protocol):
        """A serial line, served by the worker while it attends to it."""

        @property
        def fds(self) -> tuple[int, ...]:
            """Descriptors; when one is readable, it is time to serve."""

        @property
        def due_s(self) -> float | None:
            """When to serve though nothing arrives (``time.monotonic()``), or None."""

        def serve(self) -> bool:
            """Take what has arrived, without waiting; False: attend to me no longer."""

    class _HasWorker(Protocol):
        @property
        def worker(self) -> Worker: ...

    P = ParamSpec("P")
    R = TypeVar("R")
    S = TypeVar("S", bound=_HasWorker)


class _Job:
    """One call on its way. `claim` is taken by whoever gets it first: the worker or a deadline."""

    __slots__ = ("args", "claim", "done", "error", "function", "result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.claim = threading.Lock()
        self.done = threading.Lock()  # released when result or error is there
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self, error: BaseException | None) -> None:
        self.error = error
        self.done.release()


class JobQueue:
    """Short jobs before bulk ones; each kind first in, first out.

    `put` and `wake` may be called from any thread, `wake` also from a signal handler.
    """

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        self._bulk: deque[_Job] = deque()
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable after a `wake`

    def __len__(self) -> int:
        return len(self._jobs) + len(self._bulk)

    def put(self, job: _Job, bulk: bool = False) -> None:
        (self._bulk if bulk else self._jobs).append(job)
        self.wake()

    def wake(self) -> None:
        """Make `fd` readable, until `clear`."""
        os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """`fd` was readable: look for jobs after this, not before."""
        os.eventfd_read(self.fd)

    def pop(self) -> _Job | None:
        """The next job if there is one."""
        queue = self._jobs or self._bulk
        return queue.popleft() if queue else None


class Worker:
    """Runs jobs of other threads on the thread that calls `run`, and the line's bytes too."""

    def __init__(self, *, wait_s: float | None = None) -> None:
        """`wait_s`: how long a call without a deadline of its own waits for its turn at most."""
        self._queue = JobQueue()
        self._wait_s = wait_s
        self._door = threading.Lock()  # protects _closed against a put that comes too late
        self._closed = False
        self._stopping = False
        self._thread = 0  # ident of the thread inside run()
        self._poll = select.poll()
        self._poll.register(self._queue.fd, select.POLLIN)
        self._attended: dict[Source, threading.Event] = {}
        self._by_fd: dict[int, Source] = {}

    def run(
        self,
        first: Callable[[], object] | None = None,
        *,
        housekeeping: Callable[[], object] | None = None,
        every_s: float = 0.25,
    ) -> None:
        """Run jobs until `stop`; to be called on the main thread, once.

        `first` runs before any job, whenever that was submitted (the autoload). `housekeeping`
        runs about every `every_s` seconds, between jobs. What they raise ends the worker.
        """
        self._thread = threading.get_ident()
        due_s = time.monotonic() + every_s if housekeeping is not None else None
        try:
            if first is not None:
                first()
            while not self._stopping:
                if housekeeping is not None and due_s is not None and time.monotonic() >= due_s:
                    housekeeping()
                    due_s = time.monotonic() + every_s
                # One look at the lines, one job: neither holds up the other for long.
                self._serve(0.0 if self._queue else self._idle_s(due_s))
                if self._stopping:
                    break
                job = self._queue.pop()
                if job is not None:
                    self._execute(job)
                    del job  # its result may be large; do not keep it while waiting
        finally:
            self._close()

    def attend(self, source: Source) -> None:
        """Let the worker serve `source` from now on, in its turn with the jobs.

        Returns when `source.serve` said False; WorkerStopped when the worker has ended or ends
        first. Any thread but the worker.
        """
        released = threading.Event()
        self.call(self._admit, source, released, deadline_s=math.inf)
        released.wait()
        if self._closed:
            raise WorkerStopped("the runtime is shutting down")

    def _admit(self, source: Source, released: threading.Event) -> None:
        self._attended[source] = released
        for fd in source.fds:
            self._by_fd[fd] = source
            self._poll.register(fd, select.POLLIN)

    def _release(self, source: Source) -> None:
        for fd in source.fds:
            del self._by_fd[fd]
            self._poll.unregister(fd)
        self._attended.pop(source).set()

    def _idle_s(self, due_s: float | None) -> float | None:
        """How long there is nothing to do unless something arrives; None: for ever."""
        for source in self._attended:
            source_s = source.due_s
            if source_s is not None and (due_s is None or source_s < due_s):
                due_s = source_s
        return None if due_s is None else max(0.0, due_s - time.monotonic())

    def _serve(self, timeout_s: float | None) -> None:
        """Wait, and serve the lines that have bytes or whose time has come."""
        ready = self._poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
        sources = [self._by_fd.get(fd) for fd, _ in ready]
        if None in sources:
            self._queue.clear()
        for source in tuple(self._attended):
            if source not in sources:
                due_s = source.due_s
                if due_s is None or time.monotonic() < due_s:
                    continue
            if not source.serve():
                self._release(source)

    def stop(self) -> None:
        """End `run` after the present job. Any thread, also a signal handler; idempotent."""
        self._stopping = True
        self._queue.wake()

    def call(
        self,
        function: Callable[..., R],
        *args: Any,
        deadline_s: float | None = None,
        bulk: bool = False,
    ) -> R:
        """Run ``function(*args)`` on the worker and return its result or raise its exception.

        Runs directly when already on the worker. `bulk` lets all other jobs go first. `deadline_s`
        (on the ``time.monotonic()`` clock) ends waiting in the queue with `WorkerBusy`, the job is
        then never executed; a started job is waited for. `WorkerStopped` when the worker has ended
        or ends first.
        """
        if threading.get_ident() == self._thread:
            return function(*args)
        if deadline_s is None and self._wait_s is not None:
            deadline_s = time.monotonic() + self._wait_s
        job = _Job(function, args)
        with self._door:
            if self._closed:
                raise WorkerStopped("the runtime is shutting down")
            self._queue.put(job, bulk)
        if deadline_s is None:
            job.done.acquire()
        elif not job.done.acquire(timeout=_left_s(deadline_s)):
            if job.claim.acquire(blocking=False):
                raise WorkerBusy("the runtime is busy: the call waited too long, it was not done")
            job.done.acquire()
        if job.error is not None:
            try:
                raise job.error
            finally:
                del job  # error -> traceback -> this frame -> job -> error
        return job.result  # type: ignore[no-any-return]

    def _execute(self, job: _Job) -> None:
        if not job.claim.acquire(blocking=False):
            return  # its caller gave up
        try:
            job.result = job.function(*job.args)
        except Exception as error:
            job.finish(error)
        except BaseException:
            # KeyboardInterrupt and its like mean this thread, not the caller.
            job.finish(WorkerStopped("the runtime was interrupted during this call"))
            raise
        else:
            job.finish(None)

    def _close(self) -> None:
        with self._door:
            self._closed = True
        self._thread = 0
        for source in list(self._attended):
            self._release(source)
        while (job := self._queue.pop()) is not None:
            if job.claim.acquire(blocking=False):
                job.finish(WorkerStopped("the runtime is shutting down; the call was not done"))


def _left_s(deadline_s: float) -> float:
    return min(max(0.0, deadline_s - time.monotonic()), threading.TIMEOUT_MAX)


def serialized(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Decorator: run a method of an object that has a `worker` on that worker."""

    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        worker = self.worker
        if threading.get_ident() == worker._thread:
            return method(self, *args, **kwargs)
        if kwargs:
            return worker.call(lambda: method(self, *args, **kwargs))
        return worker.call(method, self, *args)

    return _named_like(method, wrapper)


def serialized_bulk(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Decorator like `serialized`, for methods that let all others go first: data of uploads."""

    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.worker.call(lambda: method(self, *args, **kwargs), bulk=True)

    return _named_like(method, wrapper)


def _named_like(method: Callable[P, R], wrapper: Callable[P, R]) -> Callable[P, R]:
    wrapper.__name__ = method.__name__
    wrapper.__qualname__ = method.__qualname__
    wrapper.__doc__ = method.__doc__
    wrapper.__wrapped__ = method  # type: ignore[attr-defined]
    return wrapper
