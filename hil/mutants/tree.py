# SPDX-License-Identifier: MIT
"""A copy of this tree in which a mutant lives, and scenarios that run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from board.packaging import wheels
from hil.image.machine import MACHINES, ROOT
from hil.mutants.table import Mutant
from hil.power_cuts.disk_image import replace_module
from serial_runtime.errors import PackagingError

_LEAVE = shutil.ignore_patterns(
    *(".git", ".venv", ".hil", ".router", "__pycache__", "*.egg-info", "build", "dist")
)
_SHIM = "_board.abi3.so"
_PATIENCE_S = 60.0


class Outcome(NamedTuple):
    """Tests that passed, and that failed; neither has those that did not come so far."""

    passed: list[str]
    failed: list[str]
    output: str


class Tree:
    """The copy. A board's image is one, too: of the image of this tree."""

    def __init__(self, folder: Path, target: str) -> None:
        """PackagingError: there is no image."""
        self.root = folder / "tree"
        self._target = target
        shutil.copytree(ROOT, self.root, ignore=_LEAVE)
        images = self.root / ".hil"
        images.mkdir()
        cache = ROOT / ".hil" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        (images / "cache").symlink_to(cache)
        if machine := MACHINES.get(target):
            if not (machine.images / "root.img").exists():
                raise PackagingError(f"no image: python -m hil.image {machine.architecture}")
            shutil.copytree(machine.images, images / machine.architecture, copy_function=_sparse)

    def break_it(self, mutant: Mutant) -> None:
        """Apply the mutant, and bring it to where the board runs it. ValueError, PackagingError."""
        mutant.apply(self.root)
        machine = MACHINES.get(self._target)
        if machine is None:
            if mutant.is_c:
                self._run("setup.py", "-q", "build_ext", "--inplace")
            return
        module = self.root / mutant.file
        if mutant.is_c:
            module = self._cross_built(machine.architecture)
        name = f"serial_runtime/{_SHIM}" if mutant.is_c else mutant.file
        replace_module(self.root / ".hil" / machine.architecture / "root.img", name, module)

    def run(self, tests: Sequence[str]) -> Outcome:
        """Run scenarios there."""
        report = self.root / "report.xml"
        words = ["-m", "pytest", "-q", "-p", "hil.plugin", "-o", "timeout=900"]
        words += ["--lg-env", f"hil/boards/{self._target}.yaml", f"--junitxml={report}"]
        done = self._start(*words, *(f"hil/scenarios/{test}" for test in tests))
        passed, failed = [], []
        if report.exists():
            for case in xml.etree.ElementTree.parse(report).iter("testcase"):
                name = case.get("name", "")
                if case.find("failure") is not None:
                    failed.append(name)
                elif case.find("error") is None and case.find("skipped") is None:
                    passed.append(name)
        return Outcome(passed, failed, done.stdout)

    def _cross_built(self, architecture: str) -> Path:
        with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
            self._run("-m", "board.packaging.wheels", architecture, "--out", folder)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                return Path(archive.extract(f"serial_runtime/{_SHIM}", self.root / "built"))

    def _run(self, *words: str) -> None:
        done = self._start(*words)
        if done.returncode:
            raise PackagingError(f"{' '.join(words)} failed:\n{done.stdout.strip()}")

    def _start(self, *words: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root}{os.pathsep}{self.root / 'codegen'}"
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "SOURCE_DATE_EPOCH": str(wheels.source_date()),
                "HIL_PATIENCE_S": f"{_PATIENCE_S:g}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def _sparse(source: str, target: str) -> None:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
