# SPDX-License-Identifier: MIT
"""Only what pyproject.toml cannot say: what is built from C. Everything else is there."""

import os
import runpy
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup  # before distutils, which it brings along

from distutils.command.build_scripts import build_scripts  # isort: skip

LAUNCHER = "board/launcher/xenomai_python.c"


class BuildLauncher(build_scripts):
    """Compile the launcher for Xenomai libraries that Python cannot load (its file says why)."""

    def run(self) -> None:
        _, link = runpy.run_path("board/ffi_build.py")["backend_flags"]("xenomai")
        ask = sysconfig.get_config_var
        Path(self.build_dir).mkdir(parents=True, exist_ok=True)
        command = [
            *(os.environ.get("CC") or ask("CC")).split(),
            *("-O2", f"-I{sysconfig.get_path('include')}", LAUNCHER),
            *("-o", str(Path(self.build_dir) / "xenomai-python")),
            *link,
            *(f"-L{ask('LIBDIR')}", f"-Wl,-rpath,{ask('LIBDIR')},--export-dynamic"),
            *(f"-lpython{ask('LDVERSION')}", *(ask("LIBS") or "").split()),
        ]
        if subprocess.run(command, check=False).returncode != 0:
            self.warn("no xenomai-python, which stock Xenomai libraries need: it wants libpython")


xenomai = os.environ.get("SR_BACKEND") == "xenomai"
setup(
    cffi_modules=["board/ffi_build.py:ffi"],
    scripts=[LAUNCHER] if xenomai else [],
    cmdclass={"build_scripts": BuildLauncher} if xenomai else {},
)
