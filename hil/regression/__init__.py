# SPDX-License-Identifier: MIT
"""The scan cycle in virtual time, on an emulated board: counts and bounds, never latencies."""
