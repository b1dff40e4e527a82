# SPDX-License-Identifier: MIT
"""What `serial-runtime serve` runs: board, store, PLC object, server, in one process.

Threads, in the order of their start: `control` waits for signals; one for each listener and TCP
connection (`rpc.server`); the main thread is the worker (`worker`), whose first job loads the
stored program; the trace thread lives only while somebody traces. The RT thread belongs to the
shim.

When the worker runs and the listeners are open, one line is printed to standard output: ``READY``,
the URIs under which the runtime is reached, and ``SAFE-MODE`` when the stored program is not
started because it keeps crashing (``plc.crashes``).

*Re-execution.* A program fault taints the process (see ``plc.plc_object``). The PLC object then
asks for a new one: after the reply is written the runtime executes itself again with the same
arguments. The serial descriptor stays open, so no byte waiting there is lost, and so do the
connections of stock clients (`Server.hand_over`); the log goes along in a memory file. The process
id stays, so a supervisor notices nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

from serial_runtime.errors import ConfigError, LinkClosed, WorkerBusy, WorkerStopped
from serial_runtime.service_manager import ServiceManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from serial_runtime.board import Board, LogRecord
    from serial_runtime.config import Profile, Python
    from serial_runtime.listeners import Listeners
    from serial_runtime.plc.audit import AuditLog
    from serial_runtime.plc.extensions import Extensions
    from serial_runtime.plc.log import Log
    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.process_io.drivers import ProcessIo
    from serial_runtime.rpc.access import Access
    from serial_runtime.rpc.server import Server
    from serial_runtime.worker import Worker

    SavedLog = tuple[list[LogRecord], list[int]]  # see `plc.log.Log.save`

_RESUME = "SERIAL_RUNTIME_RESUME"  # environment of a re-executed process: see _Resume
_CONNECTIONS = "SERIAL_RUNTIME_CONNECTIONS"  # beside it: descriptors
_END_S = 10.0  # how long the end may wait for a call that is executing
_WAIT_S = 8.0  # for other clients' calls; less than a client waits, so that it is told why
_RESTART = b"\0"  # in the control pipe, where signal numbers arrive too


class _Resume:
    """What a process leaves to the one it executes: an environment variable and descriptors."""

    def __init__(self) -> None:
        text = os.environ.pop(_RESUME, "")
        log, start, *self.listeners = (int(word) for word in (text or "-1 -1").split())
        self.connections = [int(word) for word in os.environ.pop(_CONNECTIONS, "").split()]
        self.resumed = bool(text)
        self.start = start == 1
        self._log_fd = log

    def take_log(self, plc: PLC) -> None:
        """Put the log of the process before in front of ours."""
        if self._log_fd < 0:
            return
        import json

        from serial_runtime.board import LogRecord

        with os.fdopen(self._log_fd, "rb") as file:
            records, counts = json.load(file)
        plc.restore_log([LogRecord(*record) for record in records], counts)

    @staticmethod
    def leave(log: SavedLog, start: bool, serial_fd: int, *ports: int) -> dict[str, str]:
        """The environment for the next process; `serial_fd` and `ports`: what listeners leave."""
        import json

        log_fd = os.memfd_create("serial-runtime-log", 0)
        with os.fdopen(log_fd, "w", closefd=False) as file:
            json.dump(log, file)
        os.lseek(log_fd, 0, os.SEEK_SET)
        if serial_fd >= 0:
            os.set_inheritable(serial_fd, True)
        words = (log_fd, int(start), serial_fd, *ports)
        return {**os.environ, _RESUME: " ".join(map(str, words))}


class _Control:
    """Ends the process: for a signal, or to execute it again."""

    def __init__(self, worker: Worker, folder: str) -> None:
        """`folder`: to be removed at the end, which then is that of the standard input too."""
        self.plc: PLC | None = None
        self.process_io: ProcessIo | None = None
        self.server: Server | None = None
        self.restart = False
        self.log: SavedLog = ([], [])  # what a next process shall know
        self.connections: list[int] = []  # which it goes on with
        self.manager = ServiceManager()
        self._worker = worker
        self._folder = folder
        self._read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self._read_fd, True)

    def start(self) -> None:
        """Take the signals; main thread."""
        # The handlers do nothing: the interpreter writes the number into the pipe, at once, even
        # while the main thread executes a call.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        # Who starts this process may have them blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="control", daemon=True).start()
        if self._folder:
            threading.Thread(target=self._watch_input, name="input", daemon=True).start()

    def request_restart(self) -> None:
        """Execute the process again; never returns, so that nothing more is read from a line."""
        os.write(self._write_fd, _RESTART)
        threading.Event().wait()

    def _watch_input(self) -> None:
        with contextlib.suppress(OSError):  # there is none
            while os.read(0, 4096):
                pass
        os.write(self._write_fd, bytes([signal.SIGTERM]))

    def _run(self) -> None:
        self.restart = os.read(self._read_fd, 1) == _RESTART
        if not self.restart:
            self.manager.stopping()
        if self.server is not None:
            if self.restart:
                self.connections = self.server.hand_over()
            else:
                self.server.close()
        try:
            if self.plc is not None:
                self._worker.call(self._last_job, deadline_s=time.monotonic() + _END_S)
        except WorkerBusy:
            print("serial-runtime: a call does not end; leaving all the same", file=sys.stderr)
            if self._folder:
                _remove(self._folder)
            os._exit(1)
        except WorkerStopped:
            return
        finally:
            self._worker.stop()

    def _last_job(self) -> None:
        """On the worker, which does nothing after it: the PLC object is closed then."""
        assert self.plc is not None
        self._worker.stop()
        if self.process_io is not None:
            self.process_io.close()
        if not self.restart:
            self.plc.close()
            return
        # The process is tainted: nothing of it is closed, the log is taken along.
        self.log = self.plc.save_log()
        self.plc.leave()


def run(profile: Profile, *, temporary: bool = False) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status. Main thread.

    `temporary`: also until the end of the standard input, which is that of the program that started
    this one; the store is made here and removed at the end.
    Raises what keeps it from starting: ConfigError, LinkError, StoreError, BoardError.
    """
    resume = _Resume()
    if not temporary:
        return _run(profile, resume, "")
    folder = os.path.abspath(profile.store.dir)
    if not resume.resumed:
        _make(folder)
    try:
        return _run(profile, resume, folder)
    finally:
        _remove(folder)


def _run(profile: Profile, resume: _Resume, folder: str) -> int:
    from serial_runtime.listeners import Listeners
    from serial_runtime.process_io.drivers import ProcessIo

    listeners = Listeners(profile, *resume.listeners)
    try:
        from serial_runtime.worker import Worker

        worker = Worker(wait_s=_WAIT_S)
        process_io = ProcessIo(*profile.io)
        plc, backend = _plc(profile, worker, process_io)
        control = _Control(worker, folder)
        control.plc, control.process_io = plc, process_io
        resume.take_log(plc)
        control.start()
        control.server = server = _server(profile, plc, backend, control, listeners, process_io)
        listeners.serve(server)
        _adopt(resume.connections, server)
    except BaseException:
        listeners.close()
        raise
    start = resume.start if resume.resumed else profile.store.autostart

    def first() -> None:
        safe_mode = ["SAFE-MODE"] if plc.supervision().safe_mode else []
        print("READY", *listeners.uris, *safe_mode, flush=True)
        control.manager.ready()
        plc.autoload(start)

    def housekeeping() -> None:
        plc.housekeeping()
        process_io.housekeeping()
        listeners.look(plc.log)
        control.manager.alive(plc.summary())

    worker.run(first, housekeeping=housekeeping)
    if server.access.audit is not None:
        server.access.audit.close()
    if control.restart:
        _execute_again(plc, listeners, control)
    listeners.close()
    return 0


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError as error:
        raise ConfigError(
            f"{folder} exists, and --temporary removes its folder at the end: name a new one"
        ) from error
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from error


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _plc(profile: Profile, worker: Worker, process_io: ProcessIo) -> tuple[PLC, str]:
    """The PLC object, and the name of its backend."""
    from functools import partial

    import serial_runtime
    from serial_runtime.board import Board, Options
    from serial_runtime.plc.plc_object import PLC
    from serial_runtime.plc.program_store import ProgramStore
    from serial_runtime.plc.trial import load_on_trial

    policy = profile.policy
    if policy.programs == "signed" and not policy.program_keys:
        raise ConfigError('policy.programs = "signed" needs policy.program_keys, the file of keys')
    own_cycle = profile.beremiz.cycle == "own"
    store = ProgramStore(profile.store.dir, max_program_bytes=profile.store.max_program_kib * 1024)
    board = Board(
        Options(
            priority=profile.rt.priority,
            cpu=profile.rt.cpu,
            watchdog_ns=profile.rt.watchdog_ms * 1_000_000,
            trace_ring_bytes=profile.rt.trace_ring_kib * 1024,
            cpu_latency_us=profile.rt.cpu_latency_us,
            io=profile.io.driver,
            io_parts=process_io.parts(),
            python=profile.python.enabled,
            own_cycle=own_cycle,
            threads=profile.rt.tasks == "threads",
            task_cpu=profile.rt.task_cpu,
            sensitivity=profile.rt.watchdog_sensitivity,
            overruns=profile.rt.overrun_limit if profile.rt.overrun == "fault" else 0,
        )
    )
    retain_files = None
    if profile.retain.enabled:
        from serial_runtime.plc.retain_file import RetainFiles

        retain_files = RetainFiles(profile.retain.dir or profile.store.dir)
    plc = PLC(
        board,
        store,
        worker,
        version=serial_runtime.__version__,
        blob_quota_bytes=profile.store.blob_quota_kib * 1024,
        trace_buffer_bytes=profile.store.trace_buffer_kib * 1024,
        keys_path=policy.program_keys if policy.programs == "signed" else "",
        extensions=_extensions(profile.python, board),
        retain_files=retain_files,
        retain_interval_s=profile.retain.interval_s,
        trial=partial(load_on_trial, own_cycle=own_cycle),
        crash_limit=profile.supervision.crash_limit,
        stable_s=profile.supervision.stable_s,
    )
    process_io.start(plc.log)
    return plc, board.backend


def _extensions(python: Python, board: Board) -> Callable[[Log], Extensions]:
    """What makes the Python extensions of programs, or what refuses them."""
    if not python.enabled:
        from serial_runtime.plc.extensions import NoExtensions

        return NoExtensions
    from serial_runtime.extensions.choice import ProgramExtensions
    from serial_runtime.plc.extensions import Limits

    limits = Limits(python.init_timeout_s, python.call_timeout_s)
    return lambda log: ProgramExtensions(board, log, limits)


def _server(
    profile: Profile,
    plc: PLC,
    backend: str,
    control: _Control,
    listeners: Listeners,
    process_io: ProcessIo,
) -> Server:
    from serial_runtime.plc.identity import load_or_create
    from serial_runtime.protocol.session import ServerSessions
    from serial_runtime.rpc.about import About
    from serial_runtime.rpc.server import Server

    sessions = ServerSessions(int.from_bytes(os.urandom(4), "little"))
    own = load_or_create(profile.store.dir, os.uname().nodename)
    kib = min(profile.store.max_program_kib, profile.store.blob_quota_kib)
    about = About(
        own.id,
        plc.version,
        backend,
        kib * 1024,
        connections=listeners.connections,
        io_drivers=process_io.drivers,
        io_points=process_io.points,
    )
    access = _access(profile, plc)
    return Server(plc, sessions, about, control.request_restart, plc.worker, access)


def _access(profile: Profile, plc: PLC) -> Access:
    from serial_runtime.plc.log import CRITICAL
    from serial_runtime.rpc.access import Access, Role

    policy, directory = profile.policy, profile.store.dir
    kinds = ("serial", "tcp", "tls", "wamp", "pyro")
    roles = {kind: Role[getattr(policy, kind).upper()] for kind in kinds}
    audit: AuditLog | None = None
    if policy.audit_kib:
        from serial_runtime.plc.audit import AuditLog

        audit = AuditLog(directory, policy.audit_kib * 1024, lambda text: plc.log(CRITICAL, text))
    return Access(roles, directory, policy.pairing, audit)


def _adopt(connections: list[int], server: Server) -> None:
    if connections:
        from serial_runtime.transport.tcp import adopt

        for fd in connections:
            with contextlib.suppress(LinkClosed):
                server.adopt(adopt(fd))


def _execute_again(plc: PLC, listeners: Listeners, control: _Control) -> None:
    assert plc.restart is not None
    control.manager.reloading()
    environment = _Resume.leave(control.log, plc.restart.start, *listeners.left())
    for fd in control.connections:
        os.set_inheritable(fd, True)
    environment[_CONNECTIONS] = " ".join(map(str, control.connections))
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
