# SPDX-License-Identifier: MIT
"""Python extensions of a program: its ``runtime_*.py`` files, and the code its blocks evaluate.

Nothing here is imported unless the profile has ``python.enabled``. For the user: docs/python.md.

`native`, for programs in C: a thread of the runtime that follows the program's life and moves
requests between the board and a `process`, in which `child` obeys. `variables` are shared between
the two. `in_process`, for objects of the Beremiz IDE: a thread that executes user code itself.
`choice` takes one or the other. In both, user code is executed by `scripts`, with `csv_files` and
`typemapping` at its disposal.
"""
