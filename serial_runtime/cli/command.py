# SPDX-License-Identifier: MIT
"""What all commands share: parser, URI, errors and exit codes."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from importlib import import_module

from serial_runtime.errors import ConfigError, LinkError, ProtocolError, SerialRuntimeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from serial_runtime.rpc.client import Client
    from serial_runtime.rpc.link_figures import Message

_RECENT = 100  # messages kept for the report of an error
FAILED, USAGE, NO_CONNECTION, INTERRUPTED = 1, 2, 3, 130
URI_VARIABLE = "SERIAL_RUNTIME_URI"
# With a scheme, or one of the short forms that neither a variable nor a file is likely to have.
_URI = r"[A-Za-z][A-Za-z0-9+.-]*://|([A-Za-z0-9_.-]+|\[[^]]*\]):[0-9]+$|/dev/(?!shm/|fd/|stdin$)"
_EXITS = """\
exit codes:
  0  done
  1  failed or refused; one line on standard error says why
  2  wrong usage or configuration"""
_EXIT_LINK = "\n  3  no connection to the board, or it was lost"
_EXIT_INTERRUPT = "\n  130  ended by Ctrl-C before it was done"


class UsageError(Exception):
    """The arguments do not go together; shown with the usage line, exit code 2."""


class Command:
    """One command: its manual, its options and the function that runs it.

    `rest` names the positional argument that follows the URI, or is empty when none does;
    `words` is what its usage line shows there. Commands without `uri` never talk to a board.
    `quick` takes the plainest words without argparse, which costs a small board a tenth of the
    command's start; None leaves them to it.
    """

    def __init__(
        self,
        run: Callable[[argparse.Namespace], int],
        *,
        description: str,
        example: str,
        options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
        uri: bool = True,
        uri_help: str = "the board: ERPC:///dev/ttyUSB0:115200, ERPC://host:3000 or another form "
        "of `serial-runtime --help`",
        rest: str = "",
        words: str = "",
        rest_help: str = "",
        quick: Callable[[list[str]], argparse.Namespace | None] = lambda words: None,
    ) -> None:
        self.run = run
        self.description = description
        self.example = example
        self.options = options
        self.uri = uri
        self.uri_help = uri_help
        self.rest = rest
        self.words = words
        self.rest_help = rest_help
        self.quick = quick

    def parser(self, name: str) -> argparse.ArgumentParser:
        """The argument parser, whose --help is the command's manual page."""
        import argparse

        from serial_runtime.cli.formatter import formatter

        positional = " ".join(filter(None, ["[URI]" if self.uri else "", self.words]))
        parser = argparse.ArgumentParser(
            prog=f"serial-runtime {name}",
            usage=f"serial-runtime {name} {positional} [options]".replace("  ", " "),
            description=self.description,
            epilog=f"example:\n{self.example}\n{_EXITS}{_EXIT_LINK * self.uri}{_EXIT_INTERRUPT}",
            formatter_class=formatter,
            allow_abbrev=False,
        )
        if self.uri:
            parser.add_argument(
                "uri",
                metavar="URI",
                nargs="?",
                help=f"{self.uri_help}; without it ${URI_VARIABLE} counts",
            )
        if self.rest:
            metavar = self.words.split()[0].strip("[]").removesuffix("...")
            parser.add_argument(self.rest, metavar=metavar, nargs="*", help=self.rest_help)
        self.options(parser)
        return parser


def counted(number: int, noun: str) -> str:
    """Such as "1 value" and "2 values"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number from `low` to `high`, hence finite."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = -1
        if not low <= value <= high:
            from argparse import ArgumentTypeError

            whole = " whole" * (kind is int)
            raise ArgumentTypeError(f"{text!r} is no{whole} number from {low} to {high}")
        return value

    return parse


COUNT = number(int, 1, 2**32 - 1)
INTERVAL_S = number(float, 0, 86_400)


def baud_rate(text: str) -> float:
    """An argparse type: a baud rate in the range of the profile's."""
    from serial_runtime.config import HIGHEST_BAUD, LOWEST_BAUD

    return number(int, LOWEST_BAUD, HIGHEST_BAUD)(text)


def sampling_options(parser: argparse.ArgumentParser) -> None:
    """Add --interval, --count and --lines, of a live view."""
    parser.add_argument(
        "--interval", type=INTERVAL_S, default=1.0, metavar="S", help="between samples (default: 1)"
    )
    parser.add_argument(
        "--count", type=COUNT, metavar="N", help="end after N samples (default: at Ctrl-C)"
    )
    parser.add_argument(
        "--lines", action="store_true", help="one line a sample, also on a terminal"
    )


def samples(arguments: argparse.Namespace) -> Iterator[None]:
    """One step for each sample of a live view, at the pace those options want."""
    left = arguments.count
    due_s = time.monotonic()
    while True:
        yield
        if left is not None:
            left -= 1
            if left == 0:
                return
        due_s = max(due_s + arguments.interval, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))


def json_option(parser: argparse.ArgumentParser, help: str = "print JSON") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=help)


def run_command(name: str, module: str, words: list[str]) -> int:
    """Parse `words` and run the command. Every failure becomes one line and an exit code."""
    recent: deque[Message] = deque(maxlen=_RECENT)
    command: Command = getattr(import_module(f"serial_runtime.cli.{module}"), name.upper())
    try:
        arguments = command.quick(words) or command.parser(name).parse_intermixed_args(words)
        if command.uri:
            _settle_uri(arguments, command.rest)
            arguments.recent = recent
        status = command.run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse: --help or wrong usage
        return end.code if isinstance(end.code, int) else USAGE
    except UsageError as error:
        command.parser(name).print_usage(sys.stderr)
        return _fail(str(error), USAGE)
    except ConfigError as error:
        return _fail(str(error), USAGE)
    except LinkError as error:
        where = _report(error, arguments)
        return _fail(str(error) + where, NO_CONNECTION if command.uri else FAILED)
    except ProtocolError as error:
        return _fail(str(error) + _report(error, arguments), FAILED)
    except SerialRuntimeError as error:
        return _fail(str(error), FAILED)
    except BrokenPipeError:
        # Whoever read our output has enough; keep the exit from complaining about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _report(error: SerialRuntimeError, arguments: argparse.Namespace) -> str:
    """Keep what went over the link before it failed; returns where, for the sentence."""
    if not getattr(arguments, "recent", None):
        return ""
    from serial_runtime.cli.link_report import report

    return report(str(error), arguments.uri, arguments.recent)


def _fail(sentence: str, status: int) -> int:
    lines = "\n".join(map(printable, sentence.split("\n")))  # a part may be the board's words
    print(f"serial-runtime: error: {lines}", file=sys.stderr)
    return status


def _settle_uri(arguments: argparse.Namespace, rest: str) -> None:
    """Sort the words into URI and the rest; the URI may come from the environment."""
    import re

    words: list[str] = [arguments.uri] if arguments.uri is not None else []
    words += getattr(arguments, rest) if rest else []
    if words and re.match(_URI, words[0]):
        arguments.uri = words.pop(0)
    else:
        arguments.uri = os.environ.get(URI_VARIABLE, "")
        if not arguments.uri:
            raise UsageError(
                "which board? Give its URI as the first argument, such as "
                f"ERPC:///dev/ttyUSB0:115200 or ERPC://host:3000, or set {URI_VARIABLE}"
                + (f"; {words[0]!r} is none, the scheme is missing" if words else "")
            )
    if rest:
        setattr(arguments, rest, words)
    elif words:
        raise UsageError(f"{words[0]!r} is one word too many, or a URI without its scheme ERPC://")


def open_board(arguments: argparse.Namespace) -> Client:
    """Connect to the board of the URI. LinkError, UriError.

    `arguments.notes` counts what the user was told meanwhile: a view in place begins below it.
    `arguments.bar` says that the cursor is behind a progress bar.
    """
    from serial_runtime.rpc.client import connect

    arguments.notes, arguments.bar = 0, False

    def tell(text: str) -> None:
        newline, arguments.bar = "\n" * arguments.bar, False
        arguments.notes += 1
        print(f"{newline}serial-runtime: {printable(text)}", file=sys.stderr, flush=True)

    return connect(arguments.uri, on_trouble=tell, recent=arguments.recent)


def printable(text: str) -> str:
    """A board's text with control characters made visible, so that it cannot steer the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def print_json(value: object) -> None:
    """One JSON document on one line, at once: its reader may follow."""
    import json

    print(json.dumps(value, allow_nan=True), flush=True)
