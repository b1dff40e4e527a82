# SPDX-License-Identifier: MIT
"""Runtimes that are broken on purpose, to show that the scenarios would tell."""
