# SPDX-License-Identifier: MIT
"""The link without input or output: CRC, frames, codec, sessions.

Nothing in this package opens a socket or a device, starts a thread or reads a clock: bytes and
times go in, frames and errors come out. It never imports :mod:`serial_runtime.transport`.
"""
