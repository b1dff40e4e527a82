# SPDX-License-Identifier: MIT
"""Packages that only some connections need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from serial_runtime.errors import ConfigError


def need(module: str, extra: str, purpose: str) -> Any:
    """Import ``module``. ConfigError names the extra to install when its package is missing.

    An error inside an installed package is not hidden.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "") != module.partition(".")[0]:
            raise
        raise ConfigError(
            f"{purpose} needs the Python package {error.name}: "
            f"pip install 'serial-runtime[{extra}]'"
        ) from error
