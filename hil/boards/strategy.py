# SPDX-License-Identifier: MIT
"""From off to a running program and back, the same for simulator, emulated and real boards."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attr
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, PowerProtocol
from labgrid.strategy import Strategy
from pexpect import ExceptionPexpect

from hil.boards.board import STATES, RigError, ShellError, State
from hil.boards.folders import ROOT, boot_slot
from hil.boards.line import LineDriver
from hil.boards.pins import PinsDriver
from hil.boards.programs import image_of
from serial_runtime import __version__
from serial_runtime.errors import CallRefused, LinkError
from serial_runtime.rpc.client import Client, connect
from serial_runtime.rpc.ide.common import Status

_TRY_S = 5.0


@target_factory.reg_driver
@attr.s(eq=False)
class BoardStrategy(Strategy):
    """The states of hil.boards.board; each transition looks at what is, and mends it.

    `kind`: simulator, emulated or real. `compiler`: name of the board's machine for gcc. `store`:
    store.dir on the board. `program`: a C source, for the states programmed and running.
    `patience_s`: how long a board may take to boot, or the runtime to answer.
    """

    bindings = {
        "power": PowerProtocol,
        "command": CommandProtocol,
        "service": {"SimulatorDriver", "SystemdDriver"},
        "line": LineDriver,
        "pins": {PinsDriver, None},
    }
    kind = attr.ib(validator=attr.validators.in_(["simulator", "emulated", "real"]))
    compiler = attr.ib(default="", validator=attr.validators.instance_of(str))
    store = attr.ib(default="", validator=attr.validators.instance_of(str))
    program = attr.ib(default="hil/programs/pins.c", validator=attr.validators.instance_of(str))
    patience_s = attr.ib(default=180.0, validator=attr.validators.instance_of(float))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.at: State = "off"

    # The fixtures' view of it, see `Board`; labgrid has `name` and `target` for itself.

    @property
    def uri(self) -> str:
        self.target.activate(self.line)
        return str(self.line.uri)

    @property
    def store_dir(self) -> str:
        return str(self.store or self.power.store)

    @property
    def console_log(self) -> str:
        return str(getattr(self.power, "console_log", ""))

    def transition(self, status: State) -> None:
        """labgrid's name for it: bring the board into this state. RigError."""
        if status not in STATES:
            raise RigError(f"no state {status!r}; there are {', '.join(STATES)}")
        if status == "off":
            self.cut()
            return
        if self.at == "off":
            with boot_slot():
                self.on()
                if status == "booted":
                    self.active_service()
                else:
                    self.connected().close()
        else:
            self.on()
        if status == "booted":
            self.active_service().stop()
        else:
            if self.at == "booted":
                self.active_service().start()
            with self._client() as client:
                if status == "served":
                    pass
                else:
                    self._programmed(client)
                    if status == "running":
                        client.start()
        self.at = status

    def force(self, status: State) -> None:
        """labgrid's name for it: believe that the board is in this state."""
        self.target.activate(self.power)
        self.at = status

    # Power.

    def on(self) -> None:
        """Power on, and the wires are there."""
        for one in (self.power, self.line, self.pins):
            if one is not None:
                self.target.activate(one)
        if self.at == "off":
            self.power.on()
            self.at = "served"

    def cut(self) -> None:
        """Power off, whatever it does just now."""
        if self.command is not self.power:
            self.target.deactivate(self.command)
        self.target.activate(self.power)
        self.power.off()
        self.at = "off"

    # What needs a shell.

    def shell(self, command: str, timeout_s: float = 30.0) -> str:
        """See `Board`."""
        self._check_on()
        with self._console():
            self.target.activate(self.command)
            lines, _, code = self.command.run(command, timeout=timeout_s)
        text = "".join(f"{line}\n" for line in lines)
        if code:
            raise ShellError(command, code, text)
        return text

    def versions(self) -> dict[str, str]:
        """See `Board`."""
        tree = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        described = subprocess.run(tree, capture_output=True, text=True)
        found = {"rig": f"{__version__} {described.stdout.strip()}"}
        found |= getattr(self.power, "machine_versions", dict)()
        for name, command in {
            "runtime": "serial-runtime --version",
            "kernel": "uname -srvm",
            "python": "python3 --version",
            "system": ". /etc/os-release; echo $PRETTY_NAME",
        }.items():
            found[name] = self.shell(command, 60.0).strip()
        return found

    # Steps.

    def _programmed(self, client: Client) -> None:
        """The rig's program is on the board, stopped."""
        image = image_of(ROOT / self.program, self.compiler)
        if client.status().status == Status.Started:
            client.stop()
        if not client.match_md5(image.md5):
            client.download(image.data)
        elif client.status().status == Status.Broken:
            client.repair()
            client.download(image.data)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        """A client of a runtime that answers."""
        client = self.connected()
        with client:
            try:
                yield client
            except (LinkError, CallRefused) as error:
                raise RigError(f"{error}; {self._where_to_look()}") from error

    def connected(self) -> Client:
        """A client, when the runtime answers. RigError: it does not, in all our patience."""
        end_s = time.monotonic() + self.patience_s
        while True:
            try:
                with connect(self.uri, timeout_s=_TRY_S, reconnect_s=0.0):
                    break
            except LinkError as error:
                if time.monotonic() > end_s:
                    raise RigError(
                        f"the board does not answer within {self.patience_s:.0f} s ({error}); "
                        f"{self._where_to_look()}"
                    ) from error
                time.sleep(0.2)
        return connect(self.uri, timeout_s=30.0)

    def active_service(self) -> Any:
        """See `Service`; the board has power."""
        self._check_on()
        with self._console():
            self.target.activate(self.service)
        return self.service

    def _check_on(self) -> None:
        if self.at == "off":
            raise RigError("the board has no power; power.on() first")

    @contextlib.contextmanager
    def _console(self) -> Iterator[None]:
        try:
            yield
        except ExceptionPexpect as error:
            raise RigError(f"no shell on the board's console; {self._where_to_look()}") from error

    def _where_to_look(self) -> str:
        """What the text of an error ends with."""
        where = [f"line: {self.line.counters()}"]
        if self.console_log:
            log = Path(self.console_log)
            tail = log.read_text(errors="replace")[-400:] if log.exists() else ""
            where.append(f"its console is in {self.console_log}, which ends {tail!r}")
        else:
            with contextlib.suppress(Exception):
                where.append(f"its journal ends {self.service.journal()[-400:]!r}")
        return "; ".join(where)
