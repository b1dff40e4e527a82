# SPDX-License-Identifier: MIT
"""What a power cut leaves of the board's disk, and what the runtime makes of that."""
