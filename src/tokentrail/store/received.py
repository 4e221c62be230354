"""An evidence object as it was received, and one record of it; loads quickly, for processes that need no more."""

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


class Lying(NamedTuple):
    """Where the bytes of an evidence object lie."""

    path: str
    at: int = 0
    """The first of them."""
    size: int | None = None
    """How many they are; `None` for all that the file holds."""

    def read(self) -> bytes:
        """
        The bytes, whatever they are.

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
        # Somebody may have handed over the case with a pipe in it, whose opening would wait for ever.
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except ValueError as error:
            raise OSError(errno.EINVAL, "no name of a file", self.path) from error


def received(lying: Lying, sha256: str) -> bytes:
    """
    An evidence object as it was received.

    Raises:
        CaseError: it is gone, or no longer the one that was read.
    """
    try:
        data = lying.read()
    except OSError as error:
        raise CaseError(
            f"{lying.path}: evidence object {sha256[:12]} can't be read ({error.strerror})."
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CaseError(f"{lying.path}: changed since it was read as evidence {sha256[:12]}.")
    return data


def document(text: bytes) -> Any:
    """
    What JSON says that somebody else may have written.

    Raises:
        ValueError: it is none, or one that is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decoded(raw: bytes) -> Any:
    """One record, whatever state it is in, secrets and all: not to be shown."""
    try:
        return msgspec.json.decode(raw)
    except FAILURES:
        pass
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {"unreadable": text}
