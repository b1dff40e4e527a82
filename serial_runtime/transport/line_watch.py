# SPDX-License-Identifier: MIT
"""What others do to the line of a runtime: the kernel's console, a login, changed settings.

None of them asks for the device's lock (the kernel and root need not), so they are looked for.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.transport.serial import SerialTransport


class LineWatch:
    """Looks after one line. One thread's."""

    def __init__(self, port: str, proc: str = "/proc") -> None:
        self.troubles: list[str] = []
        """What is so now, a sentence with its remedy each."""
        self._port = port
        self._name = os.path.basename(os.path.realpath(port))
        self._proc = proc
        self._seen: SerialTransport | None = None
        self._told: set[str] = set()

    def look(self, transport: SerialTransport) -> list[str]:
        """Put changed settings right, and return what was not told before. Costs a system call.

        Processes are looked through when there is a reason: the line was opened, settings were
        changed, or a login was there the last time.
        """
        changed = transport.restore_settings()
        if changed or transport is not self._seen or self.troubles:
            self._seen = transport
            self.troubles = self._look(transport)
        found = list(self.troubles)
        if changed and not found:
            found.append(
                f"another program changed the settings of {self._port}; they are set again"
            )
        news = [one for one in found if one not in self._told]
        self._told.update(news)
        return news

    def _look(self, transport: SerialTransport) -> list[str]:
        from serial_runtime.transport.owners import kernel_prints_on, login_on

        troubles = []
        if kernel_prints_on(self._port, self._proc):
            troubles.append(
                f"{self._port} is a console of the kernel: its messages damage ours, and after a "
                "break on the line one byte may restart the board (SysRq); take "
                f"console={self._name} off the kernel's command line"
            )
        if who := login_on(transport.device, self._proc):
            troubles.append(
                f"{who} offers a login on {self._port}: it takes our bytes and answers them; "
                f"systemctl mask --now serial-getty@{self._name}, then "
                f"udevadm trigger -c add --name-match={self._name}"
            )
        return troubles
