# SPDX-License-Identifier: MIT
"""What the runtime costs a board: start-up, memory, processor, flash (docs/performance.md)."""
