# SPDX-License-Identifier: MIT
"""Only what pyproject.toml cannot say: the C module. Everything else is there."""

from setuptools import setup

setup(cffi_modules=["board/ffi_build.py:ffi"])
