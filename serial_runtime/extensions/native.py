# SPDX-License-Identifier: MIT
"""The Python of a native program: a thread that stands between the board and the child process.

The worker says what the PLC does (`load`, `start`, ...), which is only noted; the Python thread
brings the process to where it belongs, one call after the other, each with a deadline:

    start process, load (files, then init) · start · evaluations and changes · stop · cleanup

A call that does not come back in time, or a process that ends, costs the process: it is killed,
whoever waits for a result is told, and another one begins from the start, a second later. When
not even `load` succeeds, it is not tried again before the next load or start of the program.

The thread polls: nothing wakes anybody from the cycle. It never waits for the worker, since the
worker waits for it in `close`; variables to be shared are noted, for `housekeeping`.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from serial_runtime.board import Board
from serial_runtime.board_types import Evaluation, Image, Variable
from serial_runtime.errors import SerialRuntimeError, VariableError
from serial_runtime.extensions.process import PythonProcess
from serial_runtime.extensions.variables import SharedVariables
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.plc.extensions import Limits, scripts
from serial_runtime.plc.log import CRITICAL, DEBUG, INFO, Log
from serial_runtime.plc.program_store import StoredProgram

_POLL_S = 0.01  # how long a request waits to be noticed
_AGAIN_S = 1.0  # from the end of a process to the start of the next
_CLOSE_S = 2.0  # for stop and cleanup together, when the runtime ends
_QUESTIONS = 20  # of threads in the process, before anything else has its turn


class _Program(NamedTuple):
    folder: str
    files: Sequence[str]
    variables: Mapping[str, Variable]


class _Wanted(NamedTuple):
    """What the worker has said last."""

    program: _Program | None = None
    run: int = 0  # of which start of the program; 0: it does not run
    closing: bool = False


class _Call(NamedTuple):
    """What the process is doing."""

    what: str
    deadline_s: float
    request: Evaluation | None = None


class NativeExtensions:
    """Implements plc.extensions.Extensions for programs in C. The worker calls its methods."""

    def __init__(self, board: Board, log: Log, limits: Limits) -> None:
        self._board = board
        self._log = log
        self._limits = limits
        self._wanted = _Wanted()  # replaced by the worker, whole
        self._runs = 0
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wake_fd, select.POLLIN)
        # Of which program, and its variables; replaced by the Python thread, whole.
        self._shared: tuple[_Program | None, SharedVariables | None] = None, None
        # Of the Python thread.
        self._process: PythonProcess | None = None
        self._program: _Program | None = None  # that the process is for
        self._seen_run = 0
        self._started = 0  # the run that the process has been told of
        self._failed = ""  # why there is no process for this program and run
        self._tried_run = 0
        self._not_before_s = -math.inf
        self._close_by_s = math.inf
        self._call: _Call | None = None
        self._request: Evaluation | None = None  # taken, not begun
        self._evaluated = False  # the last turn was an evaluation's
        self._answers: deque[tuple[Evaluation, str]] = deque()
        self._variables: SharedVariables | None = None  # of the process
        self._thread = threading.Thread(target=self._run, name="python", daemon=True)
        self._thread.start()

    # ---- the worker ------------------------------------------------------------------------------

    def load(self, program: StoredProgram, image: Image, path: str) -> None:
        variables = {variable.path: variable for variable in image.variables}
        new = _Program(program.files_directory, scripts(program.files), variables)
        self._want(program=new)

    def unload(self) -> None:
        self._want(program=None, run=0)

    def start(self) -> None:
        self._runs += 1
        self._want(run=self._runs)

    def stop(self) -> None:
        self._want(run=0)

    def housekeeping(self) -> None:
        program, variables = self._shared
        if variables is None or not variables.pending or program is not self._wanted.program:
            return
        try:
            variables.share_with_board()
        except SerialRuntimeError as error:
            self._log.add(CRITICAL, f"python: variables cannot be shared: {error}")

    def close(self) -> None:
        self._want(run=0, closing=True)
        self._thread.join()
        os.close(self._wake_fd)

    def _want(self, **changes: Any) -> None:
        self._wanted = self._wanted._replace(**changes)
        os.eventfd_write(self._wake_fd, 1)

    # ---- the Python thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            now_s = time.monotonic()
            if self._wanted.closing and self._close_by_s == math.inf:
                self._close_by_s = now_s + _CLOSE_S
            self._step(now_s)
            if self._wanted.closing and self._process is None:
                return
            self._wait(now_s)

    def _wait(self, now_s: float) -> None:
        """Until there is a message, an order of the worker, or something to look for."""
        timeout_s = math.inf
        if self._call is not None:
            timeout_s = min(self._call.deadline_s, self._close_by_s) - now_s
        if self._wanted.run:
            timeout_s = min(timeout_s, _POLL_S)
        timeout_ms = None if timeout_s == math.inf else math.ceil(max(0.0, timeout_s) * 1000)
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self._wake_fd:
                os.eventfd_read(fd)

    def _step(self, now_s: float) -> None:
        """Everything that can be done now."""
        if self._wanted.run != self._seen_run:  # nobody waits for results any more
            self._seen_run = self._wanted.run
            self._request = None
            self._answers.clear()
        self._hand_over()
        if self._process is None:
            self._go_without(now_s)
            return
        try:
            self._listen()
            if self._call is None and self._process is not None:
                self._go_on(now_s)
        except EOFError:
            self._lose("")
        except Exception as error:
            # User code may write into every descriptor, and send what it likes.
            self._lose(f"what it says makes no sense ({error})")
        if self._call is not None and now_s >= min(self._call.deadline_s, self._close_by_s):
            self._lose("it did not end in time")

    def _go_without(self, now_s: float) -> None:
        """No process: begin one if there is a use for it, or say why there is none."""
        wanted = self._wanted
        if wanted.program is not self._program or wanted.run not in (0, self._tried_run):
            self._failed = ""  # another one, or started again: worth another try
        if wanted.program is None or wanted.closing:
            self._program = None
            return
        if self._request is None:
            self._request = self._take()
        if self._failed:
            if self._request is not None:
                self._answer(self._request, f"#EXCEPTION : {self._failed}")
                self._request = None
            return
        if (wanted.program.files or self._request is not None) and now_s >= self._not_before_s:
            self._begin(wanted, now_s)

    def _begin(self, wanted: _Wanted, now_s: float) -> None:
        assert wanted.program is not None
        self._program = wanted.program
        self._tried_run = wanted.run
        self._not_before_s = now_s + _AGAIN_S
        self._variables = SharedVariables(self._board, wanted.program.variables)
        self._shared = wanted.program, self._variables
        try:
            self._process = PythonProcess(wanted.program.folder, wanted.program.files)
        except OSError as error:
            self._fail(f"Python cannot be started: {error}")
            return
        for connection in (self._process.calls, self._process.variables):
            self._poll.register(connection, select.POLLIN)
        self._order("load")

    def _fail(self, why: str) -> None:
        self._failed = why
        self._log.add(CRITICAL, f"python: {why}; the program goes on without")

    def _go_on(self, now_s: float) -> None:
        """The process is idle: give it the next order."""
        wanted = self._wanted
        leaves = wanted.closing or wanted.program is not self._program
        assert self._variables is not None
        if self._variables.unsettled and self._report_changes():
            return  # from here on changes of all count
        if self._started and (leaves or self._started != wanted.run):
            self._started = 0
            self._order("stop")
        elif leaves:
            self._order("cleanup")
        elif self._variables.pending:
            return  # what the scripts share is there before anything else of them runs
        elif wanted.run and not self._started:
            self._started = wanted.run
            self._order("start")
        elif self._started:
            # In turns: neither a program that always asks nor one that always changes has it all.
            turns = [self._evaluate, self._report_changes]
            self._evaluated = not self._evaluated
            for turn in turns if self._evaluated else reversed(turns):
                if turn():
                    break

    def _order(self, what: str, *arguments: object, request: Evaluation | None = None) -> None:
        assert self._process is not None
        limit_s = self._limits.init_s if what == "load" else self._limits.call_s
        self._call = _Call(what, time.monotonic() + limit_s, request)
        self._process.send(self._process.calls, what, *arguments)

    def _listen(self) -> None:
        """Take what the process has said."""
        assert self._process is not None
        for _ in range(_QUESTIONS):
            question = self._process.receive(self._process.variables)
            if question is None:
                break
            self._reply(*question)
        answer = self._process.receive(self._process.calls)
        if answer is None or self._call is None:
            return
        (kind, text), call = answer, self._call
        self._call = None
        if call.request is not None:
            self._answer(call.request, str(text))
        elif call.what == "load" and kind == "failed":
            self._end()
            self._fail(str(text))
        elif call.what == "load":
            files = self._program.files if self._program is not None else ()
            self._log.add(INFO, f"python: {', '.join(files) or 'ready'}")
        elif call.what == "cleanup":
            self._end(wait_s=1.0)

    def _lose(self, why: str) -> None:
        """The process is of no use any more."""
        call = self._call
        how = self._end(wait_s=0.0 if why else 1.0)
        why = why or f"the process ended ({how})"
        what = "" if call is None else f"{call.what}: "
        if call is not None and call.what == "load":
            self._fail(f"the files of the program and init: {why}")
            return
        if call is not None and call.request is not None:
            what = f"{call.request.code}: "
            self._answer(call.request, f"#EXCEPTION : {why}; Python begins anew")
        self._log.add(CRITICAL, f"python: {what}{why}; Python begins anew")

    def _end(self, wait_s: float = 0.0) -> str:
        assert self._process is not None
        for connection in (self._process.calls, self._process.variables):
            self._poll.unregister(connection)
        how = self._process.end(wait_s)
        self._process = self._call = None
        self._started = 0
        return how

    # ---- evaluations -----------------------------------------------------------------------------

    def _take(self) -> Evaluation | None:
        return self._board.take_evaluation() if self._wanted.run else None

    def _evaluate(self) -> bool:
        """Order the next evaluation, if there is one."""
        request = self._request or self._take()
        self._request = None
        if request is not None:
            self._order("eval", request.code, request.call, request=request)
        return request is not None

    def _answer(self, request: Evaluation, text: str) -> None:
        self._answers.append((request, text))
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the cycle what it takes, in order; writes first, so that a result implies them."""
        if not self._wanted.run:
            return
        if self._variables is not None and not self._variables.apply_writes():
            return
        while self._answers and self._board.answer_evaluation(*self._answers[0]):
            self._answers.popleft()

    # ---- variables -------------------------------------------------------------------------------

    def _reply(self, what: str, *arguments: Any) -> None:
        """Answer a question of the process."""
        assert self._process is not None
        if what == "log":
            level, text = arguments
            self._log.add(min(max(int(level), CRITICAL), DEBUG), str(text))
            return
        try:
            reply = self._answer_about_variables(what, arguments)
        except VariableError as error:
            reply = ("error", str(error))
        self._process.send(self._process.variables, *reply)

    def _answer_about_variables(self, what: str, arguments: Sequence[Any]) -> Sequence[object]:
        assert self._variables is not None
        if what == "share":
            return "ok", self._variables.share(*arguments)
        if what == "write":
            self._variables.write(*arguments)
            self._hand_over()
            return "ok", None
        if what != "read":
            raise ValueError(f"no question: {what!r}")
        values = self._variables.read()
        return ("later",) if values is None else ("ok", values)

    def _report_changes(self) -> bool:
        """Order the callbacks of what has changed since the last time, if there is anything."""
        assert self._variables is not None
        changes = self._variables.changes()
        if changes:
            self._order("changes", changes)
        return bool(changes)
