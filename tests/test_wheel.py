# SPDX-License-Identifier: MIT
"""The wheel: its tag, what is in it, and that it runs where the sources are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from serial_runtime.profile_file import installed

ROOT = Path(__file__).resolve().parent.parent
PARTS = ["board", "codegen", "serial_runtime"]
FILES = ["CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg"]
FILES += ["setup.py", "ARCHITECTURE.md"]

# Loads and runs an image with what the wheel brought, and says where that came from.
USE = """
import sys
from serial_codegen.build import build
import serial_runtime
from serial_runtime.board import Board, BoardState, Options
build([sys.argv[1]], "image.so", include_dirs=[serial_runtime.get_include()])
board = Board(Options())
board.load("image.so")
board.start()
assert board.state is BoardState.RUNNING
board.stop()
board.close()
print(serial_runtime.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info", "_board.c")
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=ignore)
    for file in FILES:
        shutil.copy(ROOT / file, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)],
        cwd=source,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (found,) = folder.glob("*.whl")
    return found


def test_one_wheel_serves_every_python_from_3_11_on(wheel: Path) -> None:
    assert wheel.name.startswith("serial_runtime-0.1.0-cp311-abi3-linux_")


def test_it_holds_what_users_need_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "serial_runtime/_board.abi3.so",
        "serial_runtime/include/plc_abi.h",
        "serial_runtime/demo/tank.c",
        "serial_runtime/py.typed",
        "serial_runtime/rpc/ide.erpc",
        "serial_runtime/transport/ffdhe3072.pem",
        "serial_codegen/build.py",
    ):
        assert needed in names
    tops = {name.split("/")[0] for name in names}
    release = "serial_runtime-0.1.0"
    folders = {"serial_runtime", "serial_codegen", f"{release}.dist-info", f"{release}.data"}
    assert tops == folders
    data = {name.partition(".data/")[2] for name in names if ".data/" in name}
    assert data == {f"data/share/serial-runtime/profiles/{name}.toml" for name in installed()}
    assert not [name for name in names if name.startswith("serial_runtime/") and name[-2:] == ".o"]


def test_it_runs_without_the_sources(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
        + [str(wheel)],
        check=True,
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    image = ROOT / "benchmarks" / "images" / "empty.c"
    # -P: the current folder is not on the path; the editable install comes after PYTHONPATH.
    run = subprocess.run(
        [sys.executable, "-P", "-c", USE, str(image)],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(run.stdout.strip()).is_relative_to(site)
    subprocess.run(
        [sys.executable, "-P", "-m", "serial_runtime", "serve", "--help"],
        cwd=tmp_path,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
