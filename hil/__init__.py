# SPDX-License-Identifier: MIT
"""The rig: the whole product on boards, as users have them. Not in the wheel.

``python -m hil.soak`` is the soak of the link.
"""
