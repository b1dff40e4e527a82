# SPDX-License-Identifier: MIT
"""Images this user has downloaded, kept on the host: a patch needs what the board has already.

``$XDG_CACHE_HOME/serial-runtime/images`` (or ``~/.cache/...``), one file per image, named by its
MD5. The cache is a help and nothing more: bounded in number and bytes, an entry that is damaged
counts as absent, and no trouble with the disk is ever an error of a download.
"""

from __future__ import annotations

import contextlib
import os

from serial_runtime.errors import StoreError
from serial_runtime.plc.digest import check_md5, md5

MAX_IMAGES = 32
MAX_BYTES = 64 << 20


def default_directory() -> str:
    """Where the cache of this user is; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the specification of the variable says
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "serial-runtime", "images")


class ImageCache:
    """The images in one directory, made when it is needed. Several processes may share it."""

    def __init__(
        self, directory: str = "", *, max_images: int = MAX_IMAGES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._directory = directory or default_directory()
        self._max_images = max_images
        self._max_bytes = max_bytes

    def get(self, image_md5: str) -> bytes:
        """The image with this MD5, or nothing: b"". The name may come from anybody."""
        try:
            path = os.path.join(self._directory, check_md5(image_md5))
            with open(path, "rb") as file:
                image = file.read(self._max_bytes)
            if md5(image).hexdigest() != image_md5:
                os.unlink(path)
                return b""
            os.utime(path)  # used last
        except (OSError, StoreError):
            return b""
        return image

    def put(self, image: bytes) -> None:
        """Keep an image, and drop those used longest ago if there are too many."""
        if len(image) > self._max_bytes:
            return
        name = md5(image).hexdigest()
        made = os.path.join(self._directory, f".{name}-{os.getpid()}")
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            try:
                with open(made, "wb") as file:
                    file.write(image)
                os.replace(made, os.path.join(self._directory, name))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(made)
            self._trim()

    def _trim(self) -> None:
        with os.scandir(self._directory) as entries:
            found = [(e.stat().st_mtime, e.stat().st_size, e.path) for e in entries]
        found.sort(reverse=True)
        kept_bytes = 0
        for number, (_, size, path) in enumerate(found):
            kept_bytes += size
            if number >= self._max_images or kept_bytes > self._max_bytes:
                os.unlink(path)
