"""
Exchange between a Spark driver and its executors beside Spark itself: tasks one way, large answers and errors back.

It goes through the case, which all of them reach: a folder inside it, or names in its bucket. Tasks and answers are
named by the SHA-256 of their bytes, and Spark passes these names. So nobody who can merely write to the case can
replace a task or an answer.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from typing import Protocol

import msgspec

from tokentrail import errors
from tokentrail.errors import CaseError
from tokentrail.store.folder import CaseFolder, write_atomically
from tokentrail.store.interface import Bucket

ERROR_SUFFIX = ".error"
EXPECTED = (OSError, errors.TokenTrailError)
"""Errors that end a verb with a message; any other is a fault of the program."""
_KINDS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (OSError, *vars(errors).values())
    if isinstance(one, type) and issubclass(one, EXPECTED)
}


class ErrorLeft(Exception):
    """Raised in an executor in place of an error. Its text is the name under which the error was left."""


class TaskExchange(Protocol):
    """A place where one side leaves bytes for the other. It must pickle."""

    @property
    def where(self) -> str:
        """The case, as a person knows it."""

    def begin(self) -> None:
        """Make the place."""

    def leave(self, name: str, data: bytes) -> None:
        """Leave something under a name."""

    def take(self, name: str) -> bytes:
        """Look at what was left."""

    def names(self) -> list[str]:
        """What has been left."""

    def end(self) -> None:
        """Remove all of it."""


@dataclass(frozen=True, slots=True)
class FolderExchange:
    """In a folder of the case."""

    folder: Path

    @property
    def where(self) -> str:
        """The case, as a person knows it."""
        return str(self.folder.parent.parent)

    def begin(self) -> None:
        """Make the place."""
        self.folder.mkdir(mode=0o700, parents=True)

    def leave(self, name: str, data: bytes) -> None:
        """Leave something under a name."""
        write_atomically(self.folder / name, data)

    def take(self, name: str) -> bytes:
        """Look at what was left."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise CaseError(f"{self.folder / name}: is gone. Run the same command again.") from error

    def names(self) -> list[str]:
        """What has been left."""
        return [one.name for one in self.folder.glob("*")]

    def end(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class BucketExchange:
    """Below some names of the case's bucket."""

    bucket: Bucket
    prefix: str

    @property
    def where(self) -> str:
        """The case, as a person knows it."""
        return self.bucket.uri

    def begin(self) -> None:
        """Nothing: a name needs no folder."""

    def leave(self, name: str, data: bytes) -> None:
        """Leave something under a name."""
        self.bucket.put(f"{self.prefix}{name}", data)

    def take(self, name: str) -> bytes:
        """Look at what was left."""
        data = self.bucket.read(f"{self.prefix}{name}")
        if data is None:
            raise CaseError(f"{self.bucket.uri}/{self.prefix}{name}: is gone. Run the same command again.")
        return data

    def names(self) -> list[str]:
        """What has been left."""
        return [one.key.removeprefix(self.prefix) for one in self.bucket.listed(self.prefix)]

    def end(self) -> None:
        """Remove all of it."""
        with suppress(CaseError):  # whoever gives next removes it, in a day
            self.bucket.remove([f"{self.prefix}{one}" for one in self.names()])


def exchange_for(folder: CaseFolder, kind: str) -> FolderExchange | BucketExchange:
    """The exchange of one job on a case."""
    name = f"{kind}-{secrets.token_hex(8)}"
    if folder.mirror is not None:
        return BucketExchange(folder.mirror.bucket, f"spark/{name}/")
    return FolderExchange(folder.path.resolve() / "derived" / f".{name}")


def name_of(payload: bytes) -> str:
    """The name under which a task is left, or an answer."""
    return hashlib.sha256(payload).hexdigest()


def read_checked(place: TaskExchange, name: str) -> bytes:
    """
    A task, or an answer, as it was left.

    Raises:
        CaseError: somebody put something else in its place.
    """
    payload = place.take(name)
    if name_of(payload) != name:
        raise CaseError(f"{place.where}: a part of this job was changed on its way to or from an executor.")
    return payload


@contextmanager
def leaving_errors(place: TaskExchange) -> Iterator[None]:
    """In an executor, leave an error for the driver, which would otherwise get only Spark's traceback of it."""
    try:
        yield
    except Exception as error:
        left = f"{secrets.token_hex(16)}{ERROR_SUFFIX}"
        place.leave(left, encode_error(error))
        raise ErrorLeft(left) from error


@contextmanager
def raising_left_errors(
    place: TaskExchange, failed: type[Exception] | tuple[type[Exception], ...]
) -> Iterator[None]:
    """
    In the driver, raise the error that an executor left in place of Spark's own.

    Args:
        place: Where executors leave errors.
        failed: What Spark raises; it is raised unchanged where no error was left.
    """
    try:
        yield
    except failed as error:
        words = [one for one in place.names() if one.endswith(ERROR_SUFFIX) and one in str(error)]
        known = decode_error(place.take(words[0])) if words else None
        if known is None:
            raise
        raise known from known.__cause__


class _EncodedError(msgspec.Struct):
    kind: str
    words: str
    causes: list[tuple[str, str]]
    trace: str
    """The traceback, for whoever looks for a fault."""


def encode_error(error: Exception) -> bytes:
    """Encode an error and its causes."""
    known = (one.__name__ for one in type(error).__mro__ if _KINDS.get(one.__name__) is one)
    causes, cause = list[tuple[str, str]](), error.__cause__
    while cause is not None:
        causes.append((type(cause).__name__, str(cause)))
        cause = cause.__cause__
    telling = {
        "kind": next(known, type(error).__name__),
        "words": str(error),
        "causes": causes,
        "trace": "".join(format_exception(error)),
    }
    return json.dumps(telling).encode()


def decode_error(text: bytes) -> Exception | None:
    """
    Make the error that was encoded, to be raised; `None` if the text is none.

    For a class that is none of `EXPECTED`, a new class of that name is made.
    """
    try:
        found = msgspec.convert(json.loads(text), _EncodedError)
    except (ValueError, RecursionError):
        return None
    error = latest = _made(found.kind, found.words)
    for name, words in found.causes:
        latest.__cause__ = cause = _made(name, words)
        latest = cause
    error.add_note(f"in another process:\n{found.trace}")
    return error


def _made(kind: str, words: str) -> Exception:
    return _KINDS.get(kind, type(kind if kind.isidentifier() else "Exception", (Exception,), {}))(words)
