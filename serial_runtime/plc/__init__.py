# SPDX-License-Identifier: MIT
"""The PLC object and its parts: what the runtime does with a program, on the worker thread."""
