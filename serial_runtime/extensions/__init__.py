# SPDX-License-Identifier: MIT
"""Python extensions of a program: its ``runtime_*.py`` files, and the code its blocks evaluate.

Nothing here is imported unless the profile has ``python.enabled``. For the user: docs/python.md.

`native`, in the runtime: follows the program's life and moves requests between the board and the
`process`, in which `child` has the user's code executed by `scripts`, with `csv_files` and
`typemapping` at its disposal. User code never runs in the runtime's own process.
"""
