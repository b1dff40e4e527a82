# SPDX-License-Identifier: MIT
# The cffi module; board/cdef.h is its content. Pointers and structures are cffi's own objects:
# only serial_runtime/board.py touches them.
from typing import Any

ffi: Any
lib: Any
