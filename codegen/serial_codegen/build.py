# SPDX-License-Identifier: MIT
"""PLC program in C -> image: one shared object that the runtime loads.

The compiler is any gcc or clang, native or cross. An image gets a build id, a digest of all it is
made from (sources, what the preprocessor makes of them, flags, target), so that two equal programs
can be told from two different ones; it holds no path of the machine it was built on. The result
is checked before it is put in place: the exported table is there, thread-local storage is not.

    python -m serial_codegen build tank.c -o tank.so -I INCLUDE --target aarch64-linux-gnu
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from serial_codegen.elf import ElfError, read_elf

TABLE = "sr_plc_image"

COMPILE_FLAGS = (
    "-std=c11",
    "-O2",
    "-fPIC",
    "-Wall",
    "-Wextra",
    "-fvisibility=hidden",  # only the table is exported
    "-fno-common",
    "-ffp-contract=off",  # no fused multiply-add: the same result on every machine
    "-fno-asynchronous-unwind-tables",  # nothing unwinds an image, and its bytes cross a slow line
)
LINK_FLAGS = (
    "-shared",
    "-Wl,-Bsymbolic",  # a global called `timezone` is the program's own, not libc's
    "-Wl,-z,now",  # no symbol is looked up within a cycle
    "-Wl,-z,defs",  # what is missing is missed here, not on the board
    # Padding would cross the line too: on AArch64 these two make 23 kB of 72.
    "-Wl,-z,noseparate-code",
    "-Wl,-z,norelro",
    "-Wl,--build-id=none",
    "-Wl,--hash-style=gnu",
    "-Wl,--as-needed",
)
GCC_FLAGS = ("-fno-gnu-unique",)  # such symbols keep an image mapped after dlclose
LIBRARIES = ("-lm",)


class BuildError(Exception):
    """The program cannot be built; the text holds the compiler's messages, if it was started."""


class BuildResult(NamedTuple):
    """What a build gave. `messages` are the compiler's warnings."""

    image: Path
    size: int
    build_id: str
    machine: str
    messages: str


def compiler_command(cc: str | None, target: str | None) -> list[str]:
    """The compiler to run: `cc` (may hold arguments), or the target's gcc, or gcc. BuildError."""
    command = shlex.split(cc or (f"{target}-gcc" if target else "gcc"))
    if not command or shutil.which(command[0]) is None:
        package = f"gcc-{target}" if target and not cc else "gcc"
        raise BuildError(
            f"there is no compiler {' '.join(command) or repr(cc)} here; "
            f"on Debian: apt install {package}"
        )
    if cc and target and "clang" in Path(command[0]).name:
        command.append(f"--target={target}")
    return command


def build(
    sources: Sequence[str | Path],
    image: str | Path,
    *,
    include_dirs: Iterable[str | Path],
    cc: str | None = None,
    target: str | None = None,
    flags: Sequence[str] = (),
) -> BuildResult:
    """Compile and link `sources` into `image`, which is replaced at once or stays as it was.

    `include_dirs` must hold the directory of plc_abi.h. BuildError when it cannot be built.
    """
    image = Path(image)
    # "./", for to a compiler -x.c is an option and @x.c a list of them.
    files = [f"./{source}" if str(source)[:1] in "-@" else str(source) for source in sources]
    for name in files:
        if not os.path.isfile(name):
            raise BuildError(f"there is no file {name}")
        if not name.endswith(".c"):
            raise BuildError(f"{name} is no C source, whose name ends in .c")
        if image.exists() and image.samefile(name):
            raise BuildError(f"the image would overwrite its source {name}")
    if image.suffix in (".c", ".h"):
        raise BuildError(f"{image} is the name of a source; call the image {image.stem}.so")
    if image.is_dir():
        raise BuildError(f"{image} is a directory; give the image a file name")
    if not os.path.isdir(image.parent):
        raise BuildError(f"there is no directory {image.parent} to put the image in")
    command = compiler_command(cc, target)
    version, _ = _run([*command, "--version"])
    compile_flags = [*COMPILE_FLAGS, *flags]
    if "clang" not in version:
        compile_flags += GCC_FLAGS
    includes = [f"-I{directory}" for directory in include_dirs]
    machine = _run([*command, "-dumpmachine"])[0].strip()
    prefixes = [f"-ffile-prefix-map={os.path.dirname(f) or '.'}/=" for f in files]
    digest = hashlib.sha256("\0".join([machine, *compile_flags, *LINK_FLAGS]).encode())
    for name in files:
        text, _ = _run([*command, *compile_flags, *prefixes, *includes, "-E", "-P", name])
        for part in (Path(name).read_bytes(), text.encode()):
            digest.update(hashlib.sha256(part).digest())
    build_id = digest.hexdigest()[:32]

    with tempfile.TemporaryDirectory(prefix=".build-", dir=image.parent) as scratch:
        made = os.path.join(scratch, "image.so")
        _, messages = _run(
            [
                *command,
                *compile_flags,
                f'-DSR_BUILD_ID="{build_id}"',
                *prefixes,
                *includes,
                *LINK_FLAGS,
                "-o",
                made,
                *files,
                *LIBRARIES,
            ]
        )
        found = check_image(made)
        os.chmod(made, 0o644)
        os.replace(made, image)
    return BuildResult(image, image.stat().st_size, build_id, found, messages)


def check_image(path: str | Path) -> str:
    """The machine an image is for. BuildError when the runtime could not use it."""
    try:
        elf = read_elf(Path(path).read_bytes())
    except ElfError as error:
        raise BuildError(f"the compiler made no shared object: {error}") from None
    if elf.has_tls:
        raise BuildError(
            "the program has thread-local variables (_Thread_local, __thread, or errno of a "
            "static library); their first use may allocate in a real-time cycle. Make them static"
        )
    if TABLE not in elf.exported:
        raise BuildError(
            f"the program exports no table {TABLE}: it needs one SR_PLC_IMAGE(name, tasks, "
            "variables, init, fini); at file scope (plc_abi.h)"
        )
    return elf.machine


def _run(command: list[str]) -> tuple[str, str]:
    """Standard output and error of a compiler run. BuildError with both when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{command[0]} failed:\n{(done.stdout + done.stderr).rstrip()}")
    return done.stdout, done.stderr


def add_to(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``build`` command."""
    parser = subparsers.add_parser(
        "build", help="compile a PLC program in C into an image", description=build.__doc__
    )
    parser.add_argument("source", nargs="+", metavar="SOURCE.c")
    parser.add_argument("-o", dest="image", required=True, metavar="IMAGE")
    parser.add_argument(
        "-I", dest="include", action="append", required=True, metavar="DIR", help="of plc_abi.h"
    )
    parser.add_argument("--cc", help="compiler to use, e.g. 'clang' (default: gcc)")
    parser.add_argument("--target", help="cross compile, e.g. aarch64-linux-gnu (TARGET-gcc)")
    parser.set_defaults(run=_command)


def _command(options: argparse.Namespace) -> int:
    try:
        result = build(
            options.source,
            options.image,
            include_dirs=options.include,
            cc=options.cc,
            target=options.target,
        )
    except BuildError as error:
        print(f"serial_codegen: error: {error}", file=sys.stderr)
        return 1
    sys.stderr.write(result.messages)
    print(f"{result.image}: {result.size} bytes, {result.machine}, build {result.build_id}")
    return 0
