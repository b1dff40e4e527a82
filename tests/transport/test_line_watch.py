# SPDX-License-Identifier: MIT
"""What others do to a line: the kernel's console, a login, changed settings; told once each."""

from __future__ import annotations

import contextlib
import errno
import os
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from serial_runtime.errors import LinkError
from serial_runtime.transport import serial, tty_ioctl
from serial_runtime.transport.line_watch import LineWatch
from serial_runtime.transport.owners import kernel_prints_on, login_on
from serial_runtime.transport.serial import SerialTransport, open_serial
from serial_runtime.transport.serial_listener import SerialListener


class Tty:
    """A pty with a name, opened by the runtime; a /proc of our own."""

    def __init__(self, folder: Path) -> None:
        self.master, self.slave = os.openpty()
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.path = os.ttyname(self.slave)
        self.name = os.path.basename(self.path)
        self.consoles = self.proc / "consoles"
        self.consoles.write_text("tty0                 -WU (EC  p  )    4:1\n")
        opened = open_serial(self.path, 115200)
        assert isinstance(opened, SerialTransport)
        self.transport = opened

    def login(self, name: str = "agetty", pid: int = 7) -> Path:
        device = os.fstat(self.slave).st_rdev
        major, minor = os.major(device), os.minor(device)
        number = minor & 0xFF | major << 8 | minor >> 8 << 20  # proc(5), tty_nr
        process = self.proc / str(pid)
        process.mkdir()
        (process / "stat").write_text(f"{pid} ({name}) S 1 7 7 {number} 7 0 0")
        return process / "stat"

    def disturb(self) -> None:
        """As a login does: 38400 baud, lines, echo."""
        settings = termios.tcgetattr(self.slave)
        settings[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        tty_ioctl.set_baud(self.slave, 38400)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Tty]:
    line = Tty(tmp_path)
    yield line
    line.transport.close()
    os.close(line.slave)
    os.close(line.master)


def test_a_line_of_our_own(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    (line.proc / "self").mkdir()
    (line.proc / "8").mkdir()  # has ended meanwhile
    line.login("bash", 9).write_text("9 (bash) S 1 7 7 1025 7")  # on tty1
    assert watch.look(line.transport) == []
    assert watch.troubles == []


def test_the_kernels_console_is_told_once_with_its_remedy(line: Tty) -> None:
    line.consoles.write_text(f"ttyS9  -W- (E)  4:73\n{line.name}   -W- (EC p a)    4:64\n")
    assert kernel_prints_on(line.path, str(line.proc))
    watch = LineWatch(line.path, str(line.proc))
    (text,) = watch.look(line.transport)
    assert f"{line.path} is a console of the kernel" in text
    assert f"console={line.name}" in text
    assert watch.look(line.transport) == []
    assert watch.troubles == [text]


def test_a_name_that_begins_like_a_console_is_none(line: Tty) -> None:
    line.consoles.write_text(f"{line.name}0   -W- (EC p a)    4:64\n")
    assert not kernel_prints_on(line.path, str(line.proc))
    line.consoles.unlink()
    assert not kernel_prints_on(line.path, str(line.proc))


def test_a_login_is_found_when_it_changes_the_settings_and_they_are_put_right(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    assert watch.look(line.transport) == []
    login = line.login("a(b) c")
    assert watch.look(line.transport) == []  # there is no reason yet to look
    line.disturb()
    (text,) = watch.look(line.transport)
    assert f"a(b) c offers a login on {line.path}" in text
    assert f"systemctl mask --now serial-getty@{line.name}" in text
    assert tty_ioctl.baud_of(line.slave) == 115200
    assert not termios.tcgetattr(line.slave)[3] & (termios.ICANON | termios.ECHO)
    assert watch.troubles == [text]
    login.unlink()
    assert watch.look(line.transport) == []
    assert watch.troubles == []


def test_settings_that_nobody_owns_to(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    line.disturb()
    (text,) = watch.look(line.transport)
    assert text == f"another program changed the settings of {line.path}; they are set again"
    line.disturb()
    assert watch.look(line.transport) == []
    assert tty_ioctl.baud_of(line.slave) == 115200


def test_our_own_changes_are_left(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    watch.look(line.transport)
    line.transport.switch_rate(921600)
    assert watch.look(line.transport) == []
    assert tty_ioctl.baud_of(line.slave) == 921600


def test_a_line_that_has_gone(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    line.transport.close()
    line.disturb()
    assert watch.look(line.transport) == []
    assert line.transport.device == 0


def test_a_line_is_looked_at_anew_when_it_was_opened_again(line: Tty) -> None:
    watch = LineWatch(line.path, str(line.proc))
    watch.look(line.transport)
    line.login()
    line.transport.close()
    with contextlib.closing(open_serial(line.path, 115200)) as again:
        assert isinstance(again, SerialTransport)
        (text,) = watch.look(again)
        assert text.startswith("agetty offers a login")


def test_the_listener_looks_after_what_it_has_opened(line: Tty) -> None:
    listener = SerialListener(line.path, 115200)
    assert listener.look() == []
    line.transport.close()
    with contextlib.closing(listener.accept(60)):
        line.disturb()
        assert len(listener.look()) == 1
        assert listener.troubles == []
    listener.close()


def test_why_a_line_that_a_login_has_taken_does_not_open(
    line: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(serial, "_open_device", refuse)
    listener = SerialListener(line.path, 115200)
    os.fchmod(line.slave, 0o660)
    with pytest.raises(LinkError, match="add the user to the port's group"):
        listener.accept(60)
    os.fchmod(line.slave, 0o600)
    with pytest.raises(LinkError, match=f"mask --now serial-getty@{line.name}, then udevadm"):
        listener.accept(60)
    (trouble,) = listener.troubles
    assert "may not be opened by this user; systemctl mask" in trouble
    monkeypatch.setattr("serial_runtime.transport.owners.login_on", lambda device: "login")
    with pytest.raises(LinkError, match="by this user: login offers a login there; systemctl"):
        listener.accept(60)
    listener.close()


def test_this_process_has_no_login_on_a_fresh_pty(line: Tty) -> None:
    assert login_on(os.fstat(line.slave).st_rdev) == ""
