# SPDX-License-Identifier: MIT
"""The soak of the link: ``python -m hil.soak``."""
