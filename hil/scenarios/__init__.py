# SPDX-License-Identifier: MIT
"""The same scenarios on every target of the rig: simulator, emulated boards, a real one."""
