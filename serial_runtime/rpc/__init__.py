# SPDX-License-Identifier: MIT
"""Remote calls: generated stubs, the server before the PLC object, and the client."""
