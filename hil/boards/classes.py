# SPDX-License-Identifier: MIT
"""Registers the rig's resources and drivers with labgrid; the environment files import it."""

from __future__ import annotations

import hil.boards.emulator
import hil.boards.simulator
import hil.boards.strategy
import hil.boards.systemd  # noqa: F401
