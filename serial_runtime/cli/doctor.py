# SPDX-License-Identifier: MIT
"""doctor: what is wrong with this machine's serial port, or for real time; how to mend it."""

from __future__ import annotations

import argparse
import os

from serial_runtime.cli.command import (
    FAILED,
    URI_VARIABLE,
    Command,
    UsageError,
    json_option,
    number,
    print_json,
)
from serial_runtime.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.doctor import Finding
    from serial_runtime.doctor.port import Question


def _question(arguments: argparse.Namespace) -> Question:
    from serial_runtime.doctor.port import Question
    from serial_runtime.transport.uri import DEFAULT_BAUD, SerialEndpoint, parse

    if not (arguments.port or arguments.profile) and os.environ.get(URI_VARIABLE):
        arguments.port = [os.environ[URI_VARIABLE]]
    if len(arguments.port) > 1 or not (arguments.port or arguments.profile):
        raise UsageError("which port? Give its URI, such as ERPC:///dev/ttyUSB0, or --profile")
    execution_s = arguments.execution_us * 1e-6
    if arguments.profile:
        from serial_runtime.profile_file import load_profile

        profile = load_profile(arguments.profile)
        path, baud = profile.serial.port, profile.serial.baud
        question = Question(path, baud, profile.rt.priority, profile.rt.cpu, execution_s)
    else:
        question = Question("", 0, execution_s=execution_s)
    if arguments.port:
        endpoint = parse(arguments.port[0])
        if not isinstance(endpoint, SerialEndpoint) or "://" in endpoint.device:
            raise ConfigError(f"{arguments.port[0]!r} is no serial port of this machine")
        return question._replace(path=endpoint.device, baud=endpoint.baud or DEFAULT_BAUD)
    if not question.path:
        raise ConfigError(f"{arguments.profile}: the profile has no serial.port to check")
    return question


def _real_time(arguments: argparse.Namespace) -> list[Finding]:
    from serial_runtime.config import RealTime
    from serial_runtime.doctor.machine import Machine
    from serial_runtime.doctor.realtime import Wanted, check_real_time
    from serial_runtime.profile_file import load_profile

    if arguments.port:
        raise UsageError("--real-time is about this machine, not about a port: leave the URI out")
    rt = load_profile(arguments.profile).rt if arguments.profile else RealTime()
    return check_real_time(Machine(), Wanted(rt.priority, rt.cpu, rt.cpu_latency_us))


def _port(arguments: argparse.Namespace) -> list[Finding]:
    from serial_runtime.doctor.machine import Machine
    from serial_runtime.doctor.port import check_port

    return check_port(Machine(), _question(arguments))


def lines(findings: list[Finding]) -> list[str]:
    """The findings as text."""
    shown = []
    for finding in findings:
        shown.append(f"{finding.level:8} {finding.check:11}{finding.text}")
        if finding.remedy:
            shown.append(f"{'':20}do: {finding.remedy}")
    return shown


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.doctor import Level

    findings = _real_time(arguments) if arguments.real_time else _port(arguments)
    if arguments.json:
        print_json([finding._asdict() for finding in findings])
    else:
        print("\n".join(lines(findings)))
    return FAILED if any(one.level == Level.PROBLEM for one in findings) else 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", metavar="FILE", help="check what this board profile asks for")
    parser.add_argument(
        "--real-time", action="store_true", help="check this board for real time, not a port"
    )
    parser.add_argument(
        "--execution-us",
        type=number(float, 0, 1e9),
        default=0.0,
        metavar="US",
        help="longest execution time of a cycle, as `stats` shows it, in microseconds",
    )
    json_option(parser, "print JSON: a list of check, level, text, remedy")


DOCTOR = Command(
    _run,
    description="Check a serial port of this machine, be it the host or the board: permissions, "
    "other programs, login and console on it, baud rates, USB latency, lost bytes, and whether "
    "the scan cycle can hold its interrupt up; and propose a rate. With --real-time: its kernel, "
    "rights, processor and memory, and the line that mends each. Exit code 1 when there is a "
    "problem.",
    example="  serial-runtime doctor ERPC:///dev/ttyUSB0:921600\n"
    "  serial-runtime doctor --profile /etc/serial-runtime.toml --execution-us 350\n"
    "  serial-runtime doctor --real-time --profile /etc/serial-runtime.toml\n",
    options=_options,
    uri=False,
    rest="port",
    words="[URI]",
    rest_help="the port: ERPC:///dev/ttyUSB0:115200, or without ERPC://; without it and --profile "
    f"${URI_VARIABLE} counts",
)
