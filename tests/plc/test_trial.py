# SPDX-License-Identifier: MIT
"""The trial load: whatever an image does while it is loaded, it does it to a child."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from serial_runtime import get_include
from serial_runtime.errors import ImageError
from serial_runtime.plc.trial import load_on_trial

IMAGE = """
#include "plc_abi.h"
static sr_dint v[2];
static void run(const sr_cycle *cycle) { (void)cycle; }
static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable rows[] = {SR_ROW("A", DINT, v[0]), SR_ROW(SECOND, DINT, v[1])};
SR_PLC_IMAGE("trial", tasks, rows, NULL, NULL);
"""


def compiled(folder: Path, source: str, second: str = "B") -> str:
    (folder / "trial.c").write_text(source)
    output = str(folder / "trial image.so")
    command = ["gcc", "-shared", "-fPIC", f"-I{get_include()}", f'-DSECOND="{second}"']
    subprocess.run([*command, "-o", output, str(folder / "trial.c")], check=True)
    return output


def constructor(body: str) -> str:
    head = "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
    return f"{head}{IMAGE}__attribute__((constructor)) static void begin(void) {{ {body} }}\n"


def lives(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # dead, but not reaped: it is not our child


def children() -> set[str]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(stat.parent.name)
    return found


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "body", ["", 'for (int i = 0; i < 100000; i++) puts("talk"); fputs("x", stderr);']
)
def test_a_good_image_loads_and_leaves_nothing_behind(tmp_path: Path, body: str) -> None:
    path = compiled(tmp_path, constructor(body))
    load_on_trial(path)
    before = open_descriptors(), children()
    load_on_trial(path)
    assert (open_descriptors(), children()) == before
    assert "trial image" not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("*(volatile int *)0 = 0;", "SIGSEGV"),
        ("abort();", "SIGABRT"),
        ("raise(SIGKILL);", "SIGKILL"),
        ("exit(3);", "exit status 3"),
        ("_exit(0);", "exit status 0"),
    ],
)
def test_a_crash_or_an_exit_is_an_image_error(tmp_path: Path, body: str, sentence: str) -> None:
    with pytest.raises(ImageError) as refusal:
        load_on_trial(compiled(tmp_path, constructor(body)))
    assert sentence in str(refusal.value)


def test_a_wrong_table_is_found_in_the_child(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be loaded: two variables have the path A"):
        load_on_trial(compiled(tmp_path, IMAGE, second="A"))


def test_a_crash_while_it_is_unloaded(tmp_path: Path) -> None:
    end = "__attribute__((destructor)) static void end(void) { *(volatile int *)0 = 0; }\n"
    with pytest.raises(ImageError, match="SIGSEGV"):
        load_on_trial(compiled(tmp_path, IMAGE + end))


def test_a_hang_ends_at_the_deadline_and_so_do_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    body = f"""
        if (fork() == 0) {{
            FILE *file = fopen("{mark}", "w");
            fprintf(file, "%d", (int)getpid());
            fclose(file);
        }}
        for (;;) pause();"""
    path = compiled(tmp_path, constructor(body))
    with pytest.raises(ImageError, match="does not come back"):
        load_on_trial(path, timeout_s=2.0)
    deadline_s = time.monotonic() + 10  # it was killed too, and may take a moment to die
    while lives(mark.read_text()):
        assert time.monotonic() < deadline_s, "what the constructor started lives on"
        time.sleep(0.001)


def test_what_the_loader_says_is_passed_on(tmp_path: Path) -> None:
    path = compiled(tmp_path, f"{IMAGE}int nowhere(void); int use(void) {{ return nowhere(); }}\n")
    with pytest.raises(ImageError, match="undefined symbol: nowhere"):
        load_on_trial(path)
    with pytest.raises(ImageError, match="does not export sr_plc_image"):
        load_on_trial(compiled(tmp_path, "int other = 1;\n"))
    with pytest.raises(ImageError, match="cannot be loaded"):
        load_on_trial(str(tmp_path / "none.so"))
