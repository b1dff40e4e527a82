# SPDX-License-Identifier: MIT
"""The runtime as a systemd service of a board that has a shell."""

from __future__ import annotations

import base64
import shlex

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol

from hil.boards.board import ShellError
from hil.boards.profile import with_changes

_PIECE = 600  # of a file in a command line, which a console takes in one go
_PATIENCE_S = 120.0


@target_factory.reg_driver
@attr.s(eq=False)
class SystemdDriver(Driver):
    """`unit` and `profile`: the name of the service, and the path of its profile."""

    bindings = {"shell": CommandProtocol}
    unit = attr.ib(default="serial-runtime", validator=attr.validators.instance_of(str))
    profile = attr.ib(
        default="/etc/serial-runtime/profile.toml", validator=attr.validators.instance_of(str)
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._own_profile = ""

    def start(self) -> None:
        self._systemctl("reset-failed")
        self._systemctl("start")

    def stop(self) -> None:
        self._systemctl("stop")

    def kill(self) -> None:
        self._systemctl("kill --signal=KILL --kill-who=main")

    def pid(self) -> int:
        return int(self._run(f"systemctl show --value -p MainPID {self.unit}").strip() or 0)

    def journal(self) -> str:
        return self._run(f"journalctl -b -u {self.unit} --no-pager -o short-monotonic -n 2000")

    def configure(self, changes: dict[str, object]) -> None:
        if not self._own_profile:
            self._own_profile = self._run(f"cat {self.profile}")
        data = base64.b64encode(with_changes(self._own_profile, changes).encode()).decode()
        temporary = shlex.quote(f"{self.profile}.new")
        self._run(f"rm -f {temporary}.64")
        for at in range(0, len(data), _PIECE):
            self._run(f"echo {data[at : at + _PIECE]} >> {temporary}.64")
        self._run(
            f"base64 -d {temporary}.64 > {temporary} && rm {temporary}.64 "
            f"&& chmod --reference={self.profile} {temporary} "
            f"&& mv {temporary} {self.profile} && sync"
        )

    def _systemctl(self, words: str) -> None:
        self._run(f"systemctl {words} {self.unit}")

    def _run(self, command: str) -> str:
        self.target.activate(self.shell)
        lines, _, code = self.shell.run(command, timeout=_PATIENCE_S)
        text = "\n".join(lines) + "\n"
        if code:
            raise ShellError(command, code, text)
        return text
