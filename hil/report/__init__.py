# SPDX-License-Identifier: MIT
"""The rig's report: what pytest's JUnit files and the records of plants say, on one page."""
