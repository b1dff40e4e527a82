# SPDX-License-Identifier: MIT
"""identity: IDs and secrets, of the board where it is run on one, and of boards on the host."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from serial_runtime.cli import store_dir
from serial_runtime.cli.command import (
    Command,
    UsageError,
    json_option,
    number,
    print_json,
    printable,
)
from serial_runtime.errors import ConfigError, StoreError
from serial_runtime.plc import pairing
from serial_runtime.plc.identity import ROLES, Identity, changing, read
from serial_runtime.profile_file import load_profile
from serial_runtime.psk import check_id, new_id, new_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ACTIONS = """\
actions on a board (--dir or --profile says which; a running one takes them up at once):
  show [ID...]      who the board is and whom it knows; --secret: the secrets too
  add ID            another identity, with a secret and a --role of its own
  rotate [ID]       another secret; without ID the board's own
  revoke ID         no longer let an identity in
  new [NAME]        another ID and secret for the board itself
  pair              tell one client on TCP the secret, within --minutes

actions on the host ($SERIAL_RUNTIME_PSK, or psk in the working directory, or the user's):
  list              the boards whose secrets are here
  import FILE       take the secrets of an export, also of the IDE's
  export FILE [ID...]   write secrets into a zip file, which the IDE imports too
  forget ID         delete a secret
"""


def _show(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    known = _known(store_dir.store_dir(arguments))
    chosen = [_find(known, name) for name in names] or known
    if arguments.json:
        rows = [{"id": one.id, "role": one.role, "own": one is known[0]} for one in chosen]
        secrets = [{"secret": one.secret} if arguments.secret else {} for one in chosen]
        print_json([row | secret for row, secret in zip(rows, secrets, strict=True)])
    elif arguments.secret:
        for one in chosen:
            print(f"{one.id}:{one.secret}")
    else:
        for one in chosen:
            print(f"{one.id:40} {one.role:8}{' the board itself' * (one is known[0])}".rstrip())


def _add(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    name = check_id(_one(names, "ID"))
    directory = store_dir.store_dir(arguments)
    _known(directory)  # the first is the board's own
    with changing(directory) as known:
        if any(one.id == name for one in known):
            raise ConfigError(f"{name} is there already: `rotate` gives it another secret")
        known.append(Identity(name, new_secret(), arguments.role))
    print(f"{name} is known now, with the role {arguments.role}")
    print(f"on its client psk/{name}.secret holds what `identity show {name} --secret` prints here")


def _rotate(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    directory = store_dir.store_dir(arguments)
    _known(directory)
    with changing(directory) as known:
        old = _find(known, _one(names, "ID")) if names else known[0]
        known[known.index(old)] = old._replace(secret=new_secret())
    print(f"{old.id} has another secret; connections that have proven the old one end")


def _revoke(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    name = _one(names, "ID")
    directory = store_dir.store_dir(arguments)
    _known(directory)
    with changing(directory) as known:
        old = _find(known, name)
        if old is known[0]:
            raise ConfigError(f"{name} is the board itself: `new` gives it another ID and secret")
        known.remove(old)
    print(f"{name} is not let in any more, and its connections end")


def _new(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    fresh = new_id(_one(names, "NAME") if names else os.uname().nodename)
    with changing(store_dir.store_dir(arguments)) as known:
        known[:1] = [Identity(fresh, new_secret())]
    print(f"the board is {fresh}; a runtime that is running says so after its next start")


def _pair(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    _none(names)
    if arguments.profile and load_profile(arguments.profile).policy.pairing == "off":
        raise ConfigError('policy.pairing = "off": a window would tell nobody anything')
    directory = store_dir.store_dir(arguments)
    own = _known(directory)[0]
    pairing.open_window(directory, arguments.minutes * 60)
    print(
        f"for {arguments.minutes} min the first client on TCP that asks is told the secret of "
        f"{own.id}: `serial-runtime pair ERPC://HOST`, or connect the IDE; a reboot ends it"
    )


def _list(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    from serial_runtime import identities

    _none(names)
    rows = identities.rows()
    if arguments.json:
        keys = ("id", "uri", "description", "last")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    for row in rows:
        print(printable("  ".join(cell or "-" for cell in row)))
    if not rows:
        print(f"no secret is in {identities.folder()}", file=sys.stderr)


def _import(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    from serial_runtime import identities

    taken, left = identities.import_from(Path(_one(names, "FILE")), replace=arguments.replace)
    print(f"taken: {', '.join(taken) or 'none'}")
    if left:
        print(f"left, as another secret is here (--replace takes them too): {', '.join(left)}")


def _export(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    from serial_runtime import identities

    if not names:
        raise UsageError("export needs the FILE to write")
    found = identities.export_to(Path(names[0]), names[1:])
    print(f"{names[0]}: {', '.join(found)}; whoever has this file is let into these boards")


def _forget(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    from serial_runtime import identities

    identities.forget(_one(names, "ID"))
    print(f"forgot {names[0]}")


_RUN: dict[str, Callable[[argparse.Namespace, Sequence[str]], None]] = {
    "show": _show,
    "add": _add,
    "rotate": _rotate,
    "revoke": _revoke,
    "new": _new,
    "pair": _pair,
    "list": _list,
    "import": _import,
    "export": _export,
    "forget": _forget,
}


def _known(directory: str) -> list[Identity]:
    known = read(directory)
    if not known:
        raise StoreError(
            f"no identity is in {directory}: it is made when the runtime is started there the "
            "first time (--dir or --profile names another place)"
        )
    return known


def _find(known: Sequence[Identity], name: str) -> Identity:
    for one in known:
        if one.id == name:
            return one
    raise ConfigError(f"{name!r} is not known here: {', '.join(one.id for one in known)}")


def _one(names: Sequence[str], what: str) -> str:
    if len(names) != 1:
        raise UsageError(f"give one {what}")
    return names[0]


def _none(names: Sequence[str]) -> None:
    if names:
        raise UsageError(f"{names[0]!r} is one word too many")


def _run(arguments: argparse.Namespace) -> int:
    action, *names = arguments.words or [""]
    if action not in _RUN:
        raise UsageError(f"{action!r} is no action: one of {', '.join(_RUN)}")
    _RUN[action](arguments, names)
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    store_dir.add_options(parser)
    parser.add_argument("--secret", action="store_true", help="show: the secrets too, as ID:SECRET")
    parser.add_argument(
        "--role", choices=ROLES, default="view", help="add: the most it may do (default: view)"
    )
    parser.add_argument(
        "--minutes",
        type=number(int, 1, pairing.MOST_S // 60),
        default=5,
        metavar="N",
        help="pair: how long (default: 5)",
    )
    parser.add_argument("--replace", action="store_true", help="import: also what is here already")
    json_option(parser, "show, list: print JSON")
    parser.epilog = f"{_ACTIONS}\n{parser.epilog}"


IDENTITY = Command(
    _run,
    description="A board has an ID and a secret, which let a client in by ERPCS://HOST#ID; it may "
    "know others, with roles of their own. A host keeps the secrets of its boards in the form of "
    "the Beremiz IDE.",
    example="  serial-runtime identity show --dir /var/lib/plc\n"
    "  serial-runtime identity add panel-3 --role operate --profile /etc/serial-runtime.toml\n"
    "  serial-runtime identity export boards.zip\n",
    options=_options,
    uri=False,
    rest="words",
    words="ACTION [ID]",
    rest_help="see below",
)
