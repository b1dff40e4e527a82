# SPDX-License-Identifier: MIT
"""Plants: models of what a PLC controls, coupled to a board; stimulus, faults, limits, records."""
