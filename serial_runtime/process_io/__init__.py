# SPDX-License-Identifier: MIT
"""Process I/O beside the driver of the whole image: what the profile's tables say (`tables`,
`gpio`, `modbus_profile`), and the threads that serve them (`modbus`, `drivers`).
"""
