"""
The bytes of an evidence object, checked to be those that were received, and the decoding of one record.

This module imports little, since it is loaded by processes that are started for a second of work.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from typing import Any, NamedTuple

import msgspec

from tokentrail.errors import CaseError
from tokentrail.events.loose import FAILURES


class Location(NamedTuple):
    """The file, and the part of it, that holds an evidence object."""

    path: str
    at: int = 0
    """The offset of its first byte."""
    size: int | None = None
    """Its number of bytes; `None` for the whole file."""
    outside: bool = False
    """Whether it is a file of the user's that lies outside of the case, which may be a link."""

    def read(self) -> bytes:
        """
        Read the bytes, unchecked.

        Raises:
            OSError: they can't be read, or the file ends before they do.
        """
        file = self._opened()
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "no regular file", self.path)
            if self.size is None:
                with open(file, "rb", buffering=0, closefd=False) as whole:
                    return whole.readall()
            if not 0 <= self.at <= self.at + self.size <= found.st_size:
                told = f"bytes {self.at} to {self.at + self.size} of a file of {found.st_size}"
                raise OSError(errno.EIO, told, self.path)
            return os.pread(file, self.size, self.at)
        except MemoryError as error:
            raise OSError(errno.ENOMEM, "larger than the memory that is left", self.path) from error
        finally:
            os.close(file)

    def _opened(self) -> int:
        # O_NONBLOCK: in a case from somebody else there may be a pipe in place of the file, and opening it would block.
        links = 0 if self.outside else os.O_NOFOLLOW
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | links)
        except ValueError as error:
            raise OSError(errno.EINVAL, "no name of a file", self.path) from error


def received(location: Location, sha256: str) -> bytes:
    """
    Read an evidence object, and check that it is the one that was received.

    Raises:
        CaseError: it is gone, or no longer the one that was read.
    """
    try:
        data = location.read()
    except OSError as error:
        raise CaseError(
            f"{location.path}: evidence object {sha256[:12]} can't be read ({error.strerror})."
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CaseError(f"{location.path}: changed since it was read as evidence {sha256[:12]}.")
    return data


def document(text: bytes) -> Any:
    """
    Parse JSON that somebody else may have written.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decoded(raw: bytes | msgspec.Raw) -> Any:
    """Decode one record, however damaged. It still holds secrets: blank them before it is shown."""
    try:
        return msgspec.json.decode(raw)
    except FAILURES:
        pass
    text = bytes(raw).decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {"unreadable": text}
