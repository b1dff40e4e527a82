# SPDX-License-Identifier: MIT
"""The demo: a tank program (tank.c) and its plant (plant.py)."""
