# SPDX-License-Identifier: MIT
"""sign: sign a program and its extra files, or make a key for it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from serial_runtime.cli.command import Command, UsageError
from serial_runtime.errors import ConfigError
from serial_runtime.plc import signature

SUFFIX = ".sig"  # behind the image's name: `load` sends it along


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.key:
        raise UsageError("which key? Give --key FILE; with --new it is made")
    key_file = Path(arguments.key)
    if arguments.new:
        return _make_key(key_file, signature.HMAC if arguments.hmac else signature.ED25519)
    if len(arguments.file) != 1:
        raise UsageError("give one image file; its extra files with --extra")
    image = Path(arguments.file[0])
    keys = signature.read_keys(str(key_file))
    files = [(Path(name).name, name) for name in arguments.extra]
    message = signature.manifest(str(image), files)
    target = Path(arguments.output or f"{image}{SUFFIX}")
    target.write_text("".join(f"{signature.sign(key, message)}\n" for key in keys))
    print(f"{target}: `load` sends it along; an IDE sends it as the extra file {signature.FILE}")
    return 0


def _make_key(path: Path, algorithm: str) -> int:
    private, public = signature.new_key(algorithm, "-".join(path.stem.split()))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already: a key is never overwritten") from None
    with os.fdopen(fd, "w") as file:
        file.write(f"{private}\n")
    print(f"# {path} signs; this line goes into policy.program_keys of the boards:")
    print(public)
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="FILE", help="the key to sign with")
    parser.add_argument(
        "--extra",
        metavar="FILE",
        action="append",
        default=[],
        help="an extra file that is sent with the program; once for each",
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="default: the image's name .sig")
    parser.add_argument("--new", action="store_true", help="make the key file, and sign nothing")
    parser.add_argument(
        "--hmac", action="store_true", help="--new: a shared secret, which boards could sign with"
    )


SIGN = Command(
    _run,
    description="Sign a program, for boards that take signed ones only (profile key "
    "policy.programs). The signature is of the image and of all its extra files, names and "
    "contents.",
    example="  serial-runtime sign --new --key office.key\n"
    "  serial-runtime sign --key office.key tank.so\n"
    "  serial-runtime load ERPC:///dev/ttyUSB0:115200 tank.so --start\n",
    options=_options,
    uri=False,
    rest="file",
    words="FILE",
    rest_help="the image, made by `serial-runtime build`, or by the Beremiz IDE",
)
