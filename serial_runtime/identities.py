# SPDX-License-Identifier: MIT
"""The secrets of boards that this computer knows, kept as the IDE keeps them in a project.

A folder ``psk`` holds ``<ID>.secret`` with the text ``ID:secret``.
"""

from __future__ import annotations

import os
from pathlib import Path

from serial_runtime.errors import ConfigError

VARIABLE = "SERIAL_RUNTIME_PSK"


def folder() -> Path:
    """Where secrets are: $SERIAL_RUNTIME_PSK, else psk in the working directory, else the user's.

    So a command that is run in the folder of an IDE project shares the project's.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if Path("psk").is_dir():
        return Path("psk")
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "serial-runtime" / "psk"


def secret_of(identity: str) -> bytes:
    """The secret of a board. ConfigError when it is not known here."""
    path = folder() / f"{identity}.secret"
    try:
        name, _, secret = path.read_text("ascii").strip().partition(":")
    except FileNotFoundError as error:
        raise ConfigError(
            f"the secret of {identity} is not in {folder()}: connect to the board over its serial "
            "line once, or import the identity"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if name != identity or not secret:
        raise ConfigError(f"{path}: expected the text {identity}:SECRET")
    return secret.encode("ascii")
