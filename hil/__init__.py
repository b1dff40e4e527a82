# SPDX-License-Identifier: MIT
"""The rig: the whole product, its processes as a user has them, in bad company. Not in the wheel.

It uses the public API only. ``python -m hil.soak`` is the soak of the link.
"""
