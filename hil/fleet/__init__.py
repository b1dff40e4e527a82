# SPDX-License-Identifier: MIT
"""Many boards of one host behind labgrid's coordinator, each reserved by whoever needs one."""
