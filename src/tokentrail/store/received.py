"""An evidence object as it was received, and one record of it; loads quickly, for processes that need no more."""

from __future__ import annotations

import errno
import hashlib
import json
import os
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
        with open(self.path, "rb", buffering=0) as file:
            if self.size is None:
                return file.readall()
            whole = os.fstat(file.fileno()).st_size
            if not 0 <= self.at <= self.at + self.size <= whole:
                raise OSError(
                    errno.EIO, f"bytes {self.at} to {self.at + self.size} of a file of {whole}", self.path
                )
            return os.pread(file.fileno(), self.size, self.at)


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
