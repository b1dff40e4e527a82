# SPDX-License-Identifier: MIT
"""What a test sees of a board, whether it is a process here, emulated, or real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from serial_runtime.rpc.client import Client

State = Literal["off", "booted", "served", "programmed", "running"]
"""off: no power. booted: a shell, the runtime stopped. served: the runtime answers on the line.
programmed: it has the rig's program, stopped. running: that program runs."""
STATES: tuple[State, ...] = ("off", "booted", "served", "programmed", "running")
Kind = Literal["simulator", "emulated", "real"]


class RigError(Exception):
    """The rig, or the board in it, does not do what is needed; the text says where to look."""


class ShellError(RigError):
    """A command on the board failed."""

    def __init__(self, command: str, code: int, output: str) -> None:
        super().__init__(f"exit code {code} of `{command}` on the board:\n{output}")
        self.command, self.code, self.output = command, code, output


class Pins(Protocol):
    """The wires of the board's process I/O, by the names of the environment file."""

    inputs: tuple[str, ...]
    """Inputs of the board, which the rig drives."""
    outputs: tuple[str, ...]
    """Outputs of the board."""

    def __getitem__(self, name: str) -> bool:
        """The level: what the board puts out, or what the rig drives. KeyError."""

    def __setitem__(self, name: str, level: bool) -> None:
        """Drive an input of the board. KeyError."""


class Service(Protocol):
    """The runtime as the board's service manager has it."""

    def start(self) -> None:
        """Start it, unless it runs."""

    def stop(self) -> None:
        """Stop it in order; returns when it has ended."""

    def kill(self) -> None:
        """SIGKILL to the runtime; the service manager starts it again."""

    def pid(self) -> int:
        """Its process, 0 when there is none."""

    def configure(self, changes: dict[str, object]) -> None:
        """Other keys in its profile ("store.autostart": False); heard at its next start.

        Each call begins with the board's own profile, so {} brings that back.
        """


class Board:
    """A board in the rig; what a labgrid strategy (`hil.boards.strategy`) has to do with tests."""

    name: str
    """Of the environment file."""
    kind: Kind
    target: str
    """The compiler's name for its machine, as `serial_codegen.build` takes it; "": this host's."""

    def __init__(self, name: str, strategy: Any) -> None:
        self.name = name
        self.kind, self.target = strategy.kind, strategy.compiler
        self._strategy = strategy

    @property
    def uri(self) -> str:
        """Of the host's end of the line."""
        return str(self._strategy.uri)

    @property
    def store(self) -> str:
        """store.dir on the board."""
        return str(self._strategy.store_dir)

    @property
    def console_log(self) -> str:
        """File with everything its console said since power-on; "" when there is none."""
        return str(self._strategy.console_log)

    @property
    def service(self) -> Service:
        """The runtime as the board's service manager has it; needs the board's shell."""
        service: Service = self._strategy.active_service()
        return service

    def go(self, state: State) -> None:
        """Bring it into this state, from whatever state it is in. RigError."""
        self._strategy.transition(state)

    def connected(self) -> Client:
        """A client, as soon as the runtime answers. RigError: it does not."""
        client: Client = self._strategy.connected()
        return client

    def shell(self, command: str, timeout_s: float = 30.0) -> str:
        """Run a shell command as root on the board; what it printed, or ShellError.

        The simulator runs it on this host, as the user of the rig.
        """
        return str(self._strategy.shell(command, timeout_s))

    def journal(self) -> str:
        """What the runtime's service printed since the board is on."""
        return str(self._strategy.active_service().journal())

    def versions(self) -> dict[str, str]:
        """Of everything that decides how it behaves."""
        versions: dict[str, str] = self._strategy.versions()
        return versions


class Power:
    """The board's plug."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self.on_cut: Callable[[str], object] = lambda text: None

    def cut(self) -> None:
        """Power off, whatever the board does: SIGKILL of the emulator, or the relay."""
        self.on_cut("power cut")
        self._strategy.cut()

    def on(self) -> None:
        """Power on; returns at once, the board boots."""
        self._strategy.on()

    def cycle(self) -> None:
        """Both."""
        self.cut()
        self.on()
