# SPDX-License-Identifier: MIT
"""A shell at the end of a stream, on pipes and on a terminal that echoes."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.boards.board import RigError, ShellError
from hil.boards.terminal import Terminal


@pytest.fixture(params=["pipe", "terminal"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty() if request.param == "terminal" else (-1, -1)
    pipe = request.param == "pipe"
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", *([] if pipe else ["-i"])],
        stdin=subprocess.PIPE if pipe else theirs,
        stdout=subprocess.PIPE if pipe else theirs,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        start_new_session=True,
    )
    if pipe:
        assert process.stdin is not None
        assert process.stdout is not None
        made = Terminal(process.stdout.fileno(), process.stdin.fileno())
    else:
        made = Terminal(ours, ours)
    made.log_in(30)
    yield made
    process.kill()
    process.communicate()
    for fd in (ours, theirs):
        if fd >= 0:
            os.close(fd)


def test_a_command_gives_what_it_prints(shell: Terminal) -> None:
    assert shell.run("echo one; echo two >&2") == "one\ntwo\n"
    assert shell.run("x=$((6 * 7))") == ""
    assert shell.run("echo $x") == "42\n"


def test_a_failure_is_told_with_its_words(shell: Terminal) -> None:
    with pytest.raises(ShellError, match="no such luck") as caught:
        shell.run("echo no such luck; false")
    assert (caught.value.code, caught.value.output) == (1, "no such luck\n")
    assert shell.run("echo on") == "on\n"


def test_a_command_may_read_until_its_input_ends(shell: Terminal) -> None:
    shell.begin("read line; echo $line > received")
    shell.type("data")
    assert shell.finish() == ""
    assert shell.run("cat received") == "data\n"


def test_what_does_not_end_is_given_up(shell: Terminal) -> None:
    with pytest.raises(TimeoutError, match="'cat' has not ended"):
        shell.run("cat", timeout_s=0.2)


def test_a_shell_that_ends_is_told() -> None:
    reading, theirs = os.pipe()
    os.close(theirs)
    ours, writing = os.pipe()
    with pytest.raises(RigError, match="has ended at 'true'"):
        Terminal(reading, writing).run("true")
    for fd in (reading, ours, writing):
        os.close(fd)
