# SPDX-License-Identifier: MIT
"""The serialized worker: every operation on the PLC runs on one thread, one by one.

Transport threads submit jobs and wait for their results; the main thread runs them in
``Worker.run``. So the PLC object and the C shim's command side have one caller and need no
locks, and Xenomai's services are only ever used from the thread that initialised them.

A job waits in the queue at most until its deadline. Once started it is never given up: its
caller waits for the end, because an operation half known to be done is worse than a late one.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from serial_runtime.errors import WorkerBusy, WorkerStopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

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
    """First in, first out. A queue with priorities replaces this class and nothing else.

    `put` and `wake` may be called from any thread, `wake` also from a signal handler that
    interrupted `take`: it only releases a semaphore-like lock.
    """

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        self._ready = threading.Lock()  # held while there is nothing to take
        self._ready.acquire()

    def put(self, job: _Job) -> None:
        self._jobs.append(job)
        self.wake()

    def wake(self) -> None:
        """Make a waiting `take` return."""
        # Released by somebody else already: the taker will look anyway.
        try:
            self._ready.release()
        except RuntimeError:
            return

    def take(self, timeout_s: float) -> _Job | None:
        """The next job, or None at the timeout or after `wake`. timeout_s < 0: no timeout."""
        if not self._jobs:
            self._ready.acquire(timeout=timeout_s)
        return self.pop()

    def pop(self) -> _Job | None:
        """The next job if there is one."""
        return self._jobs.popleft() if self._jobs else None


class Worker:
    """Runs jobs of other threads on the thread that calls `run`."""

    def __init__(self, queue: JobQueue | None = None) -> None:
        self._queue = queue if queue is not None else JobQueue()
        self._door = threading.Lock()  # protects _closed against a put that comes too late
        self._closed = False
        self._stopping = False
        # Held by whoever executes: the thread inside run() but while it waits for a job, and a
        # borrower (`call_here`). Nobody can borrow before run() has done `first`, or after it.
        self._turn = threading.Lock()
        self._turn.acquire()
        self._thread = 0  # ident of the thread that holds the turn

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
        due = time.monotonic() + every_s
        try:
            if first is not None:
                first()
            while not self._stopping:
                timeout_s = -1.0
                if housekeeping is not None:
                    now = time.monotonic()
                    if now >= due:
                        housekeeping()
                        due = now + every_s
                    timeout_s = max(0.0, due - now)
                job = self._wait(timeout_s)
                if job is not None:
                    self._execute(job)
                    del job  # its result may be large; do not keep it while waiting
        finally:
            self._close()

    def stop(self) -> None:
        """End `run` after the present job. Any thread, also a signal handler; idempotent."""
        self._stopping = True
        self._queue.wake()

    @property
    def stopped(self) -> bool:
        """True once no job will be taken any more."""
        return self._closed

    def call(self, function: Callable[..., R], *args: Any, deadline_s: float | None = None) -> R:
        """Run ``function(*args)`` on the worker and return its result or raise its exception.

        Runs directly when already on the worker. `deadline_s` (on the ``time.monotonic()``
        clock) ends waiting in the queue with `WorkerBusy`, the job is then never executed; a
        started job is waited for. `WorkerStopped` when the worker has ended or ends first.
        """
        if threading.get_ident() == self._thread:
            return function(*args)
        job = _Job(function, args)
        with self._door:
            if self._closed:
                raise WorkerStopped("the runtime is shutting down")
            self._queue.put(job)
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

    def call_here(self, function: Callable[..., R], *args: Any) -> R:
        """Like `call`, but on the calling thread if the worker is idle.

        That saves two switches between threads, most of the cost of a short call. Still one
        operation at a time; for functions that do not care which thread they run on.
        """
        if not self._turn.acquire(blocking=False):
            return self.call(function, *args)
        self._thread = threading.get_ident()
        try:
            return function(*args)
        finally:
            self._thread = 0
            self._turn.release()

    def _wait(self, timeout_s: float) -> _Job | None:
        """Take a job; meanwhile others may borrow the turn."""
        thread, self._thread = self._thread, 0
        self._turn.release()
        try:
            return self._queue.take(timeout_s)
        finally:
            self._turn.acquire()
            self._thread = thread

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
        while (job := self._queue.pop()) is not None:
            if job.claim.acquire(blocking=False):
                job.finish(WorkerStopped("the runtime is shutting down; the call was not done"))


def _left_s(deadline_s: float) -> float:
    return min(max(0.0, deadline_s - time.monotonic()), threading.TIMEOUT_MAX)


def serialized(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Decorator: run a method of an object that has a `worker` on that worker."""
    return _wrap(method, here=False)


def serialized_anywhere(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Decorator: the same for a short method that may run on any thread: see `call_here`."""
    return _wrap(method, here=True)


def _wrap(method: Callable[Concatenate[S, P], R], *, here: bool) -> Callable[Concatenate[S, P], R]:
    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        worker = self.worker
        if threading.get_ident() == worker._thread:
            return method(self, *args, **kwargs)
        call = worker.call_here if here else worker.call
        if kwargs:
            return call(lambda: method(self, *args, **kwargs))
        return call(method, self, *args)

    wrapper.__name__ = method.__name__
    wrapper.__qualname__ = method.__qualname__
    wrapper.__doc__ = method.__doc__
    wrapper.__wrapped__ = method  # type: ignore[attr-defined]
    return wrapper
