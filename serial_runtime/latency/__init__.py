# SPDX-License-Identifier: MIT
"""Is this machine fit for a scan cycle? Measured on it, idle and under a load, and judged."""
