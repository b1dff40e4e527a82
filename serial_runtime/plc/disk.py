# SPDX-License-Identifier: MIT
"""The few file operations the program store is made of, each durable when it says so.

One class, so that a test can put a disk in its place that loses power after any operation.
"""

from __future__ import annotations

import os

_BLOCK = 1 << 18
_BEHIND = 1 << 15  # bytes of a growing file that may lie in memory only


class Disk:
    """The real file system. OSError as the system raises it."""

    def make_directory(self, path: str) -> None:
        """Make one directory if it is not there. Not durable before its parent is synced."""
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            return

    def write(self, path: str, data: bytes) -> None:
        """Make a new file whose content is durable; its name is after `sync_directory`."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)

    def overwrite(self, path: str, data: bytes) -> None:
        """Have a file, new or not, hold just `data`, durable; a new name is after `sync_directory`.

        While that is not done it may hold any mixture of the old content and the new.
        """
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(fd, data[done:], done)
            os.ftruncate(fd, len(data))
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """Make a file, new or not, end with `data` at `offset`. Waits for no disk.

        What is far behind the end is on its way to the disk, and durable some seconds later.
        """
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(fd).st_size != offset:
                os.ftruncate(fd, offset)
            end = offset
            while end < offset + len(data):
                end += os.pwrite(fd, data[end - offset :], end)
            if offset // _BEHIND != end // _BEHIND:
                # "Not needed" begins to write what is dirty, which else may wait for 30 s.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)

    def take(self, source: str, target: str) -> None:
        """Give a finished file a second name; its content is durable then. Never overwrites."""
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            self.copy(source, target)
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def copy(self, source: str, target: str) -> None:
        """Copy to a new file (a new inode). Not durable."""
        with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
            while block := reader.read(_BLOCK):
                view = memoryview(block)
                while view:
                    view = view[writer.write(view) :]

    def replace(self, source: str, target: str) -> None:
        """Rename over `target`, atomically. Durable after `sync_directory`."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all below it if it is there. Links are removed, not followed."""
        try:
            entries = list(os.scandir(path))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self.remove_tree(entry.path)
            else:
                os.unlink(entry.path)
        os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
