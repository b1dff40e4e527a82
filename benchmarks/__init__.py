# SPDX-License-Identifier: MIT
"""Figures, each printed as a ratio to a reference run beside it."""
