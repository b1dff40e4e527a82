# SPDX-License-Identifier: MIT
"""Build the cffi module ``serial_runtime._board`` from the C files of this folder.

Read by setuptools through ``cffi_modules`` in setup.py. API mode: the C compiler checks cdef.h
against the headers. The module uses the limited API of CPython, so one wheel a processor serves
every Python from 3.11 on.

``SR_BACKEND`` chooses the backend of platform.h: ``posix`` (default) or ``xenomai``; for the
latter ``xeno-config`` must be found (``SR_XENO_CONFIG`` names another one).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cffi import FFI

# Relative, as setuptools wants it: builds run in the project's root.
BOARD = Path("board")
WARNINGS = ["-Wall", "-Wextra", "-Werror=implicit", "-Werror=incompatible-pointer-types"]
FLAGS = ["-O2", "-fvisibility=hidden", *WARNINGS, "-Werror=int-conversion"]


def xeno_config(*arguments: str) -> list[str]:
    """Words that ``xeno-config`` prints for the alchemy skin."""
    command = os.environ.get("SR_XENO_CONFIG", "xeno-config")
    run = subprocess.run(
        [command, "--skin=alchemy", *arguments], check=True, capture_output=True, text=True
    )
    return run.stdout.split()


def xeno_compile_flags() -> list[str]:
    """Its headers, as system headers (their warnings are not ours), and what they want defined.

    The rest of what ``xeno-config`` prints are the options it was itself built with.
    """
    words: list[str] = []
    for word in xeno_config("--cflags"):
        if word.startswith("-I"):
            words += ["-isystem", word[2:]]
        elif word.startswith("-D") and word != "-D_GNU_SOURCE":  # the sources define it
            words.append(word)
    return words


def backend_flags(backend: str) -> tuple[list[str], list[str]]:
    """Compiler and linker flags of one backend."""
    if backend == "posix":
        # Large inode numbers and the years after 2038, on 32-bit processors too.
        return ["-std=c11", "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"], []
    if backend == "xenomai":
        link = xeno_config("--ldflags", "--no-auto-init")
        rpath = [f"-Wl,-rpath,{word[2:]}" for word in link if word.startswith("-L")]
        return ["-std=gnu11", *xeno_compile_flags()], link + rpath
    raise SystemExit(f"SR_BACKEND={backend}: there are posix and xenomai")


def make_ffi() -> FFI:
    """The module, ready to be compiled."""
    backend = os.environ.get("SR_BACKEND", "posix")
    compile_flags, link_flags = backend_flags(backend)
    folders = [BOARD, BOARD / "io", BOARD / backend]
    # The Xenomai backend includes files of the POSIX one.
    read = [*folders, BOARD / "posix"] if backend != "posix" else folders
    ffi = FFI()
    ffi.cdef((Path(__file__).parent / "cdef.h").read_text(encoding="ascii"))
    ffi.set_source(
        "serial_runtime._board",
        '#include "shim.h"\n#include "latency.h"\n#include "io/sim.h"\n',
        sources=sorted(str(file) for folder in folders for file in folder.glob("*.c")),
        depends=sorted(
            [str(file) for folder in read for file in folder.glob("*.[ch]")]
            + ["serial_runtime/include/plc_abi.h"]
        ),
        include_dirs=[str(BOARD), "serial_runtime/include"],
        extra_compile_args=FLAGS + compile_flags,
        extra_link_args=link_flags,
        libraries=["dl", "rt", "pthread"],
        py_limited_api=True,
    )
    return ffi


ffi = make_ffi()
