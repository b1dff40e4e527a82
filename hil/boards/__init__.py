# SPDX-License-Identifier: MIT
"""The rig's boards: labgrid resources, drivers and the strategy; `board` is what tests see.

Importing this package registers the classes with labgrid only from `hil.boards.labgrid_classes`,
which the environment files name; `board`, `daemon`, `qemu` and `qmp` need no labgrid.
"""
