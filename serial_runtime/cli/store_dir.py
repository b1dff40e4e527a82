# SPDX-License-Identifier: MIT
"""Where the runtime of this machine keeps its things, for commands that are run on the board."""

from __future__ import annotations

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --dir and --profile, as `serve` has them."""
    parser.add_argument("--dir", metavar="DIR", help="on the board: the directory of `serve`")
    parser.add_argument("--profile", metavar="FILE", help="on the board: its profile, TOML")


def store_dir(arguments: argparse.Namespace) -> str:
    """The directory that these options name, else the default of `serve`. ConfigError."""
    if arguments.dir:
        return str(arguments.dir)
    if arguments.profile:
        from serial_runtime.profile_file import load_profile

        return load_profile(arguments.profile).store.dir
    from serial_runtime.config import Profile

    return Profile().store.dir
