# SPDX-License-Identifier: MIT
"""build: a PLC program in C becomes an image."""

from __future__ import annotations

import argparse
import sys

from serial_runtime import get_include
from serial_runtime.cli.command import Command, UsageError, json_option, print_json
from serial_runtime.errors import BuildError


def _run(arguments: argparse.Namespace) -> int:
    from serial_codegen import build

    if not arguments.source:
        raise UsageError("which program? Give its C source")
    try:
        result = build.build(
            arguments.source,
            arguments.image,
            include_dirs=[get_include()],
            cc=arguments.cc,
            target=arguments.target,
        )
    except build.BuildError as error:
        raise BuildError(str(error)) from None
    sys.stderr.write(result.messages)
    if arguments.json:
        print_json(
            {
                "image": str(result.image),
                "bytes": result.size,
                "machine": result.machine,
                "build_id": result.build_id,
                "messages": result.messages,
            }
        )
    else:
        print(f"{result.image}: {result.size} bytes for {result.machine}, build {result.build_id}")
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", dest="image", required=True, metavar="IMAGE", help="file to write")
    parser.add_argument("--cc", metavar="CC", help="the compiler, e.g. clang; default: gcc")
    parser.add_argument(
        "--target", metavar="TRIPLE", help="the board's machine: TRIPLE-gcc compiles for it"
    )
    json_option(parser)


BUILD = Command(
    _run,
    description="Compile a PLC program, written in C against plc_abi.h, into an image that `load` "
    "takes. The compiler's messages are shown as they are.",
    example="  serial-runtime build tank.c -o tank.so\n"
    "  serial-runtime build tank.c -o tank.so --target aarch64-linux-gnu\n",
    options=_options,
    uri=False,
    rest="source",
    words="SOURCE.c... -o IMAGE",
    rest_help="the program; more files are compiled and linked with it",
)
